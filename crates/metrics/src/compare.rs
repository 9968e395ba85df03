//! Two stored runs side by side. Advisory: runs of different hours see a different machine, only
//! the paired test ([`crate::stats::paired_test`]) decides.

mod slack;

use serde::{Deserialize, Serialize};

use crate::reference::in_reference;
use crate::stats::{benjamini_hochberg, mann_whitney_u, quantile};
use crate::{Direction, Input, Measurement, MetricsError, Role, Run, Scenario, Unit};
use slack::{MIN_SAMPLES, is_telling, slack};

/// A machine this much faster or slower than the base run's is another one: its times say nothing.
const SPEED_APART: f64 = 1.5;

/// Settings of [`compare`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompareConfig {
    /// Relative change that counts; the usual figures are 0.10 and 0.20. Figures that repeat
    /// are held to their own, see [`Measurement::repeats_within`].
    pub threshold: f64,
    /// Compare runs of different machines, or over different inputs, too.
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
    /// Units or directions differ, neither run has a value, or the machine's speed has changed so
    /// much that its times say nothing (see [`machine_slowdown`]).
    NotComparable,
}

impl ChangeVerdict {
    /// Place in every list: what got worse stands first.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::Regression => 0,
            Self::Lost => 1,
            Self::Improvement => 2,
            Self::Changed => 3,
            Self::New => 4,
            Self::Unchanged => 5,
            Self::NotComparable => 6,
        }
    }
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
    /// The absolute change up to which the two are the same, in `unit`: how far a single reading of
    /// this kind strays by chance.
    #[serde(default)]
    pub slack: f64,
    /// The verdict by threshold.
    pub verdict: ChangeVerdict,
}

/// Compares every metric of two runs: scenarios in the order of `current`, lost ones last.
///
/// A change counts beyond the relative threshold **and** beyond an absolute one for single readings:
/// 1 MiB of bytes (a quarter of peak memory), one hundredth of a share, 20 ms of a process's account
/// of time, and of counts the larger of 4 and twice (in a profile: six times) the root of both
/// together. The wall time of a profile has a verdict only where the launch waited for a core for a
/// tenth of its time at most, its sampled peaks only after ten samples. A time or rate whose
/// scenario timed the reference workload in both runs must have changed in units of it, too: a
/// machine that is slower moves both. Where the machine is 1.5 times faster or slower, times and
/// rates have no verdict.
///
/// # Errors
/// [`MetricsError::DifferentHosts`] when the fingerprints differ and [`MetricsError::DifferentInputs`]
/// when the runs read other records, both with `force` off; [`MetricsError::Threshold`] for a
/// threshold that is not positive and finite.
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
    if !config.force {
        check_machine(base, current)?;
        check_inputs(base, current)?;
    }
    let mut pairs = Vec::new();
    let earlier = |id: &str| base.scenarios.iter().find(|s| s.id == id);
    for (scenario, after) in current.measurements() {
        pairs.push((scenario, find(base, &scenario.id, &after.metric), Some(after)));
    }
    for (scenario, before) in base.measurements() {
        if find(current, &scenario.id, &before.metric).is_none() {
            pairs.push((scenario, Some(before), None));
        }
    }
    let q_values = q_values(&pairs);
    let is_apart = |slowdown: f64| slowdown.max(1.0 / slowdown) > SPEED_APART;
    let judged = Judged {
        threshold: config.threshold,
        times: config.force || !machine_slowdown(base, current).is_some_and(is_apart),
        slowdowns: slowdowns(base, current).collect(),
        earlier: &earlier,
    };
    let changes = pairs.into_iter().zip(q_values);
    Ok(changes.filter_map(|(pair, q)| change(&pair, &judged, q)).collect())
}

/// How many times longer the reference workload took in the current run than in the base run: the
/// median over the scenarios that timed it in both. `None` where none did.
#[must_use]
pub fn machine_slowdown(base: &Run, current: &Run) -> Option<f64> {
    quantile(&slowdowns(base, current).map(|(_, slowdown)| slowdown).collect::<Vec<f64>>(), 0.5)
}

/// [`machine_slowdown`] of each scenario that has it.
fn slowdowns<'a>(base: &'a Run, current: &'a Run) -> impl Iterator<Item = (&'a str, f64)> {
    current.scenarios.iter().filter_map(|after| {
        let before = base.scenarios.iter().find(|s| s.id == after.id)?;
        Some((after.id.as_str(), after.reference_s()? / before.reference_s()?))
    })
}

fn check_machine(base: &Run, current: &Run) -> Result<(), MetricsError> {
    let (base, current) = (&base.host.fingerprint, &current.host.fingerprint);
    if base == current {
        return Ok(());
    }
    Err(MetricsError::DifferentHosts { base: base.clone(), current: current.clone() })
}

