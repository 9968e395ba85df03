//! Two programs in one sitting: verdicts over several metrics, doubled and confirmed.
//!
//! [`run_ab`] is the whole procedure behind `lob ab`; who measures is behind [`Sitting`], so that a
//! simulated machine can be put in the place of a real one.

mod judge;
mod simulated;

use serde::{Deserialize, Serialize};

use crate::stats::{PairedConfig, PairedVerdict};
use crate::{Direction, Unit};

pub use judge::judge_metrics;
pub use simulated::SimulatedSitting;

/// One quantity that both sides report with every launch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AbMetric {
    /// Name, such as `wall_time`.
    pub name: String,
    /// Unit of the values.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    /// For figures that hardly vary (allocations, instructions, peak memory): the share by which
    /// they may differ. They are held against each other directly, without resampling.
    pub exact: Option<f64>,
}

/// What a sitting has found of one metric so far.
#[derive(Debug, Clone, PartialEq)]
pub struct AbSamples {
    /// The metric.
    pub metric: AbMetric,
    /// Pairs `(baseline, candidate)` in launches, or in blocks of neighbouring launches.
    pub blocks: Vec<Vec<(f64, f64)>>,
    /// The baseline against itself, in the order it was run: the A/A noise of this sitting.
    pub again: Vec<(f64, f64)>,
}

/// The verdict on one metric. Effects are those of the metric itself: +5 % of a throughput is good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AbResult {
    /// The metric.
    #[serde(flatten)]
    pub metric: AbMetric,
    /// Median of the baseline.
    pub baseline: f64,
    /// Median of the candidate.
    pub candidate: f64,
    /// Median of candidate / baseline - 1, pair by pair.
    pub effect: f64,
    /// Its confidence interval.
    pub interval: [f64; 2],
    /// The effect below which nothing is called worse or better.
    pub min_effect: f64,
    /// How far the baseline differed from itself.
    pub noise_floor: f64,
    /// p-value of "no effect"; `None` for exact metrics.
    pub p_value: Option<f64>,
    /// The p-value adjusted for testing several metrics (Benjamini-Hochberg).
    pub q_value: Option<f64>,
    /// The verdict.
    pub verdict: PairedVerdict,
}

/// Settings of [`run_ab`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AbConfig {
    /// The test of one metric; its noise floor is replaced by the sitting's own.
    pub paired: PairedConfig,
    /// Pairs before the first look.
    pub first_pairs: usize,
    /// Pairs after which an open verdict stays open.
    pub max_pairs: usize,
}

impl Default for AbConfig {
    fn default() -> Self {
        Self { paired: PairedConfig::default(), first_pairs: 20, max_pairs: 100 }
    }
}

/// Somebody who can run both programs in turn.
pub trait Sitting {
    /// What can go wrong.
    type Error;
    /// Runs at least this many further pairs.
    ///
    /// # Errors
    /// A program failed, or the sitting was interrupted.
    fn extend(&mut self, pairs: usize) -> Result<(), Self::Error>;
    /// Pairs so far.
    fn n_pairs(&self) -> usize;
    /// Everything found so far.
    fn samples(&self) -> Vec<AbSamples>;
}

/// A look at the pairs so far.
#[derive(Debug)]
pub struct AbLook<'a> {
    /// Whether this sitting confirms an earlier one.
    pub confirming: bool,
    /// Pairs of this sitting.
    pub pairs: usize,
    /// The verdicts as they stand.
    pub results: &'a [AbResult],
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AbOutcome {
    /// Regression if any metric has one, improvement if any has one and none regressed, equivalent
    /// if all are; inconclusive otherwise.
    pub verdict: PairedVerdict,
    /// The metrics.
    pub metrics: Vec<AbResult>,
    /// Pairs of all sittings.
    pub pairs: usize,
    /// Whether a fresh sitting found a regression again; `None` when there was none to confirm.
    pub confirmed: Option<bool>,
}

