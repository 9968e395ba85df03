//! The paired regression test: launches of two programs, taken in turn.
//!
//! Procedure: hierarchical bootstrap over launches, then over pairs within a launch, of the median
//! log-ratio; a minimum effect above the noise of an A/A pairing measured in the same sitting
//! (Kalibera and Jones, "Rigorous benchmarking in reasonable time", 2013).

use serde::{Deserialize, Serialize};

use super::{SplitMix64, bootstrap::median_of_counts, bootstrap::percentile_interval, quantile};

/// Settings of [`paired_test`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedConfig {
    /// Effects up to this share are not worth a verdict.
    pub min_effect: f64,
    /// The A/A noise floor of the same sitting, as a share; three times it also bounds the effect.
    pub noise_floor: f64,
    /// Two-sided confidence of the interval.
    pub confidence: f64,
    /// Resamples of the hierarchical bootstrap.
    pub resamples: usize,
    /// Seed of the resampling.
    pub seed: u64,
}

impl Default for PairedConfig {
    fn default() -> Self {
        Self { min_effect: 0.03, noise_floor: 0.0, confidence: 0.98, resamples: 2000, seed: 1 }
    }
}

/// What the pairs say about a cost (time, memory: lower is better).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairedVerdict {
    /// The candidate costs more, beyond noise and minimum effect.
    Regression,
    /// The candidate costs less, beyond noise and minimum effect.
    Improvement,
    /// The whole interval lies within the minimum effect.
    Equivalent,
    /// More pairs are needed.
    Inconclusive,
}

/// Result of [`paired_test`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedResult {
    /// Median of candidate / baseline - 1.
    pub effect: f64,
    /// Its confidence interval.
    pub interval: [f64; 2],
    /// Two-sided bootstrap p-value of "no effect", never below one in the number of resamples.
    pub p_value: f64,
    /// The effect below which nothing is called worse or better: the larger of
    /// [`PairedConfig::min_effect`] and three times the noise floor.
    pub min_effect: f64,
    /// The verdict.
    pub verdict: PairedVerdict,
}

/// Judges pairs `(baseline, candidate)` of a cost, grouped by launch.
///
/// Pairs that are not positive and finite are left out. `None` when fewer than two launches hold a
/// pair: one launch cannot tell a build from its luck.
///
/// "Equivalent" asks for the interval to lie within [`PairedConfig::min_effect`] itself: a noisy
/// sitting raises the bar for blame, it does not widen what counts as the same.
#[must_use]
pub fn paired_test(launches: &[Vec<(f64, f64)>], config: &PairedConfig) -> Option<PairedResult> {
    let ratios: Vec<Vec<f64>> = launches
        .iter()
        .map(|pairs| pairs.iter().map(|(a, b)| (b / a).ln()).filter(|r| r.is_finite()).collect())
        .filter(|pairs: &Vec<f64>| !pairs.is_empty())
        .collect();
    if ratios.len() < 2 {
        return None;
    }
    let effect = quantile(&ratios.concat(), 0.5)?.exp_m1();
    let estimates = resampled_medians(&ratios, config);
    let interval = percentile_interval(&estimates, config.confidence)?.map(f64::exp_m1);
    let min_effect = config.min_effect.max(3.0 * config.noise_floor);
    let [low, high] = interval;
    let verdict = if low > 0.0 && effect > min_effect {
        PairedVerdict::Regression
    } else if high < 0.0 && effect < -min_effect {
        PairedVerdict::Improvement
    } else if low > -config.min_effect && high < config.min_effect {
        PairedVerdict::Equivalent
    } else {
        PairedVerdict::Inconclusive
    };
    Some(PairedResult { effect, interval, p_value: p_value(&estimates), min_effect, verdict })
}

