//! Two stored runs side by side. Advisory: runs of different hours see a different machine, only
//! the paired test ([`crate::stats::paired_test`]) decides.

use serde::{Deserialize, Serialize};

use crate::stats::{benjamini_hochberg, mann_whitney_u};
use crate::{Direction, Measurement, MetricsError, Role, Run, Unit, exact_tolerance};

/// Fewer samples than this on either side and no rank test is made.
const MIN_TESTED: usize = 4;

/// Settings of [`compare`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompareConfig {
    /// Relative change that counts; the usual figures are 0.10 and 0.20. Figures that repeat
    /// exactly are held to their own, see [`exact_tolerance`].
    pub threshold: f64,
    /// Compare runs of different machines too.
    pub force: bool,
}

impl Default for CompareConfig {
    fn default() -> Self {
        Self { threshold: 0.10, force: false }
    }
}

/// What became of one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeVerdict {
    /// Worse by more than the threshold.
    Regression,
    /// Better by more than the threshold.
    Improvement,
    /// Different by more than the threshold, where neither way is better.
    Changed,
    /// Within the threshold.
    Unchanged,
    /// Measured in the base run only.
    Lost,
    /// Measured in the current run only.
    New,
    /// Units or directions differ, or neither run has a value.
    NotComparable,
}

/// One metric of one scenario in both runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Scenario the metric belongs to.
    pub scenario: String,
    /// Metric name.
    pub metric: String,
    /// Which of the scenario's figures it is.
    pub role: Role,
    /// Unit of both values.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    /// Value of the base run.
    pub base: Option<f64>,
    /// Value of the current run.
    pub current: Option<f64>,
    /// `current / base - 1`; positive is more. `None` without two values or with a base of zero.
    pub relative: Option<f64>,
    /// Rank test of the samples, adjusted for the number of metrics tested; `None` when too few
    /// samples are stored.
    pub q_value: Option<f64>,
    /// The relative change above which the verdict was given.
    pub threshold: f64,
    /// The verdict by threshold.
    pub verdict: ChangeVerdict,
}

/// Compares every metric of two runs: scenarios in the order of `current`, lost ones last.
///
/// # Errors
/// [`MetricsError::DifferentHosts`] when the fingerprints differ and `force` is off,
/// [`MetricsError::Threshold`] for a threshold that is not positive and finite.
///
/// ```
/// use lob_metrics::{ChangeVerdict, CompareConfig, Run, compare};
/// let base = Run::sample();
/// let changes = compare(&base, &base, &CompareConfig::default())?;
/// assert!(changes.iter().all(|c| c.verdict != ChangeVerdict::Regression));
/// # Ok::<(), lob_metrics::MetricsError>(())
/// ```
pub fn compare(
    base: &Run,
    current: &Run,
    config: &CompareConfig,
) -> Result<Vec<Change>, MetricsError> {
    if !(config.threshold.is_finite() && config.threshold > 0.0) {
        return Err(MetricsError::Threshold { found: config.threshold });
    }
    let (base_host, current_host) = (&base.host.fingerprint, &current.host.fingerprint);
    if base_host != current_host && !config.force {
        return Err(MetricsError::DifferentHosts {
            base: base_host.clone(),
            current: current_host.clone(),
        });
    }
    let mut pairs = Vec::new();
    for (scenario, after) in current.measurements() {
        pairs.push((scenario.id.as_str(), find(base, &scenario.id, &after.metric), Some(after)));
    }
    for (scenario, before) in base.measurements() {
        if find(current, &scenario.id, &before.metric).is_none() {
            pairs.push((scenario.id.as_str(), Some(before), None));
        }
    }
    let q_values = q_values(&pairs);
    let changes = pairs.into_iter().zip(q_values).filter_map(|((scenario, before, after), q)| {
        change(scenario, before, after, config.threshold, q)
    });
    Ok(changes.collect())
}

type Pair<'a> = (&'a str, Option<&'a Measurement>, Option<&'a Measurement>);

fn find<'a>(run: &'a Run, scenario: &str, metric: &str) -> Option<&'a Measurement> {
    let scenario = run.scenarios.iter().find(|s| s.id == scenario)?;
    scenario.measurements.iter().find(|m| m.metric == metric)
}

/// Rank tests of all pairs with enough samples, adjusted together.
fn q_values(pairs: &[Pair<'_>]) -> Vec<Option<f64>> {
    let p_value = |(_, before, after): &Pair<'_>| {
        let (before, after) = (&before.as_ref()?.samples, &after.as_ref()?.samples);
        let enough = before.len().min(after.len()) >= MIN_TESTED;
        enough.then(|| mann_whitney_u(before, after))?.map(|test| test.p_value)
    };
    let p_values: Vec<Option<f64>> = pairs.iter().map(p_value).collect();
    let known: Vec<f64> = p_values.iter().copied().flatten().collect();
    let mut adjusted = benjamini_hochberg(&known).into_iter();
    p_values.into_iter().map(|p| p.and_then(|_| adjusted.next())).collect()
}

fn change(
    scenario: &str,
    before: Option<&Measurement>,
    after: Option<&Measurement>,
    threshold: f64,
    q_value: Option<f64>,
) -> Option<Change> {
    let shown = after.or(before)?;
    let threshold = exact_tolerance(&shown.metric).map_or(threshold, |own| own.min(threshold));
    let value = |m: Option<&Measurement>| m.and_then(Measurement::value);
    let (base, current) = (value(before), value(after));
    let same_kind =
        before.zip(after).is_none_or(|(b, a)| (b.unit, b.direction) == (a.unit, a.direction));
    let relative = base.zip(current).and_then(|(b, c)| ratio(b, c));
    let verdict = match (base, current) {
        _ if !same_kind => ChangeVerdict::NotComparable,
        (None, None) => ChangeVerdict::NotComparable,
        (Some(_), None) => ChangeVerdict::Lost,
        (None, Some(_)) => ChangeVerdict::New,
        (Some(b), Some(c)) => judge(shown.direction, relative, c - b, threshold),
    };
    Some(Change {
        scenario: scenario.to_owned(),
        metric: shown.metric.clone(),
        role: shown.role,
        unit: shown.unit,
        direction: shown.direction,
        base,
        current,
        relative: relative.filter(|_| same_kind),
        q_value: q_value.filter(|_| same_kind),
        threshold,
        verdict,
    })
}

