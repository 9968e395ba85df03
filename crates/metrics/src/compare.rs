//! Two stored runs side by side. Advisory: runs of different hours see a different machine, only
//! the paired test ([`crate::stats::paired_test`]) decides.

use serde::{Deserialize, Serialize};

use crate::stats::{benjamini_hochberg, mann_whitney_u};
use crate::{Direction, Measurement, MetricsError, Role, Run, Unit};

/// Fewer samples than this on either side and no rank test is made.
const MIN_TESTED: usize = 4;

/// Settings of [`compare`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompareConfig {
    /// Relative change that counts; the usual figures are 0.10 and 0.20. Figures that repeat
    /// are held to their own, see [`Measurement::repeats_within`].
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
/// use lob_metrics::{ChangeVerdict, CompareConfig, compare};
/// let base = lob_fixtures::sample_run();
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
    let threshold = shown.repeats_within.map_or(threshold, |own| own.min(threshold));
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
