//! Robust summaries of samples.

use serde::{Deserialize, Serialize};

use crate::nan;
use crate::stats::{median_ci_sorted, quantile_sorted, sorted_finite};

/// A sample this many robust standard deviations from the median is an outlier: the cut-off of
/// Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993.
pub const OUTLIER_Z: f64 = 3.5;
/// MAD of a normal distribution per standard deviation: its 75 % quantile.
const MAD_PER_SIGMA: f64 = 0.674_489_750_196_081_7;
/// Mean absolute deviation of a normal distribution per standard deviation: `sqrt(2 / π)`.
const MEAN_AD_PER_SIGMA: f64 = 0.797_884_560_802_865_4;

/// Percentiles and spread of a set of samples, in the samples' unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of finite samples.
    pub n: usize,
    /// Smallest sample.
    #[serde(deserialize_with = "nan::number")]
    pub min: f64,
    /// Median (type 7).
    #[serde(deserialize_with = "nan::number")]
    pub median: f64,
    /// Arithmetic mean.
    #[serde(deserialize_with = "nan::number")]
    pub mean: f64,
    /// 95th percentile (type 7).
    #[serde(deserialize_with = "nan::number")]
    pub p95: f64,
    /// 99th percentile (type 7).
    #[serde(deserialize_with = "nan::number")]
    pub p99: f64,
    /// Largest sample.
    #[serde(deserialize_with = "nan::number")]
    pub max: f64,
    /// Median absolute deviation from the median, unscaled.
    #[serde(deserialize_with = "nan::number")]
    pub mad: f64,
    /// Samples further than [`OUTLIER_Z`] robust standard deviations from the median.
    pub outliers: usize,
    /// 95 % confidence interval of the median; `None` below six samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci95: Option<[f64; 2]>,
}

impl Summary {
    /// Summarises the finite samples; `None` when there is none.
    #[must_use]
    pub fn of(samples: &[f64]) -> Option<Self> {
        let sorted = sorted_finite(samples);
        let n = sorted.len();
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let median = quantile_sorted(&sorted, 0.5);
        let deviations: Vec<f64> = sorted.iter().map(|x| (x - median).abs()).collect();
        let mad = quantile_sorted(&sorted_finite(&deviations), 0.5);
        Some(Self {
            n,
            min,
            median,
            mean: sorted.iter().sum::<f64>() / n as f64,
            p95: quantile_sorted(&sorted, 0.95),
            p99: quantile_sorted(&sorted, 0.99),
            max,
            mad,
            outliers: count_outliers(&deviations, mad),
            ci95: median_ci_sorted(&sorted),
        })
    }
}

/// Samples whose modified z-score exceeds [`OUTLIER_Z`]. Where more than half the samples are equal
/// the MAD is zero and the mean absolute deviation takes its place (Iglewicz and Hoaglin, 3.3).
fn count_outliers(deviations: &[f64], mad: f64) -> usize {
    let sigma = if mad > 0.0 {
        mad / MAD_PER_SIGMA
    } else {
        deviations.iter().sum::<f64>() / deviations.len() as f64 / MEAN_AD_PER_SIGMA
    };
    deviations.iter().filter(|d| sigma > 0.0 && **d > OUTLIER_Z * sigma).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }

    #[test]
    fn percentiles_and_spread_of_one_to_ten() {
        let samples: Vec<f64> = (1..=10).rev().map(f64::from).collect();
        let s = Summary::of(&samples).unwrap();
        near(s.median, 5.5);
        near(s.mean, 5.5);
        near(s.p95, 9.55);
        near(s.p99, 9.91);
        near(s.mad, 2.5);
        assert_eq!((s.n, s.outliers), (10, 0));
    }

    #[test]
    fn outliers_are_counted_also_when_most_samples_are_equal() {
        for (samples, expected) in [
            (vec![10.0, 10.1, 9.9, 10.0, 10.2, 30.0], 1),
            (vec![5.0; 9], 0),
            ([vec![5.0; 30], vec![50.0]].concat(), 1),
            (vec![1.0], 0),
        ] {
            assert_eq!(Summary::of(&samples).unwrap().outliers, expected, "{samples:?}");
        }
    }

    #[test]
    fn values_that_are_no_numbers_do_not_count() {
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[f64::NAN, f64::INFINITY]), None);
        assert_eq!(Summary::of(&[f64::NAN, 2.0]).unwrap().n, 1);
    }

    proptest! {
        #[test]
        fn a_summary_is_ordered_and_blind_to_order(mut samples in prop::collection::vec(-1e6..1e6_f64, 1..40)) {
            let s = Summary::of(&samples).unwrap();
            prop_assert!(s.min <= s.median && s.median <= s.p95 && s.p95 <= s.p99 && s.p99 <= s.max);
            prop_assert!(s.mad >= 0.0 && s.outliers <= s.n / 2);
            if let Some([low, high]) = s.ci95 {
                prop_assert!(s.min <= low && low <= s.median && s.median <= high && high <= s.max);
            }
            samples.reverse();
            prop_assert_eq!(Summary::of(&samples).unwrap().ci95, s.ci95);
        }
    }
}
