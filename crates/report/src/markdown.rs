//! A summary that fits a pull request: `report.md`.

use lob_metrics::{Measurement, Provenance, Run, Status, Target, Verdict};

use crate::analysis::{
    bottleneck, condition, direction_arrow, interval, limits, percent, status_word, tally,
    target_verdict, value, verdict_lines, verdict_word,
};
use crate::escape::{code, markdown, markdown_ticked};

/// Rows of the measurement table; the rest stands in `report.html`. A pull-request comment holds
/// 65,536 characters.
const MAX_ROWS: usize = 250;

pub(crate) fn report(run: &Run) -> String {
    let mut out = Vec::new();
    let verdict = if run.passed() { "Passed" } else { "Failed" };
    let (scenarios, targets) = verdict_lines(run);
    out.push(format!("# {}: {}", verdict, markdown(&run.title)));
    out.push(String::new());
    out.push(format!(
        "{scenarios}; {targets}. Run {} of {}, {}, {}.",
        code(&run.id),
        markdown(&run.started_at),
        value(lob_metrics::Unit::Seconds, Some(run.elapsed_s)),
        host_line(run)
    ));
    out.push(String::new());
    summary(run, &mut out);
    targets_table(run, &mut out);
    measurements(run, &mut out);
    notes(run, &mut out);
    out.push(String::new());
    out.join("\n")
}

fn host_line(run: &Run) -> String {
    let cpu = run.host.cpu.as_deref().unwrap_or("unknown CPU");
    let cores = run.host.cores.map_or_else(|| "unknown cores".to_owned(), |n| format!("{n} cores"));
    format!("{}, {cores}", markdown(cpu))
}

fn summary(run: &Run, out: &mut Vec<String>) {
    if let Some(b) = bottleneck(run) {
        out.push(format!(
            "**Bottleneck:** {} in {} takes {} of all profiled time.",
            code(&b.scope.path),
            code(&b.scenario.id),
            percent(b.share_of_run)
        ));
    } else {
        out.push("**Bottleneck:** not measured, no profiler scope has any time.".to_owned());
    }
    let limits = limits(run);
    if !limits.is_empty() {
        let bars: Vec<String> = limits
            .iter()
            .take(8)
            .map(|(_, m, share)| {
                let name = m.limit_name.as_deref().unwrap_or("a measured limit");
                format!("{} {} ({})", code(&m.metric), percent(*share), markdown(name))
            })
            .collect();
        out.push(String::new());
        out.push(format!("**Distance from the machine's limit:** {}.", bars.join("; ")));
    }
    for (i, advice) in run.recommendations.iter().enumerate() {
        if i == 0 {
            out.push(String::new());
            out.push("**What to do next**".to_owned());
            out.push(String::new());
        }
        out.push(format!(
            "{}. {} ({})",
            i + 1,
            markdown_ticked(&advice.text),
            markdown_ticked(&advice.evidence)
        ));
    }
}

fn targets_table(run: &Run, out: &mut Vec<String>) {
    if run.targets.is_empty() {
        return;
    }
    let t = tally(run);
    out.push(String::new());
    out.push(format!(
        "## Targets: {} hold, {} missed, {} not measured",
        t.held, t.missed, t.not_measured
    ));
    out.push(String::new());
    out.push("| Target | Value | Hard limit | Goal | Verdict |".to_owned());
    out.push("|---|--:|--:|--:|---|".to_owned());
    for t in &run.targets {
        let Target { metric, unit, direction, hard_limit, goal, .. } = &t.target;
        let verdict = match (t.verdict, t.goal_reached) {
            (Verdict::Pass, Some(true)) => "pass, goal reached".to_owned(),
            (Verdict::Pass, _) => "pass".to_owned(),
            (verdict, _) => match &t.reason {
                Some(reason) => format!("**{}**: {}", verdict_word(verdict), markdown(reason)),
                None => format!("**{}**", verdict_word(verdict)),
            },
        };
        out.push(format!(
            "| {} | {} | {} | {} | {verdict} |",
            code(metric),
            value(*unit, t.value),
            condition(*direction, *unit, *hard_limit),
            condition(*direction, *unit, *goal)
        ));
    }
}

fn measurements(run: &Run, out: &mut Vec<String>) {
    out.push(String::new());
    out.push("## Measurements".to_owned());
    out.push(String::new());
    out.push("Medians with their 95 % interval; ↑ higher is better, ↓ lower is better.".to_owned());
    let mut left = MAX_ROWS;
    for scenario in &run.scenarios {
        out.push(String::new());
        let reason =
            scenario.reason.as_deref().map_or(String::new(), |r| format!(": {}", markdown(r)));
        let status = status_word(scenario.status);
        out.push(format!("### {} ({status}{reason})", markdown(&scenario.id)));
        if scenario.measurements.is_empty() {
            if scenario.status == Status::Passed {
                out.push(String::new());
                out.push("Nothing was measured.".to_owned());
            }
            continue;
        }
        if left == 0 {
            out.push(String::new());
            out.push(format!("{} measurements, see report.html.", scenario.measurements.len()));
            continue;
        }
        out.push(String::new());
        out.push("| Metric | Value | 95 % interval | Of the limit | Target |".to_owned());
        out.push("|---|--:|--:|--:|---|".to_owned());
        let shown = scenario.measurements.len().min(left);
        left -= shown;
        out.extend(scenario.measurements[..shown].iter().map(|m| measurement(run, m)));
        if shown < scenario.measurements.len() {
            let hidden = scenario.measurements.len() - shown;
            out.push(String::new());
            out.push(format!("{hidden} more measurements, see report.html."));
        }
    }
}

fn measurement(run: &Run, m: &Measurement) -> String {
    let mut shown = value(m.unit, m.value);
    let tag = match m.provenance {
        Provenance::Measured => None,
        Provenance::Estimated => Some("estimated"),
        Provenance::Unavailable => None,
    };
    for note in tag.into_iter().chain(m.reason.as_deref()) {
        shown = format!("{shown}; {}", markdown(note));
    }
    let verdict = target_verdict(run, m).map_or("", verdict_word);
    let share = m.share_of_limit.map_or_else(String::new, percent);
    let arrow = direction_arrow(m.direction);
    let name =
        if arrow.is_empty() { code(&m.metric) } else { format!("{} {arrow}", code(&m.metric)) };
    format!("| {name} | {shown} | {} | {share} | {verdict} |", interval(m))
}

fn notes(run: &Run, out: &mut Vec<String>) {
    if !run.notes.is_empty() {
        out.push(String::new());
        out.push("## Notes".to_owned());
        out.push(String::new());
        out.extend(run.notes.iter().map(|note| format!("- {}", markdown_ticked(note))));
    }
    if let Some(share) = run.overhead.profiler_share {
        out.push(String::new());
        out.push(format!("Measuring itself took {} of the CPU time.", percent(share)));
    }
}