fn ratio(base: f64, current: f64) -> Option<f64> {
    let relative = (current - base) / base.abs();
    relative.is_finite().then_some(relative)
}

/// A change from zero has no relative size: any difference counts then.
fn judge(
    direction: Direction,
    relative: Option<f64>,
    difference: f64,
    threshold: f64,
) -> ChangeVerdict {
    let beyond = relative.map_or(difference != 0.0, |r| r.abs() > threshold);
    match direction {
        _ if !beyond => ChangeVerdict::Unchanged,
        Direction::Neutral => ChangeVerdict::Changed,
        Direction::HigherIsBetter if difference > 0.0 => ChangeVerdict::Improvement,
        Direction::LowerIsBetter if difference < 0.0 => ChangeVerdict::Improvement,
        Direction::HigherIsBetter | Direction::LowerIsBetter => ChangeVerdict::Regression,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict on one metric that goes from `base` to `current`.
    fn verdict(direction: Direction, base: Option<f64>, current: Option<f64>) -> ChangeVerdict {
        let run = |value: Option<f64>| {
            let mut run = Run::sample();
            let m = match value {
                Some(v) => Measurement::measured("x", Unit::Seconds, direction, &[v]),
                None => Measurement::unavailable("x", Unit::Seconds, direction, "sensor missing"),
            };
            run.scenarios[0].measurements = vec![m];
            run.scenarios.truncate(1);
            run
        };
        let changes = compare(&run(base), &run(current), &CompareConfig::default()).unwrap();
        assert_eq!(changes.len(), 1);
        changes[0].verdict
    }

    #[test]
    fn each_metric_is_judged_by_its_own_direction() {
        use ChangeVerdict::*;
        use Direction::*;
        for (direction, base, current, expected) in [
            (HigherIsBetter, Some(100.0), Some(120.0), Improvement),
            (HigherIsBetter, Some(100.0), Some(80.0), Regression),
            (LowerIsBetter, Some(100.0), Some(120.0), Regression),
            (LowerIsBetter, Some(100.0), Some(80.0), Improvement),
            (LowerIsBetter, Some(100.0), Some(109.0), Unchanged),
            (Neutral, Some(100.0), Some(200.0), Changed),
            (LowerIsBetter, Some(0.0), Some(1.0), Regression),
            (LowerIsBetter, Some(0.0), Some(0.0), Unchanged),
            (LowerIsBetter, Some(-1.0), Some(-2.0), Improvement),
            (LowerIsBetter, Some(1.0), None, Lost),
            (LowerIsBetter, None, Some(1.0), New),
            (LowerIsBetter, None, None, NotComparable),
        ] {
            assert_eq!(
                verdict(direction, base, current),
                expected,
                "{direction:?} {base:?} {current:?}"
            );
        }
    }

    #[test]
    fn counts_are_held_to_the_last_one() {
        for (metric, current, expected) in [
            ("memory.render.allocations", 101.0, ChangeVerdict::Regression),
            ("memory.render.allocations", 99.0, ChangeVerdict::Improvement),
            ("memory.render.allocations", 100.0, ChangeVerdict::Unchanged),
            ("convert.bins.peak_rss", 104.0, ChangeVerdict::Unchanged),
            ("convert.bins.peak_rss", 106.0, ChangeVerdict::Regression),
            ("render.volume", 106.0, ChangeVerdict::Unchanged),
        ] {
            let run = |value: f64| {
                let mut run = Run::sample();
                run.scenarios.truncate(1);
                let lower = Direction::LowerIsBetter;
                run.scenarios[0].measurements =
                    vec![Measurement::measured(metric, Unit::Count, lower, &[value])];
                run
            };
            let changes = compare(&run(100.0), &run(current), &CompareConfig::default()).unwrap();
            assert_eq!(changes[0].verdict, expected, "{metric} {current}");
        }
    }

    #[test]
    fn other_machines_are_refused_unless_forced() {
        let base = Run::sample();
        let mut current = base.clone();
        current.host.fingerprint = "another".to_owned();
        let refused = compare(&base, &current, &CompareConfig::default()).unwrap_err().to_string();
        assert!(refused.contains("another") && refused.contains("--force"), "{refused}");
        let forced = CompareConfig { force: true, ..CompareConfig::default() };
        assert!(!compare(&base, &current, &forced).unwrap().is_empty());
    }

    #[test]
    fn a_threshold_must_be_a_positive_share() {
        let run = Run::sample();
        for threshold in [0.0, -0.1, f64::NAN] {
            let config = CompareConfig { threshold, force: false };
            assert!(matches!(compare(&run, &run, &config), Err(MetricsError::Threshold { .. })));
        }
    }

    #[test]
    fn a_metric_that_is_gone_is_named() {
        let base = Run::sample();
        let mut current = base.clone();
        let gone = current.scenarios[0].measurements.remove(0);
        let changes = compare(&base, &current, &CompareConfig::default()).unwrap();
        let lost: Vec<_> = changes.iter().filter(|c| c.verdict == ChangeVerdict::Lost).collect();
        assert_eq!(lost.len(), 1);
        assert_eq!(lost[0].metric, gone.metric);
    }
}
