//! The table of targets and the table of every measurement.

use lob_metrics::{Measurement, Provenance, Run, Scenario, Verdict};

use super::{Detail, heading, scenario};
use crate::analysis::{
    condition, direction_arrow, floor_note, interval, is_stage, percent, target_verdict, value,
    verdict_word,
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
                Some(true) => Some("goal reached".to_owned()),
                Some(false) if t.verdict == Verdict::Pass => Some("goal open".to_owned()),
                _ => None,
            };
            let notes: Vec<String> =
                goal.into_iter().chain(floor_note(t)).chain(t.reason.clone()).collect();
            let notes = e(&notes.join(" · "));
            format!(
                "<tr><td><code>{}</code></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{} <span class=\"sub\">{notes}</span></td><td class=\"sub\">{}</td></tr>",
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
        "<section id=\"targets\">{}<div class=\"scroll\"><table><thead><tr><th>Metric</th><th class=\"n\">Value</th><th class=\"n\">Hard limit</th><th class=\"n\">Goal</th><th>Verdict</th><th>Source</th></tr></thead><tbody>{rows}</tbody></table></div></section>",
        heading(2, "targets", "Targets")
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

/// Which part of the table a measurement stands in: what is judged first, what every process has
/// last.
fn group(run: &Run, scenario: &Scenario, m: &Measurement) -> usize {
    if m.role.is_process() || !is_stage(scenario) {
        2
    } else if target_verdict(run, m).is_some() || m.share_of_limit.is_some() {
        0
    } else {
        1
    }
}

const GROUPS: [(&str, &str); 3] = [
    ("main", "Headline: held against a target or a limit of the machine"),
    ("detail", "Details"),
    ("process", "Processes and machine: peak memory, CPU time, time elapsed, input, limits"),
];

pub(super) fn measurements(run: &Run, detail: Detail) -> String {
    let all = run.measurements().count();
    let mut grouped: [Vec<String>; 3] = Default::default();
    // What is cut off is the end of the least important group.
    let mut left = detail.measurements;
    for (wanted, rows) in grouped.iter_mut().enumerate() {
        for (s, m) in run.measurements().filter(|(s, m)| group(run, s, m) == wanted).take(left) {
            rows.push(row(run, s, m));
        }
        left -= rows.len();
    }
    let rows: String = GROUPS
        .iter()
        .zip(&grouped)
        .filter(|(_, rows)| !rows.is_empty())
        .map(|((key, title), rows)| {
            format!(
                "<tbody data-group=\"{key}\"><tr class=\"g\"><th colspan=\"7\" scope=\"rowgroup\"><button type=\"button\" aria-expanded=\"true\">{title} <span class=\"sub\">({})</span></button></th></tr>{}</tbody>",
                rows.len(),
                rows.concat()
            )
        })
        .collect();
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
        "<section id=\"summary\">{}<div class=\"tools\"><label>Filter <input id=\"filter\" type=\"search\" placeholder=\"metric or scenario\" autocomplete=\"off\"></label><label>Show <select id=\"kind\"><option value=\"\">all</option><option value=\"miss\">missed targets</option><option value=\"target\">with a target</option><option value=\"estimated\">estimated</option><option value=\"unavailable\">not measured</option></select></label><span id=\"shown\" class=\"sub\" role=\"status\">{} of {all}</span></div>{note}<div class=\"scroll\"><table id=\"all\"><thead><tr>{head}</tr></thead>{rows}</table></div></section>",
        heading(2, "summary", "Every measurement"),
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
    let origin = origin(m.provenance());
    let note = m
        .reason()
        // Below the name, the widest column: a reason is a sentence.
        .map_or(String::new(), |r| format!("<span class=\"sub why\">{}</span>", e(r)));
    let share = m.share_of_limit.filter(|s| s.is_finite());
    let bar = share.map_or(String::new(), |s| {
        format!(
            "<span class=\"mini{}\"><i style=\"width:{:.0}%\"></i></span> {}",
            if s > 1.0 { " over" } else { "" },
            100.0 * s.clamp(0.0, 1.0),
            m.share_in_words(&percent(s))
        )
    });
    let raw =
        |v: Option<f64>| v.filter(|v| v.is_finite()).map_or(String::new(), |v| format!("{v:e}"));
    format!(
        "<tr data-k=\"{kind} {origin}\"><td><code>{}</code> {}{note}</td><td><a href=\"#{}\">{}</a></td><td class=\"n\" data-v=\"{}\">{}</td><td class=\"n sub\">{}</td><td class=\"n\" data-v=\"{}\">{bar}</td><td><span class=\"tag\">{origin}</span></td><td>{}</td></tr>",
        e(&m.metric),
        direction_arrow(m.direction),
        scenario::anchor(&scenario.id),
        e(&scenario.id),
        raw(m.value()),
        value(m.unit, m.value()),
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
