//! False-discovery control over many tests.

/// Adjusted p-values (q-values) in the order given: calling every metric with `q <= 0.05` different
/// keeps the expected share of false calls at 5 % (Benjamini and Hochberg, Journal of the Royal
/// Statistical Society B 57, 1995). A p-value that is not a number becomes 1.
///
/// ```
/// let q = lob_metrics::stats::benjamini_hochberg(&[0.01, 0.04, 0.03]);
/// assert!((q[0] - 0.03).abs() < 1e-12 && (q[1] - 0.04).abs() < 1e-12 && (q[2] - 0.04).abs() < 1e-12);
/// ```
#[must_use]
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let known = |p: f64| if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) };
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&i, &j| known(p_values[i]).total_cmp(&known(p_values[j])));
    let n = p_values.len() as f64;
    let mut adjusted = vec![1.0; p_values.len()];
    let mut smallest_above = 1.0_f64;
    for (rank, &i) in order.iter().enumerate().rev() {
        smallest_above = smallest_above.min(known(p_values[i]) * n / (rank + 1) as f64);
        adjusted[i] = smallest_above;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_1995_papers_example_keeps_four_hypotheses() {
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
            0.5719, 0.6528, 0.7590, 1.0,
        ];
        let kept = benjamini_hochberg(&p).iter().filter(|q| **q <= 0.05).count();
        assert_eq!(kept, 4);
    }

    #[test]
    fn an_unknown_p_value_is_never_a_discovery() {
        assert_eq!(benjamini_hochberg(&[f64::NAN]), [1.0]);
        assert!(benjamini_hochberg(&[]).is_empty());
    }
}
