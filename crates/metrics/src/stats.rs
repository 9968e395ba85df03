//! Statistics as pure functions over slices. Each names the source of its formula.

mod binomial;
mod bootstrap;
mod change_point;
mod false_discovery;
mod noise;
mod normal;
mod paired;
mod rank_test;
mod rng;
mod trend;

pub use binomial::binomial_tail;
pub(crate) use bootstrap::median_ci_sorted;
pub use bootstrap::{bootstrap_ci, bootstrap_median_ci};
pub use change_point::{ChangePoint, change_point};
pub use false_discovery::benjamini_hochberg;
pub use noise::{NoiseModel, NoiseSource};
pub(crate) use normal::{quantile as normal_quantile, upper_tail as normal_upper_tail};
pub use paired::{PairedConfig, PairedResult, PairedVerdict, paired_test};
pub use rank_test::{RankTest, mann_whitney_u};
pub use rng::SplitMix64;
pub use trend::{TheilSen, Trend, mann_kendall, theil_sen};

/// Linear-interpolation quantile (Hyndman and Fan 1996, type 7) of sorted, non-empty samples.
pub(crate) fn quantile_sorted(sorted: &[f64], q: f64) -> f64 {
    let position = q * (sorted.len() - 1) as f64;
    let low = position.floor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 <= position <= len - 1"
    )]
    let index = low as usize;
    let next = sorted[(index + 1).min(sorted.len() - 1)];
    sorted[index] + (position - low) * (next - sorted[index])
}

/// The type-7 quantile of samples in any order; `None` when no sample is finite.
///
/// ```
/// assert_eq!(lob_metrics::stats::quantile(&[4.0, 1.0, 3.0, 2.0], 0.5), Some(2.5));
/// ```
#[must_use]
pub fn quantile(samples: &[f64], q: f64) -> Option<f64> {
    let sorted = sorted_finite(samples);
    (!sorted.is_empty()).then(|| quantile_sorted(&sorted, q.clamp(0.0, 1.0)))
}

/// The largest of some values, where a value that is no number must not go unseen: NaN as soon as
/// one of them is, unlike a fold with [`f64::max`], which passes over it. `None` of no values.
///
/// ```
/// use lob_metrics::stats::largest;
/// assert_eq!(largest([1.0, 3.0, 2.0]), Some(3.0));
/// assert!(largest([f64::NAN, 3.0]).is_some_and(f64::is_nan));
/// assert_eq!(largest([]), None);
/// ```
#[must_use]
pub fn largest(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    values.into_iter().reduce(|a, b| if a.is_nan() || a >= b { a } else { b })
}

/// The finite samples in ascending order.
pub(crate) fn sorted_finite(samples: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = samples.iter().copied().filter(|x| x.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_place_hides_a_value_that_is_no_number() {
        for at in 0..3 {
            let mut values = [1.0, 2.0, f64::INFINITY];
            values[at] = f64::NAN;
            assert!(largest(values).is_some_and(f64::is_nan), "{at}");
        }
        assert_eq!(largest([f64::NEG_INFINITY, -1.0, -2.0]), Some(-1.0));
    }
}