/// Medians of resamples: launches with replacement, then pairs of each with replacement.
fn resampled_medians(ratios: &[Vec<f64>], config: &PairedConfig) -> Vec<f64> {
    // Ranks instead of values: a median is then read off counts, without sorting each resample.
    let mut order: Vec<(usize, usize)> = ratios
        .iter()
        .enumerate()
        .flat_map(|(launch, pairs)| (0..pairs.len()).map(move |pair| (launch, pair)))
        .collect();
    order.sort_by(|a, b| ratios[a.0][a.1].total_cmp(&ratios[b.0][b.1]));
    let sorted: Vec<f64> = order.iter().map(|(launch, pair)| ratios[*launch][*pair]).collect();
    let mut ranks: Vec<Vec<usize>> = ratios.iter().map(|pairs| vec![0; pairs.len()]).collect();
    for (rank, (launch, pair)) in order.iter().enumerate() {
        ranks[*launch][*pair] = rank;
    }
    let mut rng = SplitMix64::new(config.seed);
    let mut times_drawn = vec![0_u32; sorted.len()];
    let resample = |_| {
        times_drawn.fill(0);
        let mut drawn = 0;
        for _ in 0..ranks.len() {
            let launch = &ranks[rng.below(ranks.len())];
            for _ in 0..launch.len() {
                times_drawn[launch[rng.below(launch.len())]] += 1;
            }
            drawn += launch.len();
        }
        median_of_counts(&sorted, &times_drawn, drawn)
    };
    (0..config.resamples).map(resample).collect()
}

/// Twice the smaller tail of the resampled medians around "no effect" (Efron and Tibshirani,
/// ch. 15), counting the sample itself so that it is never zero.
fn p_value(estimates: &[f64]) -> f64 {
    let tail = |side: fn(&f64) -> bool| estimates.iter().filter(|x| side(x)).count() + 1;
    let smaller = tail(|x| *x <= 0.0).min(tail(|x| *x >= 0.0));
    (2.0 * smaller as f64 / (estimates.len() + 1) as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{NoiseModel, NoiseSource};

    /// Five launches of ten pairs on a shared virtual machine.
    fn launches(slow_down: f64, seed: u64) -> Vec<Vec<(f64, f64)>> {
        let mut noise = NoiseSource::new(NoiseModel::SHARED_VM, seed);
        (0..5)
            .map(|_| {
                let offsets = (noise.launch(), noise.launch());
                (0..10)
                    .map(|_| {
                        let baseline = (noise.sample() + offsets.0).exp();
                        (baseline, (noise.sample() + offsets.1).exp() * (1.0 + slow_down))
                    })
                    .collect()
            })
            .collect()
    }

    fn rate(slow_down: f64, verdict: PairedVerdict) -> usize {
        let config = PairedConfig { resamples: 300, ..PairedConfig::default() };
        (0..60)
            .filter(|seed| {
                paired_test(&launches(slow_down, *seed), &config).unwrap().verdict == verdict
            })
            .count()
    }

    #[test]
    fn slow_downs_are_found_and_equal_programs_are_not_blamed() {
        assert!(rate(0.10, PairedVerdict::Regression) >= 57);
        assert!(rate(-0.10, PairedVerdict::Improvement) >= 57);
        assert!(rate(0.0, PairedVerdict::Regression) <= 1);
    }

    #[test]
    fn one_launch_is_not_enough() {
        assert_eq!(paired_test(&launches(0.2, 1)[..1], &PairedConfig::default()), None);
        assert_eq!(
            paired_test(&[vec![(0.0, 1.0)], vec![(1.0, 1.0)]], &PairedConfig::default()),
            None
        );
    }

    #[test]
    fn a_noisy_sitting_raises_the_bar_and_does_not_call_a_difference_equal() {
        let quiet = paired_test(&launches(0.08, 3), &PairedConfig::default()).unwrap();
        let loud = PairedConfig { noise_floor: 0.05, ..PairedConfig::default() };
        let loud = paired_test(&launches(0.08, 3), &loud).unwrap();
        assert_eq!(quiet.verdict, PairedVerdict::Regression);
        assert_eq!(loud.verdict, PairedVerdict::Inconclusive);
        assert!((loud.min_effect - 0.15).abs() < 1e-12);
    }

    #[test]
    fn the_p_value_agrees_with_the_interval() {
        for seed in 0..20 {
            for slow_down in [0.0, 0.02, 0.05] {
                let found =
                    paired_test(&launches(slow_down, seed), &PairedConfig::default()).unwrap();
                let outside = found.interval[0] > 0.0 || found.interval[1] < 0.0;
                let near = (found.p_value - 0.02).abs() < 0.002;
                assert!(near || outside == (found.p_value < 0.02), "{found:?}");
            }
        }
    }
}