impl AbOutcome {
    /// Adds a metric that was judged apart, and what it does to the overall verdict.
    pub fn add(&mut self, result: AbResult) {
        self.metrics.push(result);
        self.verdict = overall(&self.metrics);
    }
}

/// Runs both programs in turn until the verdict is clear: the pairs double while it is open, up to
/// [`AbConfig::max_pairs`], and a regression counts only if a fresh sitting finds it again.
///
/// `open` begins sitting 0, and sitting 1 where there is a regression to confirm. `look` hears of
/// every verdict on the way and says whether there is time for more pairs.
///
/// # Errors
/// What the sitting reports.
///
/// ```
/// use lob_metrics::stats::{NoiseModel, PairedVerdict};
/// use lob_metrics::{AbConfig, SimulatedSitting, run_ab};
/// let open = |sitting| Ok::<_, ()>(SimulatedSitting::new(NoiseModel::QUIET, 0.05, 7 + sitting));
/// let outcome = run_ab(&AbConfig::default(), open, |_| true)?;
/// assert_eq!((outcome.verdict, outcome.confirmed), (PairedVerdict::Regression, Some(true)));
/// # Ok::<(), ()>(())
/// ```
pub fn run_ab<S: Sitting>(
    config: &AbConfig,
    mut open: impl FnMut(u64) -> Result<S, S::Error>,
    mut look: impl FnMut(&AbLook<'_>) -> bool,
) -> Result<AbOutcome, S::Error> {
    let mut first = open(0)?;
    let mut tell = |confirming: bool, sitting: &S, results: &[AbResult]| {
        look(&AbLook { confirming, pairs: sitting.n_pairs(), results })
    };
    let all = |_: &AbMetric| true;
    let mut metrics =
        until_clear(config, &mut first, config.first_pairs, all, |s, r| tell(false, s, r))?;
    let mut pairs = first.n_pairs();
    let worse: Vec<String> = metrics
        .iter()
        .filter(|m| m.verdict == PairedVerdict::Regression)
        .map(|m| m.metric.name.clone())
        .collect();
    let mut confirmed = None;
    if !worse.is_empty() {
        let mut second = open(1)?;
        let blamed = |metric: &AbMetric| worse.contains(&metric.name);
        let again = until_clear(config, &mut second, pairs, blamed, |s, r| tell(true, s, r))?;
        pairs += second.n_pairs();
        for metric in metrics.iter_mut().filter(|m| m.verdict == PairedVerdict::Regression) {
            let found = again.iter().find(|a| a.metric.name == metric.metric.name);
            if found.is_none_or(|a| a.verdict != PairedVerdict::Regression) {
                metric.verdict = PairedVerdict::Inconclusive;
            }
        }
        confirmed = Some(metrics.iter().any(|m| m.verdict == PairedVerdict::Regression));
    }
    Ok(AbOutcome { verdict: overall(&metrics), metrics, pairs, confirmed })
}

/// Doubles the pairs while the verdict on the metrics of interest is open.
fn until_clear<S: Sitting>(
    config: &AbConfig,
    sitting: &mut S,
    first_pairs: usize,
    of_interest: impl Fn(&AbMetric) -> bool,
    mut look: impl FnMut(&S, &[AbResult]) -> bool,
) -> Result<Vec<AbResult>, S::Error> {
    let mut wanted = first_pairs;
    loop {
        sitting.extend(wanted)?;
        let mut samples = sitting.samples();
        samples.retain(|s| of_interest(&s.metric));
        let results = judge_metrics(&samples, &config.paired);
        let has_time = look(sitting, &results);
        let room = config.max_pairs.saturating_sub(sitting.n_pairs());
        if overall(&results) != PairedVerdict::Inconclusive || !has_time || room == 0 {
            return Ok(results);
        }
        wanted = sitting.n_pairs().min(room);
    }
}

/// One verdict for all metrics.
fn overall(results: &[AbResult]) -> PairedVerdict {
    let any = |verdict| results.iter().any(|r| r.verdict == verdict);
    if any(PairedVerdict::Regression) {
        PairedVerdict::Regression
    } else if any(PairedVerdict::Improvement) {
        PairedVerdict::Improvement
    } else if any(PairedVerdict::Inconclusive) || results.is_empty() {
        PairedVerdict::Inconclusive
    } else {
        PairedVerdict::Equivalent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::NoiseModel;

    fn config() -> AbConfig {
        let paired = PairedConfig { resamples: 300, ..PairedConfig::default() };
        AbConfig { paired, ..AbConfig::default() }
    }

    /// How many of `trials` simulated comparisons end with `verdict`.
    fn count(model: NoiseModel, slow_down: f64, trials: u64, verdict: PairedVerdict) -> usize {
        let ends = |trial: &u64| {
            let open =
                |sitting| Ok::<_, ()>(SimulatedSitting::new(model, slow_down, trial * 2 + sitting));
            run_ab(&config(), open, |_| true).unwrap().verdict == verdict
        };
        (0..trials).filter(ends).count()
    }

    /// The promise: at most 1 % false alarms, 10 % found at least 95 times in 100 and 5 % at least
    /// 80 times, within 100 pairs a sitting.
    #[test]
    fn the_promised_rates_hold_on_a_quiet_and_on_a_shared_machine() {
        use PairedVerdict::{Improvement, Regression};
        for model in [NoiseModel::QUIET, NoiseModel::SHARED_VM] {
            let alarms = count(model, 0.0, 300, Regression);
            assert!(alarms <= 3, "{alarms} false alarms in 300");
            let faster = count(model, -0.05, 100, Regression);
            assert!(faster <= 1, "{faster} of 100 improvements called regressions");
            let found = count(model, 0.05, 200, Regression);
            assert!(found >= 160, "5 %: {found} of 200 found");
            let found = count(model, 0.10, 200, Regression);
            assert!(found >= 190, "10 %: {found} of 200 found");
            let found = count(model, -0.10, 100, Improvement);
            assert!(found >= 95, "-10 %: {found} of 100 found");
        }
    }

    #[test]
    fn a_crowded_machine_finds_less_and_blames_nobody() {
        use PairedVerdict::Regression;
        let alarms = count(NoiseModel::CROWDED_CI, 0.0, 200, Regression);
        assert!(alarms <= 2, "{alarms} false alarms in 200");
        assert!(count(NoiseModel::CROWDED_CI, 0.20, 100, Regression) >= 80);
    }

    #[test]
    fn the_pairs_double_up_to_the_limit_and_the_budget_ends_them() {
        let noisy = NoiseModel { jitter: 0.5, ..NoiseModel::CROWDED_CI };
        let open = |sitting| Ok::<_, ()>(SimulatedSitting::new(noisy, 0.0, sitting));
        let mut seen = Vec::new();
        let outcome = run_ab(&config(), open, |look| {
            seen.push(look.pairs);
            true
        });
        assert_eq!(seen, [20, 40, 80, 100]);
        assert_eq!(outcome.unwrap().verdict, PairedVerdict::Inconclusive);
        let hurried = run_ab(&config(), open, |_| false).unwrap();
        assert_eq!((hurried.pairs, hurried.confirmed), (20, None));
    }

    #[test]
    fn a_regression_that_does_not_come_again_is_none() {
        let open = |sitting| {
            let slow_down = if sitting == 0 { 0.2 } else { 0.0 };
            Ok::<_, ()>(SimulatedSitting::new(NoiseModel::QUIET, slow_down, sitting))
        };
        let outcome = run_ab(&config(), open, |_| true).unwrap();
        assert_eq!(outcome.confirmed, Some(false));
        assert_eq!(outcome.verdict, PairedVerdict::Inconclusive);
    }
}
