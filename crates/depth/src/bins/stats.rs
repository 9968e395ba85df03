//! Statistics of whole numbers, exact up to the final division.

/// The median of sizes; of an even number the mean of the middle two, of none 0. Reorders them.
#[expect(clippy::cast_precision_loss, reason = "sums of two u32 are exact in f64")]
pub(super) fn median(sizes: &mut [u32]) -> f64 {
    let n = sizes.len();
    if n == 0 {
        return 0.0;
    }
    let (below, &mut upper, _) = sizes.select_nth_unstable(n / 2);
    if n % 2 == 1 {
        return f64::from(upper);
    }
    let lower = below.iter().copied().max().unwrap_or(upper);
    (u64::from(lower) + u64::from(upper)) as f64 / 2.0
}

/// Sample variance (ddof 1) from the count, sum and sum of squares; 0 below two values.
///
/// (n Σx² − (Σx)²) / (n (n − 1)): the numerator is an exact integer below 2^128 for up to 2^32
/// values of 32 bits, so nothing cancels.
#[expect(clippy::cast_precision_loss, reason = "the only roundings of an exact result")]
pub(super) fn sample_variance(n: u32, sum: u64, sum_of_squares: u128) -> f64 {
    if n < 2 {
        return 0.0;
    }
    let n = u128::from(n);
    let numerator = n * sum_of_squares - u128::from(sum) * u128::from(sum);
    numerator as f64 / (n * (n - 1)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn medians() {
        for (sizes, expected) in [
            (&[][..], 0.0),
            (&[7], 7.0),
            (&[9, 2], 5.5),
            (&[3, 1, 2], 2.0),
            (&[4, 1, 3, 2], 2.5),
            (&[5, 5, 5, 1], 5.0),
            (&[u32::MAX, u32::MAX], f64::from(u32::MAX)),
        ] {
            let mut scratch = sizes.to_vec();
            assert!((median(&mut scratch) - expected).abs() < f64::EPSILON, "{sizes:?}");
        }
    }

    #[test]
    fn variance_does_not_cancel() {
        let sizes = [u32::MAX, u32::MAX - 1, u32::MAX - 2];
        let sum: u64 = sizes.iter().map(|&x| u64::from(x)).sum();
        let squares: u128 = sizes.iter().map(|&x| u128::from(x) * u128::from(x)).sum();
        assert!((sample_variance(3, sum, squares) - 1.0).abs() < f64::EPSILON);
        assert!(sample_variance(1, 5, 25).abs() < f64::EPSILON);
    }

    proptest! {
        #[test]
        fn variance_equals_two_passes(sizes in prop::collection::vec(0_u32..100_000, 2..200)) {
            let sum: u64 = sizes.iter().map(|&x| u64::from(x)).sum();
            let squares: u128 = sizes.iter().map(|&x| u128::from(x) * u128::from(x)).sum();
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let (n, mean) = (sizes.len() as f64, sum as f64 / sizes.len() as f64);
            let expected = sizes.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let n = u32::try_from(sizes.len()).expect("short");
            let found = sample_variance(n, sum, squares);
            prop_assert!((found - expected).abs() <= 1e-12 * expected.max(1.0), "{found} {expected}");
        }

        #[test]
        fn median_equals_sorting(sizes in prop::collection::vec(any::<u32>(), 1..100)) {
            let mut sorted = sizes.clone();
            sorted.sort_unstable();
            let n = sorted.len();
            let expected = f64::midpoint(f64::from(sorted[(n - 1) / 2]), f64::from(sorted[n / 2]));
            let mut scratch = sizes;
            prop_assert!((median(&mut scratch) - expected).abs() < f64::EPSILON);
        }
    }
}
