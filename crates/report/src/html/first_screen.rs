//! Ten seconds: did it pass, what holds it back, how far from the machine's limit, what next.

use lob_metrics::{Run, Unit, Verdict};

use crate::analysis::{condition, hottest, limits, percent, value, verdict_lines};
use crate::escape::html as e;

/// Bars and pieces of advice shown before the rest moves to the tables.
const MAX_BARS: usize = 8;
/// Scopes shown in the card of the bottleneck.
const MAX_HOT: usize = 4;
const MAX_ADVICE: usize = 3;

pub(super) fn render(run: &Run) -> String {
    format!(
        "<section class=\"first\" aria-label=\"Result\">{}<div class=\"cards\">{}{}{}</div></section>",
        verdict(run),
        bottleneck_card(run),
        limits_card(run),
        advice_card(run)
    )
}

fn verdict(run: &Run) -> String {
    let (class, sign, word) =
        if run.passed() { ("pass", "✓", "Passed") } else { ("fail", "✕", "Failed") };
    let (scenarios, targets) = verdict_lines(run);
    let missed: Vec<String> = run
        .targets
        .iter()
        .filter(|t| t.verdict == Verdict::Fail)
        .take(3)
        .map(|t| {
            let limit = condition(t.target.direction, t.target.unit, t.target.hard_limit);
            let found = value(t.target.unit, t.value);
            format!(
                "<li><code>{}</code> is {found}, the limit is {limit}</li>",
                e(&t.target.metric)
            )
        })
        .collect();
    let missed =
        if missed.is_empty() { String::new() } else { format!("<ul>{}</ul>", missed.concat()) };
    format!(
        "<div class=\"verdict {class}\"><p class=\"word\"><span aria-hidden=\"true\">{sign}</span> {word}</p><div><p>{}. {}.</p>{missed}</div></div>",
        e(&capitalised(&targets)),
        e(&capitalised(&scenarios))
    )
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().collect::<String>() + chars.as_str())
}

fn bottleneck_card(run: &Run) -> String {
    let hottest = hottest(run, MAX_HOT);
    let Some(b) = hottest.first() else {
        return "<div class=\"card\"><h2>Bottleneck</h2><p>Not measured: no profiler scope has any time.</p></div>".to_owned();
    };
    let others: String = hottest[1..]
        .iter()
        .map(|b| {
            format!(
                "<li><div class=\"row\"><code>{}</code><span>{}</span></div>{}</li>",
                e(&b.scope.path),
                percent(b.share_of_run),
                bar(b.share_of_run)
            )
        })
        .collect();
    let others =
        if others.is_empty() { others } else { format!("<ul class=\"plain next\">{others}</ul>") };
    format!(
        "<div class=\"card\"><h2>Bottleneck</h2><p class=\"big\">{}<small> of all profiled time</small></p><p><code>{}</code></p>{}<p class=\"sub\">{} self time, {} of <a href=\"#{}\">{}</a></p>{others}</div>",
        percent(b.share_of_run),
        e(&b.scope.path),
        bar(b.share_of_run),
        Unit::Seconds.format(b.scope.self_s),
        percent(b.share_of_scenario),
        super::scenario::anchor(&b.scenario.id),
        e(&b.scenario.id)
    )
}

fn bar(share: f64) -> String {
    format!(
        "<div class=\"bar\"><i style=\"width:{:.1}%\"></i></div>",
        100.0 * share.clamp(0.0, 1.0)
    )
}

fn limits_card(run: &Run) -> String {
    let limits = limits(run);
    if limits.is_empty() {
        return "<div class=\"card\"><h2>Distance from the machine’s limit</h2><p>Not measured: no measurement names a limit of the machine.</p></div>".to_owned();
    }
    let rows: String = limits
        .iter()
        .take(MAX_BARS)
        .map(|(_, m, share)| {
            format!(
                "<li><div class=\"row\"><code>{}</code><b>{}</b></div><div class=\"bar\"><i style=\"width:{:.1}%\"></i></div><p class=\"sub\">{}; limit: {}</p></li>",
                e(&m.metric),
                percent(*share),
                100.0 * share.clamp(0.0, 1.0),
                value(m.unit, m.value),
                e(m.limit_name.as_deref().unwrap_or("a measured limit"))
            )
        })
        .collect();
    format!(
        "<div class=\"card\"><h2>Distance from the machine’s limit</h2><ul class=\"plain\">{rows}</ul></div>"
    )
}

fn advice_card(run: &Run) -> String {
    let items: String = run
        .recommendations
        .iter()
        .take(MAX_ADVICE)
        .map(|r| {
            format!(
                "<li><p>{}</p><p class=\"sub\">{}</p></li>",
                ticked(&r.text),
                ticked(&r.evidence)
            )
        })
        .collect();
    let rest = run.recommendations.len().saturating_sub(MAX_ADVICE);
    let more: String = run
        .recommendations
        .iter()
        .skip(MAX_ADVICE)
        .map(|r| {
            format!(
                "<li><p>{}</p><p class=\"sub\">{}</p></li>",
                ticked(&r.text),
                ticked(&r.evidence)
            )
        })
        .collect();
    let more = if rest == 0 {
        String::new()
    } else {
        format!(
            "<details><summary>{rest} more</summary><ol start=\"{}\">{more}</ol></details>",
            MAX_ADVICE + 1
        )
    };
    let list = if items.is_empty() {
        "<p>Nothing in this run asks for a change.</p>".to_owned()
    } else {
        format!("<ol>{items}</ol>{more}")
    };
    format!("<div class=\"card\"><h2>What to do next</h2>{list}</div>")
}

/// Escaped text whose parts between backticks are set as code.
pub(super) fn ticked(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    let balanced = parts.len() % 2 == 1;
    if !balanced {
        return e(text);
    }
    let marked = parts.iter().enumerate().map(|(i, part)| match i % 2 {
        0 => e(part),
        _ => format!("<code>{}</code>", e(part)),
    });
    marked.collect()
}
