//! Plain-text advice: `optimization_recommendations.txt`.

use lob_metrics::{Run, Severity, Verdict};

use crate::analysis::{
    bottleneck, caution, condition, floor_note, limits, percent, slowest, stage_rates, value,
    verdict_lines, when,
};
use crate::escape::line;

/// Width of the rules under headings.
const RULE: &str =
    "--------------------------------------------------------------------------------";

pub(crate) fn recommendations(run: &Run) -> String {
    let mut out = Vec::new();
    let verdict = if run.passed() { "PASSED" } else { "FAILED" };
    let (scenarios, targets) = verdict_lines(run);
    out.extend(caution(run).map(|text| line(&text)));
    out.push(line(&run.title));
    out.push(format!("run {}, {}", line(&run.id), line(&when(&run.started_at))));
    out.push(format!("{verdict}: {scenarios}; {targets}"));
    section(&mut out, "What to do next");
    if run.recommendations.is_empty() {
        out.push("No advice: nothing in this run asks for a change.".to_owned());
    }
    for (i, advice) in run.recommendations.iter().enumerate() {
        out.push(format!("{}. {}", i + 1, line(&advice.text)));
        out.push(format!("   because: {}", line(&advice.evidence)));
    }
    section(&mut out, "Bottleneck");
    let stages = stage_rates(run);
    out.push(slowest(&stages).map_or_else(
        || "Slowest stage: not measured, no stage has a rate.".to_owned(),
        |i| {
            let stage = &stages[i];
            let rate = stage.measurement.unit.format(stage.per_s);
            format!("Slowest stage: {} at {rate}.", line(&stage.scenario.id))
        },
    ));
    out.push(bottleneck(run).map_or_else(
        || "Largest self time: not measured, no profiler scope has any time.".to_owned(),
        |b| {
            format!(
                "Largest self time: {} in {}: {} of all profiled time, {} of its scenario",
                line(&b.scope.path),
                line(&b.scenario.id),
                percent(b.share_of_run),
                percent(b.share_of_scenario)
            )
        },
    ));
    section(&mut out, "Distance from the machine's limit");
    let limits = limits(run, 8);
    if limits.is_empty() {
        out.push("Not measured: no measurement names a limit of the machine.".to_owned());
    }
    for (_, m, share) in limits {
        let name = m.limit_name.as_deref().unwrap_or("a measured limit");
        let share = m.share_in_words(&percent(share));
        out.push(format!("{share:>9}  {} (limit: {})", line(&m.metric), line(name)));
    }
    section(&mut out, "Missed targets");
    missed(run, &mut out);
    section(&mut out, "Findings");
    let before = out.len();
    for (scenario, finding) in
        run.scenarios.iter().flat_map(|s| s.findings.iter().map(move |f| (s, f)))
    {
        let severity = severity_word(finding.severity);
        out.push(format!("[{severity}] {}: {}", line(&scenario.id), line(&finding.text)));
    }
    if out.len() == before {
        out.push("None.".to_owned());
    }
    out.push(String::new());
    out.join("\n")
}

/// Targets whose limit is missed, and values below their floor.
fn missed(run: &Run, out: &mut Vec<String>) {
    let before = out.len();
    for t in run.targets.iter().filter(|t| t.verdict == Verdict::Fail) {
        let limit = condition(t.target.direction, t.target.unit, t.target.hard_limit);
        let found = value(t.target.unit, t.value);
        out.push(format!("{}: {found}, asked {limit}", line(&t.target.metric)));
    }
    for t in run.below_floor() {
        let found = value(t.target.unit, t.value);
        let note = floor_note(t).unwrap_or_default();
        out.push(format!("{}: {found}, {note}", line(&t.target.metric)));
    }
    if out.len() == before {
        out.push("None.".to_owned());
    }
}

pub(crate) const fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

fn section(out: &mut Vec<String>, title: &str) {
    out.push(String::new());
    out.push(title.to_owned());
    out.push(RULE[..title.len().min(RULE.len())].to_owned());
}
