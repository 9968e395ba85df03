//! Two programs in one sitting: verdicts over several metrics, doubled and confirmed.
//!
//! [`run_ab`] is the whole procedure behind `lob ab`; who measures is behind [`Sitting`], so that a
//! simulated machine can be put in the place of a real one.

mod futility;
mod judge;
mod simulated;

use serde::{Deserialize, Serialize};

use crate::stats::{PairedConfig, PairedVerdict};
use crate::{Direction, Unit};

pub use judge::judge_metrics;
pub use simulated::SimulatedSitting;

/// Below this chance to settle, further pairs are futile.
const CHANCE: f64 = 0.2;

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
    /// Whether other programs on the machine move it (wall time, and rates by it): on a busy machine
    /// it may stay open without keeping the others from a verdict.
    #[serde(default)]
    pub on_wall_clock: bool,
}

/// What a sitting has found of one metric so far.
#[derive(Debug, Clone, PartialEq)]
pub struct AbSamples {
    /// The metric.
    pub metric: AbMetric,
    /// Pairs `(baseline, candidate)` by launch; where every run is a launch of its own, one pair
    /// each. Resampling in blocks of independent pairs would draw the interval too wide by a third.
    pub blocks: Vec<Vec<(f64, f64)>>,
    /// Each side against itself, neighbouring launches in the order they ran: the A/A noise of this
    /// sitting.
    pub again: Vec<(f64, f64)>,
}

/// Each side against itself: the two runs of a side in each quadruple (ABBA or BAAB) of `pairs`, the
/// baseline's first.
#[must_use]
pub fn against_itself(pairs: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let quadruples = || pairs.chunks_exact(2);
    let baseline = quadruples().map(|two| (two[0].0, two[1].0));
    baseline.chain(quadruples().map(|two| (two[0].1, two[1].1))).collect()
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
    /// How far chance alone moves `effect`: the standard error by the spread of one side against
    /// itself. Three times this is not called worse or better.
    pub noise_floor: f64,
    /// p-value of "no effect"; `None` for exact metrics.
    pub p_value: Option<f64>,
    /// The p-value adjusted for testing several metrics (Benjamini-Hochberg).
    pub q_value: Option<f64>,
    /// The verdict.
    pub verdict: PairedVerdict,
    /// Whether it is left out of the overall verdict: open, on the wall clock of a machine that other
    /// programs use, while the CPU time is settled.
    #[serde(default)]
    pub not_judged: bool,
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
    /// Whether other programs used so much of the machine that wall times say little.
    fn is_disturbed(&self) -> bool {
        false
    }
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

/// Why no further pairs were run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AbEnd {
    /// The verdict was clear.
    Settled,
    /// What was still open would hardly have settled by [`AbConfig::max_pairs`].
    Futile,
    /// All pairs were run.
    #[default]
    Pairs,
    /// There was no time left.
    Time,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AbOutcome {
    /// Regression if any metric has one, improvement if any has one and none regressed, equivalent
    /// if all are that are judged (see [`AbResult::not_judged`]); inconclusive otherwise.
    pub verdict: PairedVerdict,
    /// The metrics.
    pub metrics: Vec<AbResult>,
    /// Pairs of all sittings.
    pub pairs: usize,
    /// Whether a fresh sitting found a regression again; `None` when there was none to confirm.
    pub confirmed: Option<bool>,
    /// Why the first sitting ended.
    #[serde(default)]
    pub ended: AbEnd,
    /// Whether other programs used so much of the machine that wall times say little.
    #[serde(default)]
    pub disturbed: bool,
}

impl AbOutcome {
    /// Adds a metric that was judged apart, and what it does to the overall verdict.
    pub fn add(&mut self, result: AbResult) {
        self.metrics.push(result);
        self.verdict = overall(&self.metrics);
    }
}

/// Runs both programs in turn until the verdict is clear: the pairs double while it is open, up to
/// [`AbConfig::max_pairs`] or until what is open has hardly a chance to settle by then, and a
/// regression counts only if a fresh sitting finds it again.
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
    let (mut metrics, ended) =
        until_clear(config, &mut first, config.first_pairs, all, |s, r| tell(false, s, r))?;
    let (mut pairs, mut disturbed) = (first.n_pairs(), first.is_disturbed());
    let worse: Vec<String> = metrics
        .iter()
        .filter(|m| m.verdict == PairedVerdict::Regression)
        .map(|m| m.metric.name.clone())
        .collect();
    let mut confirmed = None;
    if !worse.is_empty() {
        let mut second = open(1)?;
        let blamed = |metric: &AbMetric| worse.contains(&metric.name);
        let (again, _) = until_clear(config, &mut second, pairs, blamed, |s, r| tell(true, s, r))?;
        pairs += second.n_pairs();
        disturbed |= second.is_disturbed();
        for metric in metrics.iter_mut().filter(|m| m.verdict == PairedVerdict::Regression) {
            let found = again.iter().find(|a| a.metric.name == metric.metric.name);
            if found.is_none_or(|a| a.verdict != PairedVerdict::Regression) {
                metric.verdict = PairedVerdict::Inconclusive;
            }
        }
        confirmed = Some(metrics.iter().any(|m| m.verdict == PairedVerdict::Regression));
    }
    excuse(&mut metrics, disturbed);
    Ok(AbOutcome { verdict: overall(&metrics), metrics, pairs, confirmed, ended, disturbed })
}

