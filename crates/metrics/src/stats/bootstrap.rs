//! Percentile bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13).

use super::{SplitMix64, quantile_sorted, sorted_finite};

/// Below this many samples an interval of the median would promise more than it knows.
const MIN_SAMPLES: usize = 6;
/// Above this many samples the interval by ranks equals the resampled one and costs nothing.
const MAX_RESAMPLED: usize = 4096;
/// Resamples behind each interval.
const RESAMPLES: usize = 1000;
const SEED: u64 = 0x10B1_AB00;

/// Confidence interval of any statistic of the finite samples; the same seed gives the same
/// interval. `None` below six finite samples or when `confidence` is not inside `0..1`.
pub fn bootstrap_ci(
    samples: &[f64],
    mut statistic: impl FnMut(&[f64]) -> f64,
    resamples: usize,
    confidence: f64,
    seed: u64,
) -> Option<[f64; 2]> {
    let values = sorted_finite(samples);
    if values.len() < MIN_SAMPLES || resamples == 0 || !(0.0..1.0).contains(&confidence) {
        return None;
    }
    let mut rng = SplitMix64::new(seed);
    let mut drawn = vec![0.0; values.len()];
    let mut estimates = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        drawn.fill_with(|| values[rng.below(values.len())]);
        estimates.push(statistic(&drawn));
    }
    percentile_interval(&estimates, confidence)
}

/// 95 % confidence interval of the median of the finite samples; `None` below six of them.
///
/// Up to 4,096 samples: 1,000 seeded resamples. Above: the order statistics at ranks
/// `n/2 ± 1.96 sqrt(n)/2` (Conover, "Practical Nonparametric Statistics", 3.2), the limit the
/// bootstrap of a median tends to.
///
/// ```
/// use lob_metrics::stats::bootstrap_median_ci;
/// let [low, high] = bootstrap_median_ci(&[9.8, 10.1, 10.0, 10.2, 9.9, 10.0, 12.5]).unwrap();
/// assert!(9.8 <= low && low <= 10.0 && 10.0 <= high && high <= 12.5);
/// ```
#[must_use]
pub fn bootstrap_median_ci(samples: &[f64]) -> Option<[f64; 2]> {
    median_ci_sorted(&sorted_finite(samples))
}

/// As [`bootstrap_median_ci`], for finite samples in ascending order.
pub(crate) fn median_ci_sorted(sorted: &[f64]) -> Option<[f64; 2]> {
    let n = sorted.len();
    if n < MIN_SAMPLES {
        return None;
    }
    if n > MAX_RESAMPLED {
        let half_width = 1.96 / (2.0 * (n as f64).sqrt());
        return Some([0.5 - half_width, 0.5 + half_width].map(|q| quantile_sorted(sorted, q)));
    }
    let mut rng = SplitMix64::new(SEED);
    let mut times_drawn = vec![0_u32; n];
    let mut medians = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        times_drawn.fill(0);
        for _ in 0..n {
            times_drawn[rng.below(n)] += 1;
        }
        medians.push(median_of_counts(sorted, &times_drawn, n));
    }
    percentile_interval(&medians, 0.95)
}

/// Median of a resample of `drawn` values, given as how often each sorted value was drawn: no
/// sorting needed.
pub(super) fn median_of_counts(sorted: &[f64], times_drawn: &[u32], drawn: usize) -> f64 {
    let (low_rank, high_rank) = (drawn.saturating_sub(1) / 2, drawn / 2);
    let mut seen = 0;
    let mut low = None;
    for (value, &times) in sorted.iter().zip(times_drawn) {
        seen += times as usize;
        if low.is_none() && seen > low_rank {
            low = Some(*value);
        }
        if seen > high_rank {
            return f64::midpoint(low.unwrap_or(*value), *value);
        }
    }
    sorted[sorted.len() - 1]
}

/// The central `confidence` of the estimates; `None` when none of them is finite.
pub(crate) fn percentile_interval(estimates: &[f64], confidence: f64) -> Option<[f64; 2]> {
    let sorted = sorted_finite(estimates);
    let tail = (1.0 - confidence) / 2.0;
    (!sorted.is_empty()).then(|| [tail, 1.0 - tail].map(|q| quantile_sorted(&sorted, q)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_samples_have_no_interval() {
        assert_eq!(bootstrap_median_ci(&[1.0, 2.0, 3.0, 4.0, 5.0]), None);
        assert_eq!(bootstrap_median_ci(&[1.0, 2.0, 3.0, 4.0, 5.0, f64::NAN]), None);
        assert_eq!(bootstrap_median_ci(&[2.0; 6]), Some([2.0, 2.0]));
    }

    #[test]
    fn both_ways_to_resample_a_median_agree() {
        let mut rng = SplitMix64::new(3);
        let samples: Vec<f64> = (0..201).map(|_| rng.next_f64()).collect();
        let median = |drawn: &[f64]| quantile_sorted(&sorted_finite(drawn), 0.5);
        let general = bootstrap_ci(&samples, median, 1000, 0.95, 11).unwrap();
        let special = bootstrap_median_ci(&samples).unwrap();
        assert!((general[0] - special[0]).abs() < 0.02, "{general:?} {special:?}");
        assert!((general[1] - special[1]).abs() < 0.02, "{general:?} {special:?}");
    }

    #[test]
    fn intervals_hold_the_true_median_about_95_times_in_100() {
        let mut rng = SplitMix64::new(99);
        let held = (0..200)
            .filter(|_| {
                let samples: Vec<f64> = (0..25).map(|_| rng.next_f64()).collect();
                let [low, high] = bootstrap_median_ci(&samples).unwrap();
                low <= 0.5 && 0.5 <= high
            })
            .count();
        assert!((178..=200).contains(&held), "{held} of 200");
    }

    #[test]
    fn the_interval_by_ranks_joins_the_resampled_one() {
        let mut rng = SplitMix64::new(5);
        let samples: Vec<f64> = (0..MAX_RESAMPLED + 1).map(|_| rng.next_f64()).collect();
        let ranks = bootstrap_median_ci(&samples).unwrap();
        let resampled = bootstrap_median_ci(&samples[1..]).unwrap();
        assert!((ranks[0] - resampled[0]).abs() < 0.005, "{ranks:?} {resampled:?}");
        assert!((ranks[1] - resampled[1]).abs() < 0.005, "{ranks:?} {resampled:?}");
    }
}
