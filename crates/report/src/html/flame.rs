//! The scope tree of a scenario: a flame graph to click into and a table with self and total time.

use std::collections::BTreeMap;

use lob_metrics::{Scenario, ScopeStat, Unit};

use super::Detail;
use crate::analysis::percent;
use crate::escape::html as e;

/// Deepest level drawn; below it, the table still lists the scopes.
const MAX_DEPTH: usize = 24;

pub(super) fn render(scenario: &Scenario, detail: Detail) -> String {
    let scopes: Vec<&ScopeStat> =
        scenario.scopes.iter().filter(|s| s.total_s.is_finite() && s.self_s.is_finite()).collect();
    let whole: f64 = scopes.iter().map(|s| s.self_s.max(0.0)).sum();
    if scopes.is_empty() || whole <= 0.0 {
        return String::new();
    }
    let kept = largest(&scopes, detail.scopes_per_scenario);
    let hidden = scopes.len() - kept.len();
    let note = if hidden > 0 {
        format!("<p class=\"sub\">{hidden} smaller scopes are left to run.json.</p>")
    } else {
        String::new()
    };
    format!("<h4>Where the time goes</h4>{}{}{note}", graph(&kept, whole), table(&kept, whole))
}

/// The `limit` scopes with the largest totals, in tree order.
fn largest<'a>(scopes: &[&'a ScopeStat], limit: usize) -> Vec<&'a ScopeStat> {
    let mut order: Vec<usize> = (0..scopes.len()).collect();
    order.sort_by(|a, b| scopes[*b].total_s.total_cmp(&scopes[*a].total_s));
    order.truncate(limit);
    order.sort_unstable();
    order.into_iter().map(|i| scopes[i]).collect()
}

fn depth(path: &str) -> usize {
    path.matches('/').count()
}

/// Boxes placed in shares of the whole: children side by side below their parent.
fn graph(scopes: &[&ScopeStat], whole: f64) -> String {
    let mut next: BTreeMap<&str, f64> = BTreeMap::new();
    let mut boxes = String::new();
    let mut deepest = 0;
    for scope in scopes {
        let parent = scope.path.rfind('/').map_or("", |cut| &scope.path[..cut]);
        let left = *next.get(parent).unwrap_or(&0.0);
        let width = scope.total_s.max(0.0) / whole;
        next.insert(parent, left + width);
        next.insert(&scope.path, left);
        let level = depth(&scope.path);
        if level >= MAX_DEPTH || left >= 1.0 {
            continue;
        }
        deepest = deepest.max(level);
        let width = width.min(1.0 - left);
        let name = scope.path.rsplit('/').next().unwrap_or(&scope.path);
        let tip = format!(
            "{}: {} total, {} self, {} calls",
            scope.path,
            Unit::Seconds.format(scope.total_s),
            Unit::Seconds.format(scope.self_s),
            Unit::Count.format(scope.calls as f64)
        );
        boxes.push_str(&format!(
            "<button type=\"button\" class=\"f{}\" data-l=\"{left:.5}\" data-w=\"{width:.5}\" style=\"left:{:.3}%;width:{:.3}%;top:{}px\" title=\"{}\">{}</button>",
            level % 4,
            100.0 * left,
            100.0 * width,
            level * 26,
            e(&tip),
            e(name)
        ));
    }
    format!("<div class=\"flame\" style=\"height:{}px\">{boxes}</div>", (deepest + 1) * 26)
}

fn table(scopes: &[&ScopeStat], whole: f64) -> String {
    let rows: String = scopes
        .iter()
        .map(|s| {
            let name = s.path.rsplit('/').next().unwrap_or(&s.path);
            let (own, total) = (s.self_s.max(0.0) / whole, (s.total_s / whole).clamp(0.0, 1.0));
            format!(
                "<tr><td style=\"padding-left:{}px\" title=\"{}\"><code>{}</code></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"wide\"><div class=\"bar two\"><i class=\"t\" style=\"width:{:.1}%\"></i><i style=\"width:{:.1}%\"></i></div></td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                8 + 16 * depth(&s.path).min(MAX_DEPTH),
                e(&s.path),
                e(name),
                Unit::Count.format(s.calls as f64),
                Unit::Seconds.format(s.total_s),
                Unit::Seconds.format(s.self_s),
                percent(own),
                100.0 * total,
                100.0 * own,
                Unit::Seconds.format(s.p50_s),
                Unit::Seconds.format(s.p99_s)
            )
        })
        .collect();
    format!(
        "<div class=\"scroll\"><table class=\"scopes\"><thead><tr><th>Scope</th><th class=\"n\">Calls</th><th class=\"n\">Total</th><th class=\"n\">Self</th><th class=\"n\">Self share</th><th class=\"wide\">Self of total</th><th class=\"n\">Median call</th><th class=\"n\">p99 call</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
}
