//! Student's distribution.

/// 97.5 % quantiles for 1 to 30 degrees of freedom.
const T_975: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

/// The 97.5 % quantile for this many degrees of freedom, at least 1: from a table, beyond it by
/// the first term of its expansion around the normal one (error below 0.001).
pub(super) fn quantile_975(freedom: usize) -> f64 {
    let z = 1.959_964_f64;
    #[expect(clippy::cast_precision_loss, reason = "a few degrees")]
    let beyond = || z + (z.powi(3) + z) / (4.0 * freedom as f64);
    T_975.get(freedom.saturating_sub(1)).copied().unwrap_or_else(beyond)
}

/// Half of the 95 % interval of a mean over independent values; 0 for one, of which the spread is
/// not known.
#[expect(clippy::cast_precision_loss, reason = "a few values")]
pub(super) fn half_width(values: &[f64]) -> f64 {
    let n = values.len();
    if n < 2 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
    quantile_975(n - 1) * (variance / n as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // 4.303 / sqrt(3)
        assert!((half_width(&[1.0, 2.0, 3.0]) - 2.484_338).abs() < 1e-5);
        assert_eq!(half_width(&[0.5]), 0.0);
        assert!((quantile_975(40) - 2.021).abs() < 2e-3, "{}", quantile_975(40));
        assert_eq!(quantile_975(1), 12.706);
    }
}
