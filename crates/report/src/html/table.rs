//! The table of targets and the table of every measurement.

use lob_metrics::{Measurement, Provenance, Run, Scenario, Verdict};

use super::{Detail, scenario};
use crate::analysis::{
    condition, direction_arrow, interval, percent, target_verdict, value, verdict_word,
};
use crate::escape::html as e;

pub(super) fn targets(run: &Run) -> String {
    if run.targets.is_empty() {
        return "<section id=\"targets\"><h2>Targets</h2><p>No targets were set for this run.</p></section>".to_owned();
    }
    let rows: String = run
        .targets
        .iter()
        .map(|t| {
            let target = &t.target;
            let goal = match t.goal_reached {
                Some(true) => " <span class=\"sub\">goal reached</span>",
                Some(false) if t.verdict == Verdict::Pass => " <span class=\"sub\">goal open</span>",
                _ => "",
            };
            let reason = t.reason.as_deref().map_or(String::new(), |r| format!(" <span class=\"sub\">{}</span>", e(r)));
            format!(
                "<tr><td><code>{}</code></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}{goal}{reason}</td><td class=\"sub\">{}</td></tr>",
                e(&target.metric),
                value(target.unit, t.value),
                condition(target.direction, target.unit, target.hard_limit),
                condition(target.direction, target.unit, target.goal),
                badge(t.verdict),
                e(&target.source)
            )
        })
        .collect();
    format!(
        "<section id=\"targets\"><h2>Targets</h2><div class=\"scroll\"><table><thead><tr><th>Metric</th><th class=\"n\">Value</th><th class=\"n\">Hard limit</th><th class=\"n\">Goal</th><th>Verdict</th><th>Source</th></tr></thead><tbody>{rows}</tbody></table></div></section>"
    )
}

pub(super) fn badge(verdict: Verdict) -> String {
    let (class, sign) = match verdict {
        Verdict::Pass => ("pass", "✓"),
        Verdict::Fail => ("fail", "✕"),
        Verdict::NotMeasured => ("none", "–"),
    };
    format!(
        "<span class=\"badge {class}\"><span aria-hidden=\"true\">{sign}</span> {}</span>",
        verdict_word(verdict)
    )
}

pub(super) fn measurements(run: &Run, detail: Detail) -> String {
    let all = run.measurements().count();
    let rows: String =
        run.measurements().take(detail.measurements).map(|(s, m)| row(run, s, m)).collect();
    let hidden = all.saturating_sub(detail.measurements);
    let note = if hidden > 0 {
        format!(
            "<p class=\"sub\">{hidden} more measurements are left to run.json: the page stays below 2 MB.</p>"
        )
    } else {
        String::new()
    };
    let columns = [
        ("Metric", ""),
        ("Scenario", ""),
        ("Value", "n"),
        ("95 % interval", "n"),
        ("Of the limit", "n"),
        ("Origin", ""),
        ("Target", ""),
    ];
    let head: String = columns
        .iter()
        .map(|(name, class)| format!("<th class=\"{class}\" scope=\"col\" aria-sort=\"none\"><button type=\"button\">{name}</button></th>"))
        .collect();
    format!(
        "<section id=\"summary\"><h2>Every measurement</h2><div class=\"tools\"><label>Filter <input id=\"filter\" type=\"search\" placeholder=\"metric or scenario\" autocomplete=\"off\"></label><label>Show <select id=\"kind\"><option value=\"\">all</option><option value=\"miss\">missed targets</option><option value=\"target\">with a target</option><option value=\"estimated\">estimated</option><option value=\"unavailable\">not measured</option></select></label><span id=\"shown\" class=\"sub\" role=\"status\">{} of {all}</span></div>{note}<div class=\"scroll\"><table id=\"all\"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>",
        all - hidden
    )
}

fn row(run: &Run, scenario: &Scenario, m: &Measurement) -> String {
    let verdict = target_verdict(run, m);
    let kind = match verdict {
        Some(Verdict::Fail) => "target miss",
        Some(_) => "target",
        None => "",
    };
    let origin = origin(m.provenance);
    let note = m
        .reason
        .as_deref()
        .map_or(String::new(), |r| format!("<br><span class=\"sub\">{}</span>", e(r)));
    let share = m.share_of_limit.filter(|s| s.is_finite());
    let bar = share.map_or(String::new(), |s| {
        format!(
            "<span class=\"mini\"><i style=\"width:{:.0}%\"></i></span> {}",
            100.0 * s.clamp(0.0, 1.0),
            percent(s)
        )
    });
    let raw =
        |v: Option<f64>| v.filter(|v| v.is_finite()).map_or(String::new(), |v| format!("{v:e}"));
    format!(
        "<tr data-k=\"{kind} {origin}\"><td><code>{}</code> {}</td><td><a href=\"#{}\">{}</a></td><td class=\"n\" data-v=\"{}\">{}</td><td class=\"n sub\">{}</td><td class=\"n\" data-v=\"{}\">{bar}</td><td><span class=\"tag\">{origin}</span>{note}</td><td>{}</td></tr>",
        e(&m.metric),
        direction_arrow(m.direction),
        scenario::anchor(&scenario.id),
        e(&scenario.id),
        raw(m.value),
        value(m.unit, m.value),
        interval(m),
        raw(share),
        verdict.map_or(String::new(), badge)
    )
}

pub(super) const fn origin(provenance: Provenance) -> &'static str {
    match provenance {
        Provenance::Measured => "measured",
        Provenance::Estimated => "estimated",
        Provenance::Unavailable => "unavailable",
    }
}