/// Doubles the pairs while the verdict on the metrics of interest is open and may yet settle.
fn until_clear<S: Sitting>(
    config: &AbConfig,
    sitting: &mut S,
    first_pairs: usize,
    of_interest: impl Fn(&AbMetric) -> bool,
    mut look: impl FnMut(&S, &[AbResult]) -> bool,
) -> Result<(Vec<AbResult>, AbEnd), S::Error> {
    let mut wanted = first_pairs;
    loop {
        sitting.extend(wanted)?;
        let mut samples = sitting.samples();
        samples.retain(|s| of_interest(&s.metric));
        let results = judge_metrics(&samples, &config.paired);
        let has_time = look(sitting, &results);
        let pairs = sitting.n_pairs();
        let room = config.max_pairs.saturating_sub(pairs);
        let end = if overall(&results) != PairedVerdict::Inconclusive {
            AbEnd::Settled
        } else if room == 0 || pairs == 0 {
            // Nothing comes of nothing doubled.
            AbEnd::Pairs
        } else if !has_time {
            AbEnd::Time
        } else if is_futile(config, &results, pairs, sitting.is_disturbed()) {
            AbEnd::Futile
        } else {
            wanted = pairs.min(room);
            continue;
        };
        return Ok((results, end));
    }
}

/// Whether none of the open metrics has a fair chance to settle by the last pair. On a disturbed
/// machine more is asked of the wall clock once the CPU time is settled: little hangs on it.
fn is_futile(config: &AbConfig, results: &[AbResult], pairs: usize, disturbed: bool) -> bool {
    let excusable = disturbed && has_settled_off_the_wall_clock(results);
    let open = results.iter().filter(|r| r.verdict == PairedVerdict::Inconclusive);
    let is_hopeless = |r: &AbResult| {
        let bar = if excusable && r.metric.on_wall_clock { 2.0 * CHANCE } else { CHANCE };
        futility::chance_to_settle(r, config, pairs) < bar
    };
    !results.is_empty() && open.into_iter().all(is_hopeless)
}

/// Takes open metrics of the wall clock out of the overall verdict, where the machine is disturbed
/// and what does not hang on the wall clock is settled.
fn excuse(results: &mut [AbResult], disturbed: bool) {
    let excusable = disturbed && has_settled_off_the_wall_clock(results);
    for result in results.iter_mut().filter(|r| r.metric.on_wall_clock) {
        result.not_judged = excusable && result.verdict == PairedVerdict::Inconclusive;
    }
}

/// Whether some timing does not hang on the wall clock, and all of these are settled.
fn has_settled_off_the_wall_clock(results: &[AbResult]) -> bool {
    let is_timed = |r: &&AbResult| r.metric.exact.is_none() && !r.metric.on_wall_clock;
    let mut timed = results.iter().filter(is_timed).peekable();
    timed.peek().is_some() && timed.all(|r| r.verdict != PairedVerdict::Inconclusive)
}

