//! The paired regression test: launches of two programs, taken in turn.
//!
//! Procedure: hierarchical bootstrap over launches, then over pairs within a launch, of the median
//! log-ratio; a minimum effect above the noise of an A/A pairing measured in the same sitting
//! (Kalibera and Jones, "Rigorous benchmarking in reasonable time", 2013).

use super::{SplitMix64, bootstrap::percentile_interval, quantile};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// The effect below which no verdict is given.
    pub min_effect: f64,
    /// The verdict.
    pub verdict: PairedVerdict,
}

/// Judges pairs `(baseline, candidate)` of a cost, grouped by launch.
///
/// Pairs that are not positive and finite are left out. `None` when fewer than two launches hold a
/// pair: one launch cannot tell a build from its luck.
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
    let mut rng = SplitMix64::new(config.seed);
    let mut drawn = Vec::new();
    let mut estimates = Vec::with_capacity(config.resamples);
    for _ in 0..config.resamples {
        drawn.clear();
        for _ in 0..ratios.len() {
            let launch = &ratios[rng.below(ratios.len())];
            drawn.extend((0..launch.len()).map(|_| launch[rng.below(launch.len())]));
        }
        estimates.push(quantile(&drawn, 0.5)?);
    }
    let interval = percentile_interval(&estimates, config.confidence)?.map(f64::exp_m1);
    let min_effect = config.min_effect.max(3.0 * config.noise_floor);
    let [low, high] = interval;
    let verdict = if low > 0.0 && effect > min_effect {
        PairedVerdict::Regression
    } else if high < 0.0 && effect < -min_effect {
        PairedVerdict::Improvement
    } else if low > -min_effect && high < min_effect {
        PairedVerdict::Equivalent
    } else {
        PairedVerdict::Inconclusive
    };
    Some(PairedResult { effect, interval, min_effect, verdict })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five launches of ten pairs with jitter, a tail and an offset per launch.
    fn launches(slow_down: f64, seed: u64) -> Vec<Vec<(f64, f64)>> {
        let mut rng = SplitMix64::new(seed);
        let gauss = |rng: &mut SplitMix64| (0..12).map(|_| rng.next_f64()).sum::<f64>() - 6.0;
        (0..5)
            .map(|_| {
                let offset = 0.01 * gauss(&mut rng);
                let noise = |rng: &mut SplitMix64| {
                    let tail = if rng.next_f64() < 0.08 {
                        -0.15 * (1.0 - rng.next_f64()).ln()
                    } else {
                        0.0
                    };
                    (0.03 * gauss(rng) + tail).exp()
                };
                (0..10)
                    .map(|_| (noise(&mut rng), noise(&mut rng) * (1.0 + slow_down) * offset.exp()))
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
    fn a_noisy_sitting_raises_the_bar() {
        let quiet = paired_test(&launches(0.08, 3), &PairedConfig::default()).unwrap();
        let loud = PairedConfig { noise_floor: 0.05, ..PairedConfig::default() };
        let loud = paired_test(&launches(0.08, 3), &loud).unwrap();
        assert_eq!(quiet.verdict, PairedVerdict::Regression);
        assert_eq!(loud.verdict, PairedVerdict::Equivalent);
    }
}