/// Records are compared where both runs know them, bytes otherwise; a run without inputs made its
/// own.
fn check_inputs(base: &Run, current: &Run) -> Result<(), MetricsError> {
    let both = base.inputs.iter().chain(&current.inputs);
    let by_records = both.clone().all(|input| input.fingerprint.is_some());
    let key = |input: &Input| match &input.fingerprint {
        Some(records) if by_records => records.clone(),
        _ => input.sha256.clone(),
    };
    let keys = |run: &Run| {
        let mut keys: Vec<String> = run.inputs.iter().map(key).collect();
        keys.sort();
        keys
    };
    let known = !base.inputs.is_empty() && !current.inputs.is_empty();
    if !known || keys(base) == keys(current) {
        return Ok(());
    }
    let names = |run: &Run| {
        run.inputs.iter().map(|input| input.path.as_str()).collect::<Vec<_>>().join(", ")
    };
    Err(MetricsError::DifferentInputs { base: names(base), current: names(current) })
}

/// What all changes of a comparison are judged by.
struct Judged<'a> {
    threshold: f64,
    /// Whether times and rates have a verdict.
    times: bool,
    /// Of the reference workload, by scenario.
    slowdowns: Vec<(&'a str, f64)>,
    /// The scenario of the base run.
    earlier: &'a dyn Fn(&str) -> Option<&'a Scenario>,
}

impl Judged<'_> {
    /// The change in units of the reference workload, as a share; `None` for what is no time or rate
    /// or has no reference.
    fn in_reference(&self, scenario: &str, unit: Unit, base: f64, current: f64) -> Option<f64> {
        let (_, slowdown) = self.slowdowns.iter().find(|(id, _)| *id == scenario)?;
        ratio(base, in_reference(unit, current, *slowdown)?)
    }
}

type Pair<'a> = (&'a Scenario, Option<&'a Measurement>, Option<&'a Measurement>);

fn find<'a>(run: &'a Run, scenario: &str, metric: &str) -> Option<&'a Measurement> {
    let scenario = run.scenarios.iter().find(|s| s.id == scenario)?;
    scenario.measurements.iter().find(|m| m.metric == metric)
}

/// Rank tests of all pairs with enough samples, adjusted together.
fn q_values(pairs: &[Pair<'_>]) -> Vec<Option<f64>> {
    let p_value = |(_, before, after): &Pair<'_>| {
        let (before, after) = (&before.as_ref()?.samples, &after.as_ref()?.samples);
        let enough = before.len().min(after.len()) >= MIN_SAMPLES;
        enough.then(|| mann_whitney_u(before, after))?.map(|test| test.p_value)
    };
    let p_values: Vec<Option<f64>> = pairs.iter().map(p_value).collect();
    let known: Vec<f64> = p_values.iter().copied().flatten().collect();
    let mut adjusted = benjamini_hochberg(&known).into_iter();
    p_values.into_iter().map(|p| p.and_then(|_| adjusted.next())).collect()
}

fn change(pair: &Pair<'_>, judged: &Judged<'_>, q_value: Option<f64>) -> Option<Change> {
    let (scenario, before, after) = *pair;
    let shown = after.or(before)?;
    let threshold = shown.repeats_within.map_or(judged.threshold, |own| own.min(judged.threshold));
    let value = |m: Option<&Measurement>| m.and_then(Measurement::value);
    let (base, current) = (value(before), value(after));
    let same_kind =
        before.zip(after).is_none_or(|(b, a)| (b.unit, b.direction) == (a.unit, a.direction));
    let relative = base.zip(current).and_then(|(b, c)| ratio(b, c));
    let slack = before.zip(after).map_or(0.0, |(b, a)| slack(scenario, b, a));
    let both = [Some(scenario), (judged.earlier)(&scenario.id)];
    let is_telling = both.into_iter().flatten().all(|s| is_telling(s, &shown.metric));
    let has_verdict = (judged.times || !shown.unit.is_of_time()) && is_telling;
    let verdict = match (base, current) {
        _ if !same_kind => ChangeVerdict::NotComparable,
        (None, None) => ChangeVerdict::NotComparable,
        (Some(_), None) => ChangeVerdict::Lost,
        (None, Some(_)) => ChangeVerdict::New,
        _ if !has_verdict => ChangeVerdict::NotComparable,
        (Some(b), Some(c)) if (c - b).abs() <= slack => ChangeVerdict::Unchanged,
        (Some(b), Some(c)) => {
            let is_reference = shown.role == Role::Reference;
            let in_reference =
                judged.in_reference(&scenario.id, shown.unit, b, c).filter(|_| !is_reference);
            let verdict = judge(shown.direction, relative, c - b, threshold);
            // What only the machine's speed has moved is no change.
            let stays = |r: f64| judge(shown.direction, Some(r), r, threshold) == verdict;
            if in_reference.is_none_or(stays) { verdict } else { ChangeVerdict::Unchanged }
        }
    };
    Some(Change {
        scenario: scenario.id.clone(),
        metric: shown.metric.clone(),
        role: shown.role,
        unit: shown.unit,
        direction: shown.direction,
        base,
        current,
        relative: relative.filter(|_| same_kind),
        q_value: q_value.filter(|_| same_kind),
        threshold,
        slack,
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
