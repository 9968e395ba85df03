//! What a reader wants to know first, worked out of a Run.

use lob_metrics::{
    Direction, Measurement, Role, Run, Scenario, ScopeStat, Status, TargetResult, Unit, Verdict,
};

/// The scope that takes the largest share of all self time.
pub(crate) struct Bottleneck<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) scope: &'a ScopeStat,
    /// Share of the self time of all scopes of all scenarios.
    pub(crate) share_of_run: f64,
    /// Share of the self time of its own scenario.
    pub(crate) share_of_scenario: f64,
}

/// Whether a scenario is a stage of the pipeline: neither the machine's limits nor the making of
/// the input.
pub(crate) fn is_stage(scenario: &Scenario) -> bool {
    !matches!(scenario.suite.as_str(), "machine" | "market")
}

/// A scope that works: names that begin with `wait` only stand and wait for others.
fn works(scope: &ScopeStat) -> bool {
    !scope.path.rsplit('/').next().unwrap_or("").starts_with("wait")
}

/// The working scopes with the largest self time of all stages, largest first; empty when none has
/// any.
pub(crate) fn hottest(run: &Run, limit: usize) -> Vec<Bottleneck<'_>> {
    let known = |s: &ScopeStat| match s.self_s {
        own if own.is_finite() && works(s) => own.max(0.0),
        _ => 0.0,
    };
    let total = |s: &Scenario| s.scopes.iter().map(known).sum::<f64>();
    let stages = || run.scenarios.iter().filter(|s| is_stage(s));
    let all: f64 = stages().map(total).sum();
    let mut scopes: Vec<Bottleneck<'_>> = Vec::new();
    for scenario in stages() {
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

/// What a stage gets through: the first rate of samples or records it is run for.
pub(crate) struct StageRate<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) measurement: &'a Measurement,
    pub(crate) per_s: f64,
}

/// The rate of every stage that has one, in the order of the pipeline.
pub(crate) fn stage_rates(run: &Run) -> Vec<StageRate<'_>> {
    let rate = |m: &&Measurement| {
        m.role == Role::Headline
            && matches!(m.unit, Unit::SamplesPerSecond | Unit::RecordsPerSecond)
            && m.value().is_some_and(|v| v > 0.0)
    };
    let of = |scenario| -> Option<StageRate<'_>> {
        let scenario: &Scenario = scenario;
        let measurement = scenario.measurements.iter().find(rate)?;
        Some(StageRate { scenario, measurement, per_s: measurement.value()? })
    };
    run.scenarios.iter().filter(|s| is_stage(s)).filter_map(of).collect()
}

