//! `reports/performance_summary.md`: one page for people who decide.

use lob_metrics::{Role, Run, Scenario, Target, Unit, Verdict};

use crate::analysis::{
    bottleneck, caution, condition, limits, percent, slowest, stage_rates, status_word, tally,
    value, verdict_lines, verdict_word, when,
};
use crate::baseline::Baseline;
use crate::comparison::{figures, word};
use crate::escape::{code, markdown, markdown_ticked};

/// Limits and pieces of advice shown.
const MAX_ITEMS: usize = 8;

/// Changed metrics listed in a pull request.
const MAX_CHANGES: usize = 30;

/// The decider's page of a run, and what changed since a baseline, as Markdown for a pull request:
/// below the 65,536 characters a comment holds, whatever the run.
///
/// # Errors
/// [`MetricsError`](lob_metrics::MetricsError) when the two runs cannot be compared.
///
/// ```
/// use lob_metrics::Run;
/// let text = lob_report::pull_request_summary(&lob_fixtures::sample_run(), Some(&lob_fixtures::sample_run()))?;
/// assert!(text.starts_with("# Performance summary"));
/// # Ok::<(), lob_metrics::MetricsError>(())
/// ```
pub fn pull_request_summary(
    run: &Run,
    baseline: Option<&Run>,
) -> Result<String, lob_metrics::MetricsError> {
    const MOST: usize = 65_000;
    let baseline = baseline.map(|base| Baseline::new(base, run)).transpose()?;
    let mut text = summary(run, baseline.as_ref());
    if let Some(baseline) = &baseline {
        let loud = baseline.loud();
        text.push_str("\n## Changes\n\n");
        if loud.is_empty() {
            text.push_str("Every metric is within its tolerance.\n");
        } else {
            text.push_str("| Metric | Scenario | Base | Current | Change | Verdict |\n");
            text.push_str("|---|---|--:|--:|--:|---|\n");
        }
        for c in loud.iter().take(MAX_CHANGES) {
            text.push_str(&format!("| {} | {} |\n", figures(c), word(c.verdict)));
        }
        if let Some(hidden) = loud.len().checked_sub(MAX_CHANGES).filter(|n| *n > 0) {
            text.push_str(&format!("\n{hidden} more stand in comparison.md.\n"));
        }
        text.push_str("\nAdvisory: two stored runs see a different machine; `lob ab` decides.\n");
    }
    if text.len() > MOST {
        let end = (0..=MOST).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
        text.push_str("\n\n(cut here: a comment holds no more)\n");
    }
    Ok(text)
}

pub(crate) fn summary(run: &Run, baseline: Option<&Baseline<'_>>) -> String {
    let mut out = vec![format!("# Performance summary: {}", markdown(&run.title)), String::new()];
    executive(run, baseline, &mut out);
    rates(run, &mut out);
    indicators(run, &mut out);
    heading(&mut out, "Recommendations");
    if run.recommendations.is_empty() {
        out.push("None: nothing in this run asks for a change.".to_owned());
    }
    for (i, advice) in run.recommendations.iter().take(MAX_ITEMS).enumerate() {
        let (text, evidence) = (markdown_ticked(&advice.text), markdown_ticked(&advice.evidence));
        out.push(format!("{}. {text} ({evidence})", i + 1));
    }
    breakdown(run, &mut out);
    out.push(String::new());
    out.join("\n")
}

fn heading(out: &mut Vec<String>, title: &str) {
    out.extend([String::new(), format!("## {title}"), String::new()]);
}

