//! What a reader wants to know first, worked out of a Run.

use lob_metrics::{Direction, Measurement, Run, Scenario, ScopeStat, Status, Unit, Verdict};

/// The scope that takes the largest share of all self time.
pub(crate) struct Bottleneck<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) scope: &'a ScopeStat,
    /// Share of the self time of all scopes of all scenarios.
    pub(crate) share_of_run: f64,
    /// Share of the self time of its own scenario.
    pub(crate) share_of_scenario: f64,
}

/// The scopes with the largest self time of the run, largest first; empty when none has any.
pub(crate) fn hottest(run: &Run, limit: usize) -> Vec<Bottleneck<'_>> {
    let known = |s: &ScopeStat| if s.self_s.is_finite() { s.self_s.max(0.0) } else { 0.0 };
    let total = |s: &Scenario| s.scopes.iter().map(known).sum::<f64>();
    let all: f64 = run.scenarios.iter().map(total).sum();
    let mut scopes: Vec<Bottleneck<'_>> = Vec::new();
    for scenario in &run.scenarios {
        let own = total(scenario);
        scopes.extend(scenario.scopes.iter().filter(|s| known(s) > 0.0).map(|scope| Bottleneck {
            scenario,
            scope,
            share_of_run: known(scope) / all,
            share_of_scenario: known(scope) / own,
        }));
    }
    scopes.sort_by(|a, b| b.share_of_run.total_cmp(&a.share_of_run));
    scopes.truncate(limit);
    scopes
}

/// The largest self time of the run; `None` when no scope has any.
pub(crate) fn bottleneck(run: &Run) -> Option<Bottleneck<'_>> {
    hottest(run, 1).pop()
}

/// Every measurement with a known share of a machine limit, furthest from the limit first.
pub(crate) fn limits(run: &Run) -> Vec<(&Scenario, &Measurement, f64)> {
    let mut known: Vec<_> = run
        .measurements()
        .filter_map(|(s, m)| Some((s, m, m.share_of_limit.filter(|x| x.is_finite())?)))
        .collect();
    known.sort_by(|a, b| a.2.total_cmp(&b.2));
    known
}

/// How many scenarios and targets ended how.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) timed_out: usize,
    pub(crate) skipped: usize,
    pub(crate) held: usize,
    pub(crate) missed: usize,
    pub(crate) not_measured: usize,
}

pub(crate) fn tally(run: &Run) -> Tally {
    let mut tally = Tally::default();
    for scenario in &run.scenarios {
        *match scenario.status {
            Status::Passed => &mut tally.passed,
            Status::Failed => &mut tally.failed,
            Status::TimedOut => &mut tally.timed_out,
            Status::Skipped => &mut tally.skipped,
        } += 1;
    }
    for target in &run.targets {
        *match target.verdict {
            Verdict::Pass => &mut tally.held,
            Verdict::Fail => &mut tally.missed,
            Verdict::NotMeasured => &mut tally.not_measured,
        } += 1;
    }
    tally
}

/// One sentence on scenarios and one on targets.
pub(crate) fn verdict_lines(run: &Run) -> (String, String) {
    let t = tally(run);
    let mut scenarios =
        vec![format!("{} of {} scenarios ran to their end", t.passed, run.scenarios.len())];
    for (n, what) in [(t.failed, "failed"), (t.timed_out, "timed out"), (t.skipped, "skipped")] {
        if n > 0 {
            scenarios.push(format!("{n} {what}"));
        }
    }
    let mut targets = vec![format!("{} of {} targets hold", t.held, run.targets.len())];
    for (n, what) in [(t.missed, "missed"), (t.not_measured, "not measured")] {
        if n > 0 {
            targets.push(format!("{n} {what}"));
        }
    }
    if run.targets.is_empty() {
        targets = vec!["no targets were set".to_owned()];
    }
    (scenarios.join(", "), targets.join(", "))
}

/// A value for people, or `not measured`.
pub(crate) fn value(unit: Unit, value: Option<f64>) -> String {
    value.map_or_else(|| "not measured".to_owned(), |v| unit.format(v))
}

/// The interval for people; empty when there is none.
pub(crate) fn interval(m: &Measurement) -> String {
    match m.ci95 {
        Some([low, high]) if low.is_finite() && high.is_finite() => {
            let (low, high) = (m.unit.format(low), m.unit.format(high));
            // A unit common to both ends is said once.
            let shared = low.split_once(' ').zip(high.split_once(' ')).filter(|(a, b)| a.1 == b.1);
            format!("{} – {high}", shared.map_or(low.as_str(), |(a, _)| a.0))
        }
        _ => String::new(),
    }
}

/// A share as a whole or one-digit percentage.
pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        p if !p.is_finite() => "not measured".to_owned(),
        p if p >= 9.95 => format!("{p:.0} %"),
        p if p >= 0.095 => format!("{p:.1} %"),
        p if p > 0.0 => Unit::Fraction.format(share),
        _ => "0 %".to_owned(),
    }
}

/// The verdict of the target a measurement decides. Several scenarios may measure one metric; each
/// is held against the limit by its own value.
pub(crate) fn target_verdict(run: &Run, m: &Measurement) -> Option<Verdict> {
    let target = run.targets.iter().find(|t| t.target.metric == m.metric)?;
    Some(target.target.judge(Some(m)).verdict)
}

pub(crate) const fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "miss",
        Verdict::NotMeasured => "not measured",
    }
}

pub(crate) const fn status_word(status: Status) -> &'static str {
    match status {
        Status::Passed => "passed",
        Status::Failed => "failed",
        Status::TimedOut => "timed out",
        Status::Skipped => "skipped",
    }
}

pub(crate) const fn direction_arrow(direction: Direction) -> &'static str {
    match direction {
        Direction::HigherIsBetter => "↑",
        Direction::LowerIsBetter => "↓",
        Direction::Neutral => "",
    }
}

/// A target's limit as a condition, such as `≤ 10.0 ms`.
pub(crate) fn condition(direction: Direction, unit: Unit, figure: Option<f64>) -> String {
    let sign = match direction {
        Direction::HigherIsBetter => "≥ ",
        Direction::LowerIsBetter => "≤ ",
        Direction::Neutral => "",
    };
    figure.map_or_else(|| "–".to_owned(), |f| format!("{sign}{}", unit.format(f)))
}