/// The stage with the lowest rate; `None` when no stage has one.
pub(crate) fn slowest(rates: &[StageRate<'_>]) -> Option<usize> {
    (0..rates.len()).min_by(|a, b| rates[*a].per_s.total_cmp(&rates[*b].per_s))
}

/// Measurements of stages with a known share of a machine limit, furthest from it first. Of each
/// scenario the worst is kept before a second one of any is.
pub(crate) fn limits(run: &Run, limit: usize) -> Vec<(&Scenario, &Measurement, f64)> {
    let mut known: Vec<_> = run
        .measurements()
        .filter(|(s, _)| is_stage(s))
        .filter_map(|(s, m)| Some((s, m, m.share_of_limit.filter(|x| x.is_finite())?)))
        .collect();
    known.sort_by(|a, b| a.2.total_cmp(&b.2));
    let mut seen = std::collections::BTreeSet::new();
    let (mut kept, others): (Vec<_>, Vec<_>) =
        known.into_iter().partition(|(s, _, _)| seen.insert(s.id.as_str()));
    kept.extend(others);
    kept.truncate(limit);
    kept.sort_by(|a, b| a.2.total_cmp(&b.2));
    kept
}

/// A start time for people: to the second, with a space. Anything that is no RFC 3339 time in UTC
/// is shown as it is.
pub(crate) fn when(started_at: &str) -> String {
    let Some(time) = started_at.strip_suffix('Z') else { return started_at.to_owned() };
    let to_the_second = time.split_once('.').map_or(time, |(whole, _)| whole);
    format!("{} UTC", to_the_second.replacen('T', " ", 1))
}

/// What a reader has to know before any figure: that the machine was busy.
pub(crate) fn caution(run: &Run) -> Option<String> {
    let share = percent(run.busy_share()?);
    Some(format!(
        "The machine was busy: other programs used {share} of its cores while its limits were \
         measured. Times are longer than they need be, and shares of a limit are at most what is shown."
    ))
}

/// How many scenarios and targets ended how.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) partly: usize,
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
            Status::Partly => &mut tally.partly,
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
    for (n, what) in [
        (t.partly, "partly"),
        (t.failed, "failed"),
        (t.timed_out, "timed out"),
        (t.skipped, "skipped"),
    ] {
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
    let below: Vec<&str> = run.below_floor().map(|t| t.target.metric.as_str()).collect();
    if !below.is_empty() {
        targets.push(format!("below the floor: {}", below.join(", ")));
    }
    if run.targets.is_empty() {
        targets = vec!["no targets were set".to_owned()];
    }
    (scenarios.join(", "), targets.join(", "))
}

/// What the value of a target is to its floor, in words; `None` where there is none to hold it
/// against.
pub(crate) fn floor_note(result: &TargetResult) -> Option<String> {
    let (at, held) = result.floor_at.zip(result.floor_held)?;
    let at = result.target.unit.format(at);
    Some(if held { format!("floor {at} held") } else { format!("below its floor of {at}") })
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

/// A share as a percentage: whole from 10 on, two significant digits below.
pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        p if !p.is_finite() => "not measured".to_owned(),
        p if p >= 9.95 => format!("{p:.0} %"),
        p if p >= 0.995 => format!("{p:.1} %"),
        p if p >= 0.0995 => format!("{p:.2} %"),
        p if p >= 0.001 => format!("{p:.3} %"),
        p if p > 0.0 => "< 0.001 %".to_owned(),
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
        Status::Partly => "partly",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_two_significant_digits() {
        for (share, expected) in [
            (0.000_779_8, "0.078 %"),
            (0.004_506, "0.45 %"),
            (0.011_2, "1.1 %"),
            (0.2467, "25 %"),
            (3.084, "308 %"),
            (0.000_000_1, "< 0.001 %"),
            (0.0, "0 %"),
            (f64::NAN, "not measured"),
        ] {
            assert_eq!(percent(share), expected);
        }
    }

    #[test]
    fn times_are_shown_to_the_second() {
        assert_eq!(when("2026-11-21T05:09:51.072365131Z"), "2026-11-21 05:09:51 UTC");
        assert_eq!(when("2026-11-21T05:09:51Z"), "2026-11-21 05:09:51 UTC");
        assert_eq!(when("yesterday"), "yesterday");
    }

    #[test]
    fn the_slowest_stage_is_no_wait_and_no_limit_of_the_machine() {
        let mut run = lob_fixtures::sample_run();
        run.scenarios[0].suite = "machine".to_owned();
        let train = run.scenarios.iter_mut().find(|s| s.id == "train.infonce").unwrap();
        let backward = train.scopes.iter_mut().find(|s| s.path == "train/step/backward").unwrap();
        backward.path = "train/step/wait_for_gpu".to_owned();
        assert!(hottest(&run, 99).iter().all(|b| !b.scope.path.contains("wait")));
        let rates = stage_rates(&run);
        assert!(rates.iter().all(|r| r.scenario.suite != "machine"));
        assert_eq!(rates[slowest(&rates).unwrap()].scenario.id, "train.infonce");
        assert!(limits(&run, 8).iter().all(|(s, _, _)| s.suite != "machine"));
    }
}