fn executive(run: &Run, baseline: Option<&Baseline<'_>>, out: &mut Vec<String>) {
    let verdict = if run.passed() { "Passed" } else { "Failed" };
    let (scenarios, targets) = verdict_lines(run);
    out.extend(caution(run).map(|text| format!("- {}", markdown(&text))));
    out.push(format!("- **{verdict}**: {scenarios}; {targets}."));
    let stages = stage_rates(run);
    out.push(slowest(&stages).map_or_else(
        || "- Slowest stage: not measured.".to_owned(),
        |i| {
            let stage = &stages[i];
            let rate = stage.measurement.unit.format(stage.per_s);
            format!("- Slowest stage: {} at {rate}.", code(&stage.scenario.id))
        },
    ));
    out.push(bottleneck(run).map_or_else(
        || "- Largest self time: not measured.".to_owned(),
        |b| {
            let (scope, share) = (code(&b.scope.path), percent(b.share_of_run));
            format!("- Largest self time: {scope} with {share} of all profiled time.")
        },
    ));
    if let Some((_, m, share)) = limits(run, MAX_ITEMS).first() {
        let name = markdown(m.limit_name.as_deref().unwrap_or("a measured limit"));
        let metric = code(&m.metric);
        out.push(format!(
            "- Furthest from the machine's limit: {metric}, {} of {name}.",
            m.share_in_words(&percent(*share))
        ));
    }
    out.push(match baseline {
        None => "- Since the baseline: no baseline was given.".to_owned(),
        Some(baseline) => format!("- Since the baseline: {}.", baseline.summary()),
    });
    let (id, cpu) = (code(&run.id), markdown(run.host.cpu.as_deref().unwrap_or("unknown CPU")));
    let took = Unit::Seconds.format(run.elapsed_s);
    out.push(format!("- Run {id}, {}, {took}, {cpu}.", markdown(&when(&run.started_at))));
}

fn rates(run: &Run, out: &mut Vec<String>) {
    let t = tally(run);
    heading(out, "Pass rates");
    let share = |good: usize, all: usize| match all {
        0 => "–".to_owned(),
        _ => percent(good as f64 / all as f64),
    };
    let judged = t.held + t.missed;
    let ran = t.passed + t.partly + t.failed + t.timed_out;
    out.extend([
        "| | Passed | Failed | Not judged | Pass rate |".to_owned(),
        "|---|--:|--:|--:|--:|".to_owned(),
        format!(
            "| Targets | {} | {} | {} | {} |",
            t.held,
            t.missed,
            t.not_measured,
            share(t.held, judged)
        ),
        format!(
            "| Scenarios | {} | {} | {} | {} |",
            t.passed,
            t.failed + t.timed_out,
            t.skipped,
            share(t.passed, ran)
        ),
    ]);
}

fn indicators(run: &Run, out: &mut Vec<String>) {
    heading(out, "Key figures");
    if run.targets.is_empty() {
        out.push("No targets were set for this run.".to_owned());
        return;
    }
    out.push("| Figure | Value | Limit | Verdict |".to_owned());
    out.push("|---|--:|--:|---|".to_owned());
    for t in &run.targets {
        let Target { metric, unit, direction, hard_limit, goal, .. } = &t.target;
        let limit = condition(*direction, *unit, hard_limit.or(*goal));
        let verdict = match t.verdict {
            Verdict::Pass => "pass".to_owned(),
            other => format!("**{}**", verdict_word(other)),
        };
        out.push(format!("| {} | {} | {limit} | {verdict} |", code(metric), value(*unit, t.value)));
    }
}

fn breakdown(run: &Run, out: &mut Vec<String>) {
    heading(out, "By scenario");
    out.push("| Scenario | Status | Time | Rate | Peak memory | Most self time |".to_owned());
    out.push("|---|---|--:|--:|--:|---|".to_owned());
    let stages = stage_rates(run);
    for s in &run.scenarios {
        let stage = stages.iter().find(|r| std::ptr::eq(r.scenario, s));
        let rate = stage.map_or_else(|| "–".to_owned(), |r| r.measurement.unit.format(r.per_s));
        let peak = s.measurements.iter().find(|m| m.role == Role::PeakRss);
        let peak = peak.map_or_else(|| "–".to_owned(), |m| value(m.unit, m.value()));
        let status = status_word(s.status);
        let reason = s.reason.as_deref().map_or(String::new(), |r| format!(": {}", markdown(r)));
        out.push(format!(
            "| {} | {status}{reason} | {} | {rate} | {peak} | {} |",
            code(&s.id),
            Unit::Seconds.format(s.elapsed_s),
            hottest_of(s)
        ));
    }
}

fn hottest_of(s: &Scenario) -> String {
    let known = s.scopes.iter().filter(|c| c.self_s.is_finite() && c.self_s > 0.0);
    let hot = known.max_by(|a, b| a.self_s.total_cmp(&b.self_s));
    hot.map_or_else(
        || "–".to_owned(),
        |c| format!("{}, {}", code(&c.path), Unit::Seconds.format(c.self_s)),
    )
}
