//! A summary that fits a pull request: `report.md`.

pub(crate) mod profile;

use lob_metrics::{Artifact, Measurement, Provenance, Run, Scenario, Status, Target, Verdict};

use crate::analysis::{
    bottleneck, caution, condition, direction_arrow, floor_note, interval, limits, percent,
    slowest, stage_rates, status_word, tally, target_verdict, value, verdict_lines, verdict_word,
    when,
};
use crate::baseline::Baseline;
use crate::escape::{code, markdown, markdown_ticked};

/// Rows of the measurement table; the rest stands in `report.html`. A pull-request comment holds
/// 65,536 characters.
const MAX_ROWS: usize = 250;
/// Rows of all tables of estimates.
const MAX_INTERVALS: usize = 60;

/// `suites/{suite}_report.md`: the scenarios of one suite.
pub(crate) fn suite_report(run: &Run, suite: &str) -> String {
    let mut only = run.clone();
    only.scenarios.retain(|s| s.suite == suite);
    let mut out = vec![format!("# Suite {}", markdown(suite)), String::new()];
    out.push(format!(
        "Run {} of {}, {}.",
        code(&run.id),
        markdown(&when(&run.started_at)),
        host_line(run)
    ));
    measurements(&only, &mut out);
    let findings: Vec<String> = only
        .scenarios
        .iter()
        .flat_map(|s| s.findings.iter().map(move |f| (s, f)))
        .map(|(s, f)| format!("- {}: {}", code(&s.id), markdown_ticked(&f.text)))
        .collect();
    out.extend([String::new(), "## Findings".to_owned(), String::new()]);
    if findings.is_empty() {
        out.push("None.".to_owned());
    }
    out.extend(findings);
    out.push(String::new());
    out.join("\n")
}