/// One verdict for all metrics.
fn overall(results: &[AbResult]) -> PairedVerdict {
    let any = |verdict| results.iter().any(|r| r.verdict == verdict && !r.not_judged);
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

    /// The whole procedure with its early stops, on a machine whose wall clock others disturb: the
    /// two metrics and up to four looks together blame nobody more often than promised, either way.
    #[test]
    fn repeated_looks_and_early_stops_raise_no_false_alarms() {
        use PairedVerdict::{Equivalent, Improvement, Inconclusive, Regression};
        let busy = NoiseModel { jitter: 0.2, ..NoiseModel::CROWDED_CI };
        let (mut ends, mut pairs, trials) = ([0; 4], 0, 400);
        let mut not_judged = 0;
        for trial in 0..trials {
            let open = |sitting| {
                let quiet = SimulatedSitting::new(NoiseModel::QUIET, 0.0, trial * 2 + sitting);
                Ok::<_, ()>(quiet.with_wall_clock(busy))
            };
            let found = run_ab(&config(), open, |_| true).unwrap();
            let kinds = [Regression, Improvement, Equivalent, Inconclusive];
            ends[kinds.iter().position(|k| *k == found.verdict).unwrap()] += 1;
            pairs += found.pairs;
            not_judged += usize::from(found.metrics[1].not_judged);
        }
        assert!(ends[0] <= 4 && ends[1] <= 4, "{ends:?} of {trials}");
        assert!(ends[2] >= 360 && not_judged >= 360, "CPU time is judged: {ends:?}, {not_judged}");
        assert!(pairs < 50 * 400, "and the wall clock is given up early: {pairs} pairs");
    }

    /// Giving up early must not cost what the pairs would have found.
    #[test]
    fn a_slow_down_is_found_though_the_wall_clock_is_hopeless() {
        let busy = NoiseModel { jitter: 0.2, ..NoiseModel::CROWDED_CI };
        for model in [NoiseModel::QUIET, NoiseModel::SHARED_VM] {
            let found = (0..100).filter(|trial| {
                let open = |sitting| {
                    let sitting = SimulatedSitting::new(model, 0.05, trial * 2 + sitting);
                    Ok::<_, ()>(sitting.with_wall_clock(busy))
                };
                let found = run_ab(&config(), open, |_| true).unwrap();
                found.verdict == PairedVerdict::Regression
            });
            let found = found.count();
            assert!(found >= 80, "{found} of 100");
        }
    }

    /// "Equal" is wrong at most about once in forty looks, where the difference is just the smallest
    /// one that counts.
    #[test]
    fn a_difference_at_the_threshold_is_rarely_called_equal() {
        let equal = count(NoiseModel::QUIET, 0.03, 300, PairedVerdict::Equivalent);
        assert!(equal <= 12, "{equal} of 300");
    }

    /// The old floor, the size of one signed median, is near zero by symmetry and jumps tenfold.
    #[test]
    fn the_noise_floor_is_alike_in_neighbouring_sittings() {
        for model in [NoiseModel::QUIET, NoiseModel::SHARED_VM] {
            let floors: Vec<(f64, f64)> = (0..100)
                .map(|seed| {
                    let mut sitting = SimulatedSitting::<()>::new(model, 0.0, seed);
                    sitting.extend(100).unwrap();
                    let samples = sitting.samples();
                    let signed: Vec<f64> =
                        samples[0].again.iter().map(|(a, b)| (b / a).ln()).collect();
                    let old = crate::stats::quantile(&signed, 0.5).unwrap().exp_m1().abs();
                    (judge_metrics(&samples, &config().paired)[0].noise_floor, old)
                })
                .collect();
            let jumps = |of: fn(&(f64, f64)) -> f64, factor: f64| {
                let is_jump = |two: &&[(f64, f64)]| {
                    let (a, b) = (of(&two[0]), of(&two[1]));
                    a.max(b) > factor * a.min(b)
                };
                floors.windows(2).filter(is_jump).count()
            };
            let new = jumps(|f| f.0, 1.5);
            assert!(new <= 5, "{new} of 99 neighbours differ by more than 1.5");
            assert!(jumps(|f| f.1, 10.0) >= 5, "the old one jumped");
        }
    }

    #[test]
    fn the_pairs_double_up_to_the_limit_and_the_budget_ends_them() {
        let open =
            |sitting| Ok::<_, ()>(SimulatedSitting::new(NoiseModel::SHARED_VM, 0.0, sitting));
        // Nothing is called equal within so little, and every pair brings it nearer to a blame.
        let paired = PairedConfig { min_effect: 1e-9, ..config().paired };
        let mut seen = Vec::new();
        let mut samples_of = |config: &AbConfig| {
            let mut first = open(3).unwrap();
            until_clear(
                config,
                &mut first,
                20,
                |_| true,
                |s: &SimulatedSitting<()>, _| {
                    seen.push(s.n_pairs());
                    true
                },
            )
            .unwrap()
            .1
        };
        let end = samples_of(&AbConfig { paired, ..config() });
        assert!(matches!(end, AbEnd::Futile | AbEnd::Pairs), "{end:?}");
        assert!([20, 40, 80, 100].starts_with(&seen), "{seen:?}");
        let hurried = run_ab(&AbConfig { paired, ..config() }, open, |_| false).unwrap();
        assert_eq!((hurried.pairs, hurried.confirmed, hurried.ended), (20, None, AbEnd::Time));
    }

    #[test]
    fn noise_that_no_number_of_pairs_can_settle_ends_it_early() {
        let noisy = NoiseModel { jitter: 0.5, ..NoiseModel::CROWDED_CI };
        let ends = (0..20).map(|seed| {
            let open = |sitting| Ok::<_, ()>(SimulatedSitting::new(noisy, 0.0, seed * 2 + sitting));
            run_ab(&config(), open, |_| true).unwrap()
        });
        let early = ends.filter(|o| o.ended == AbEnd::Futile && o.pairs <= 40).count();
        assert!(early >= 12, "{early} of 20");
    }

    /// Two programs that report nothing of the same kind: there is nothing to double.
    #[test]
    fn a_sitting_without_pairs_ends() {
        struct Empty;
        impl Sitting for Empty {
            type Error = ();
            fn extend(&mut self, _: usize) -> Result<(), ()> {
                Ok(())
            }
            fn n_pairs(&self) -> usize {
                0
            }
            fn samples(&self) -> Vec<AbSamples> {
                Vec::new()
            }
        }
        let outcome = run_ab(&config(), |_| Ok(Empty), |_| true).unwrap();
        assert_eq!((outcome.verdict, outcome.pairs), (PairedVerdict::Inconclusive, 0));
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
