//! Robust trends: Theil and Sen's slope and the test of Mann and Kendall.

use super::{bootstrap::percentile_interval, normal::upper_tail, quantile_sorted, sorted_finite};

/// Above this many points the slope is taken over an evenly thinned series: pairs grow squared.
const MAX_POINTS: usize = 2000;

/// A straight line through points, unmoved by up to 29 % of outliers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TheilSen {
    /// Median of the slopes of all pairs, in y per x.
    pub slope: f64,
    /// Median of `y - slope * x`.
    pub intercept: f64,
    /// Central 95 % of the pairwise slopes: a spread, not a confidence interval.
    pub slope_spread: [f64; 2],
}

/// Fits the line (Theil 1950; Sen, Journal of the American Statistical Association 63, 1968).
///
/// Points with a value that is not finite are left out. `None` with fewer than two different x.
///
/// ```
/// let line = lob_metrics::stats::theil_sen(&[0.0, 1.0, 2.0, 3.0], &[1.0, 3.0, 90.0, 7.0]).unwrap();
/// assert_eq!(line.slope, 2.0);
/// ```
#[must_use]
pub fn theil_sen(x: &[f64], y: &[f64]) -> Option<TheilSen> {
    let finite: Vec<(f64, f64)> = x
        .iter()
        .copied()
        .zip(y.iter().copied())
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .collect();
    let points: Vec<(f64, f64)> =
        finite.iter().copied().step_by(finite.len().div_ceil(MAX_POINTS).max(1)).collect();
    let mut slopes = Vec::with_capacity(points.len() * points.len().saturating_sub(1) / 2);
    for (i, (x_i, y_i)) in points.iter().enumerate() {
        slopes.extend(
            points[i + 1..]
                .iter()
                .map(|(x_j, y_j)| (y_j - y_i) / (x_j - x_i))
                .filter(|slope| slope.is_finite()),
        );
    }
    let slope_spread = percentile_interval(&slopes, 0.95)?;
    let slope = quantile_sorted(&sorted_finite(&slopes), 0.5);
    let residuals: Vec<f64> = points.iter().map(|(x, y)| y - slope * x).collect();
    let intercept = quantile_sorted(&sorted_finite(&residuals), 0.5);
    Some(TheilSen { slope, intercept, slope_spread })
}

/// Result of [`mann_kendall`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// Kendall's S: later-is-larger pairs minus later-is-smaller pairs.
    pub s: i64,
    /// Two-sided p-value of "no trend", normal approximation with tie correction.
    pub p_value: f64,
}

/// Tests whether a series tends upwards or downwards (Mann, Econometrica 13, 1945; Kendall 1975).
/// `None` below four finite values.
#[must_use]
pub fn mann_kendall(series: &[f64]) -> Option<Trend> {
    let values: Vec<f64> = series.iter().copied().filter(|x| x.is_finite()).collect();
    if values.len() < 4 {
        return None;
    }
    let mut s = 0_i64;
    for (i, earlier) in values.iter().enumerate() {
        for later in &values[i + 1..] {
            s += i64::from(later > earlier) - i64::from(later < earlier);
        }
    }
    let n = values.len() as f64;
    let ties: f64 = sorted_finite(&values)
        .chunk_by(|a, b| a.total_cmp(b).is_eq())
        .map(|group| group.len() as f64)
        .map(|t| t * (t - 1.0) * (2.0 * t + 5.0))
        .sum();
    let variance = (n * (n - 1.0) * (2.0 * n + 5.0) - ties) / 18.0;
    let distance = (s.unsigned_abs() as f64 - 1.0).max(0.0);
    let p_value =
        if variance > 0.0 { (2.0 * upper_tail(distance / variance.sqrt())).min(1.0) } else { 1.0 };
    Some(Trend { s, p_value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_outlier_does_not_tilt_the_line() {
        let x: Vec<f64> = (0..20).map(f64::from).collect();
        let mut y: Vec<f64> = x.iter().map(|x| 3.0 * x + 2.0).collect();
        y[7] = 1e6;
        let line = theil_sen(&x, &y).unwrap();
        assert!(
            (line.slope - 3.0).abs() < 1e-12 && (line.intercept - 2.0).abs() < 1e-9,
            "{line:?}"
        );
    }

    #[test]
    fn a_line_needs_two_places() {
        assert_eq!(theil_sen(&[1.0, 1.0], &[2.0, 3.0]), None);
        assert_eq!(theil_sen(&[1.0, f64::NAN], &[2.0, 3.0]), None);
        assert_eq!(theil_sen(&[], &[]), None);
    }

    #[test]
    fn a_long_series_is_thinned_and_keeps_its_slope() {
        let x: Vec<f64> = (0..5001).map(f64::from).collect();
        let line = theil_sen(&x, &x).unwrap();
        assert!((line.slope - 1.0).abs() < 1e-12);
    }

    #[test]
    fn trends_are_told_from_flat_series() {
        let rising: Vec<f64> = (0..10).map(f64::from).collect();
        let trend = mann_kendall(&rising).unwrap();
        // S 45, variance 10*9*25/18 = 125, z = 44 / sqrt(125) = 3.935.
        assert_eq!(trend.s, 45);
        assert!((trend.p_value - 8.303e-5).abs() < 1e-7, "{trend:?}");
        assert_eq!(mann_kendall(&[5.0; 8]).unwrap(), Trend { s: 0, p_value: 1.0 });
        assert_eq!(mann_kendall(&[1.0, 2.0, 3.0]), None);
    }
}