pub(crate) fn report(run: &Run, baseline: Option<&Baseline<'_>>) -> String {
    let mut out = Vec::new();
    let verdict = if run.passed() { "Passed" } else { "Failed" };
    let (scenarios, targets) = verdict_lines(run);
    out.push(format!("# {}: {}", verdict, markdown(&run.title)));
    out.push(String::new());
    out.push(format!(
        "{scenarios}; {targets}. Run {} of {}, {}, {}.",
        code(&run.id),
        markdown(&when(&run.started_at)),
        value(lob_metrics::Unit::Seconds, Some(run.elapsed_s)),
        host_line(run)
    ));
    out.push(String::new());
    summary(run, baseline, &mut out);
    inputs(run, &mut out);
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

fn summary(run: &Run, baseline: Option<&Baseline<'_>>, out: &mut Vec<String>) {
    if let Some(text) = caution(run) {
        out.extend([markdown(&text), String::new()]);
    }
    let stages = stage_rates(run);
    let slowest = slowest(&stages).map_or_else(
        || "no stage has a rate".to_owned(),
        |i| {
            let rate = stages[i].measurement.unit.format(stages[i].per_s);
            format!("the slowest stage is {} at {rate}", code(&stages[i].scenario.id))
        },
    );
    let hottest = bottleneck(run).map_or_else(
        || "not measured which scope takes longest, no profiler scope has any time".to_owned(),
        |b| {
            format!(
                "{} in {} takes {} of all profiled time",
                code(&b.scope.path),
                code(&b.scenario.id),
                percent(b.share_of_run)
            )
        },
    );
    out.push(format!("**Bottleneck:** {slowest}; {hottest}."));
    if let Some(baseline) = baseline {
        out.push(String::new());
        out.push(format!("**Since the baseline:** {}.", baseline.summary()));
    }
    let limits = limits(run, 8);
    if !limits.is_empty() {
        let bars: Vec<String> = limits
            .iter()
            .map(|(_, m, share)| {
                let name = m.limit_name.as_deref().unwrap_or("a measured limit");
                let share = m.share_in_words(&percent(*share));
                format!("{} {share} ({})", code(&m.metric), markdown(name))
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

/// What was read, so that a figure can be traced to its bytes.
fn inputs(run: &Run, out: &mut Vec<String>) {
    if run.inputs.is_empty() {
        return;
    }
    out.extend([String::new(), "## Inputs".to_owned(), String::new()]);
    out.push("| File | Schema | Records | MBP-10 updates replayed | SHA-256 |".to_owned());
    out.push("|---|---|--:|--:|---|".to_owned());
    let count = |n: u64| value(lob_metrics::Unit::Count, Some(n as f64));
    for input in &run.inputs {
        out.push(format!(
            "| {} | {} | {} | {} | {} |",
            code(&input.path),
            code(&input.schema),
            count(input.records),
            input.mbp10_updates.map_or_else(String::new, count),
            code(&input.sha256)
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
        let floor = floor_note(t).filter(|_| t.floor_held == Some(false));
        let floor = floor.map_or(String::new(), |note| format!(", **{note}**"));
        out.push(format!(
            "| {} | {} | {} | {} | {verdict}{floor} |",
            code(metric),
            value(*unit, t.value),
            condition(*direction, *unit, *hard_limit),
            condition(*direction, *unit, *goal)
        ));
    }
}

/// Tables of estimates, as far as `left` rows go.
fn intervals(scenario: &Scenario, left: &mut usize, out: &mut Vec<String>) {
    for artifact in &scenario.artifacts {
        let Artifact::Intervals { title, x_label, groups } = artifact else { continue };
        let rows = groups.iter().flat_map(|group| group.rows.iter().map(move |row| (group, row)));
        let (n, shown) = (rows.clone().count(), rows.clone().count().min(*left));
        if shown == 0 {
            continue;
        }
        *left -= shown;
        out.extend([String::new(), format!("{}:", markdown(title)), String::new()]);
        out.push(format!("| | | {} | Reference |", markdown(x_label)));
        out.push("|---|---|--:|--:|".to_owned());
        for (group, row) in rows.take(shown) {
            let known = group.reference.filter(|value| value.is_finite());
            let reference = known.map_or("–".to_owned(), |value| format!("{value:.3}"));
            let (group, name) = (markdown(&group.name), markdown(&row.name));
            out.push(format!("| {group} | {name} | {} | {reference} |", row.text()));
        }
        if shown < n {
            out.extend([String::new(), format!("{} more, see report.html.", n - shown)]);
        }
    }
}

fn measurements(run: &Run, out: &mut Vec<String>) {
    out.push(String::new());
    out.push("## Measurements".to_owned());
    out.push(String::new());
    out.push("Medians with their 95 % interval; ↑ higher is better, ↓ lower is better.".to_owned());
    let (mut left, mut left_intervals) = (MAX_ROWS, MAX_INTERVALS);
    for scenario in &run.scenarios {
        out.push(String::new());
        let reason =
            scenario.reason.as_deref().map_or(String::new(), |r| format!(": {}", markdown(r)));
        let status = status_word(scenario.status);
        out.push(format!("### {} ({status}{reason})", markdown(&scenario.id)));
        if scenario.measurements.is_empty() {
            if matches!(scenario.status, Status::Passed | Status::Partly) {
                out.push(String::new());
                out.push("Nothing was measured.".to_owned());
            }
            continue;
        }
        if left == 0 {
            out.push(String::new());
            out.push(format!("{} measurements, see report.html.", scenario.measurements.len()));
            intervals(scenario, &mut left_intervals, out);
            continue;
        }
        out.push(String::new());
        out.push("| Metric | Value | 95 % interval | Of the limit | Target |".to_owned());
        out.push("|---|--:|--:|--:|---|".to_owned());
        let shown = scenario.measurements.len().min(left);
        left -= shown;
        // What every process has stands below what the scenario is about.
        let (process, own): (Vec<_>, Vec<_>) =
            scenario.measurements.iter().partition(|m| m.role.is_process());
        out.extend(own.iter().chain(&process).take(shown).map(|m| measurement(run, m)));
        if shown < scenario.measurements.len() {
            let hidden = scenario.measurements.len() - shown;
            out.push(String::new());
            out.push(format!("{hidden} more measurements, see report.html."));
        }
        intervals(scenario, &mut left_intervals, out);
    }
}

fn measurement(run: &Run, m: &Measurement) -> String {
    let mut shown = value(m.unit, m.value());
    let tag = match m.provenance() {
        Provenance::Measured => None,
        Provenance::Estimated => Some("estimated"),
        Provenance::Unavailable => None,
    };
    for note in tag.into_iter().chain(m.reason()) {
        shown = format!("{shown}; {}", markdown(note));
    }
    let verdict = target_verdict(run, m).map_or("", verdict_word);
    let share = m.share_of_limit.map(|share| m.share_in_words(&percent(share))).unwrap_or_default();
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
