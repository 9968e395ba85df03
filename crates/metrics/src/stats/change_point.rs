//! Where a series of runs moved to another level.

use super::{SplitMix64, quantile};

/// Fewer points than this on a side of a split say nothing about a level.
const MIN_SEGMENT: usize = 5;
/// Shuffles behind the p-value.
const SHUFFLES: usize = 499;
/// Largest p-value that is worth a hint.
const MAX_P: f64 = 0.01;
/// Smallest change of level that is worth a hint.
const MIN_CHANGE: f64 = 0.02;

/// A change of level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChangePoint {
    /// Position of the first value of the new level.
    pub index: usize,
    /// Median before it.
    pub before: f64,
    /// Median from it on.
    pub after: f64,
    /// `after / before - 1`.
    pub relative: f64,
    /// Share of shuffled series with as clear a split.
    pub p_value: f64,
}

/// The clearest change of level of a series of positive values, oldest first: the split with the
/// largest |t| of Welch (Biometrika 34, 1947) on the logarithms, kept if shuffled series reach it at
/// most once in a hundred and the medians differ by more than 2 %.
///
/// `None` without such a split, below ten values, or when a value is not positive and finite. A hint
/// to look, not a verdict: under heavy noise it misses most changes.
///
/// ```
/// let mut nights = vec![10.0, 10.1, 9.9, 10.0, 10.2, 9.9, 10.1, 10.0];
/// nights.extend([11.1, 11.0, 11.2, 10.9, 11.0, 11.1, 11.0, 11.1]);
/// let change = lob_metrics::stats::change_point(&nights, 1).unwrap();
/// assert_eq!(change.index, 8);
/// assert!((change.relative - 0.1).abs() < 0.02);
/// ```
#[must_use]
pub fn change_point(series: &[f64], seed: u64) -> Option<ChangePoint> {
    if series.len() < 2 * MIN_SEGMENT || series.iter().any(|x| !x.is_finite() || *x <= 0.0) {
        return None;
    }
    let mut logs: Vec<f64> = series.iter().map(|x| x.ln()).collect();
    let (index, clearest) = clearest_split(&logs);
    let mut rng = SplitMix64::new(seed);
    let mut as_clear = 1;
    for _ in 0..SHUFFLES {
        for i in (1..logs.len()).rev() {
            logs.swap(i, rng.below(i + 1));
        }
        as_clear += usize::from(clearest_split(&logs).1 >= clearest);
    }
    let p_value = as_clear as f64 / (SHUFFLES + 1) as f64;
    let (before, after) = (quantile(&series[..index], 0.5)?, quantile(&series[index..], 0.5)?);
    let relative = after / before - 1.0;
    (p_value <= MAX_P && relative.abs() > MIN_CHANGE).then_some(ChangePoint {
        index,
        before,
        after,
        relative,
        p_value,
    })
}

/// The split with the largest |t|, and that |t|.
fn clearest_split(values: &[f64]) -> (usize, f64) {
    let n = values.len();
    let (mut sum, mut squares) = (0.0, 0.0);
    let total: f64 = values.iter().sum();
    let total_squares: f64 = values.iter().map(|x| x * x).sum();
    let mut best = (MIN_SEGMENT, -1.0);
    for (i, x) in values.iter().enumerate().take(n - MIN_SEGMENT) {
        sum += x;
        squares += x * x;
        let left = i + 1;
        if left < MIN_SEGMENT {
            continue;
        }
        let (a, b) = (left as f64, (n - left) as f64);
        let (mean_a, mean_b) = (sum / a, (total - sum) / b);
        let spread = |squares: f64, mean: f64, n: f64| {
            ((squares / n - mean * mean) / (n - 1.0)).max(f64::EPSILON)
        };
        let error = spread(squares, mean_a, a) + spread(total_squares - squares, mean_b, b);
        let t = (mean_b - mean_a).abs() / error.sqrt();
        if t > best.1 {
            best = (left, t);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{NoiseModel, NoiseSource};

    /// Sixty nights of medians of twenty, moved by `shift` from the fortieth on.
    fn nights(model: NoiseModel, shift: f64, seed: u64) -> Vec<f64> {
        let mut noise = NoiseSource::new(model, seed);
        (0..60)
            .map(|night| {
                let offset = noise.launch();
                let samples: Vec<f64> = (0..20).map(|_| noise.sample() + offset).collect();
                let moved = if night >= 40 { 1.0 + shift } else { 1.0 };
                moved * quantile(&samples, 0.5).unwrap().exp()
            })
            .collect()
    }

    #[test]
    fn a_shift_on_a_quiet_machine_is_found_where_it_happened_and_no_other() {
        for (shift, least, most) in [(0.0, 0, 2), (0.05, 29, 30), (-0.05, 29, 30)] {
            let found = (0..30)
                .filter_map(|seed| change_point(&nights(NoiseModel::QUIET, shift, seed), seed))
                .filter(|change| shift == 0.0 || (37..=43).contains(&change.index))
                .count();
            assert!((least..=most).contains(&found), "{shift}: {found} of 30");
        }
    }

    #[test]
    fn short_and_broken_series_have_no_change() {
        assert_eq!(change_point(&[1.0; 9], 1), None);
        assert_eq!(change_point(&[1.0; 40], 1), None);
        let mut broken = nights(NoiseModel::QUIET, 0.2, 1);
        broken[3] = f64::NAN;
        assert_eq!(change_point(&broken, 1), None);
    }
}
