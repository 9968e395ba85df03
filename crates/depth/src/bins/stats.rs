//! Statistics of whole numbers, exact up to the final division.

/// Runs below which sorting is as fast as counting.
const COUNTED_MIN: usize = 24;
/// Counters a run may take to be counted: clearing and scanning them has to stay cheap.
const COUNTERS_PER_RUN: usize = 8;

/// A size and the number of times it occurs in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) size: u32,
    pub(super) n: u32,
}

/// The median of `n` sizes; of an even number the mean of the middle two, of none 0. Reorders
/// the runs.
///
/// `counters` is scratch memory. Sizes of a level mostly lie close together: counting how often
/// each occurs then finds the middle of many faster than sorting does.
#[expect(clippy::cast_precision_loss, reason = "sums of two u32 are exact in f64")]
pub(super) fn median(runs: &mut [Run], n: u32, counters: &mut Vec<u32>) -> f64 {
    let (lower, upper) = match runs {
        [] => return 0.0,
        [run] => (run.size, run.size),
        runs => {
            let (mut least, mut largest) = (u32::MAX, 0);
            for run in &*runs {
                least = least.min(run.size);
                largest = largest.max(run.size);
            }
            let range = (largest - least) as usize;
            if runs.len() >= COUNTED_MIN && range < COUNTERS_PER_RUN * runs.len() {
                counters.clear();
                counters.resize(range + 1, 0);
                runs.iter().for_each(|run| counters[(run.size - least) as usize] += run.n);
                middle((least..).zip(counters.iter().copied()), n)
            } else {
                runs.sort_unstable_by_key(|run| run.size);
                middle(runs.iter().map(|run| (run.size, run.n)), n)
            }
        }
    };
    (u64::from(lower) + u64::from(upper)) as f64 / 2.0
}

/// The sizes at the sorted positions (n - 1) / 2 and n / 2 of ascending sizes and how often each
/// occurs, `n` together.
fn middle(sizes: impl Iterator<Item = (u32, u32)>, n: u32) -> (u32, u32) {
    let (mut n_up_to, mut lower) = (0, None);
    for (size, count) in sizes {
        n_up_to += count;
        if n_up_to > (n - 1) / 2 {
            let lower = *lower.get_or_insert(size);
            if n_up_to > n / 2 {
                return (lower, size);
            }
        }
    }
    unreachable!("the counts sum to n")
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

    fn runs(sizes: &[u32]) -> Vec<Run> {
        let run =
            |same: &[u32]| Run { size: same[0], n: u32::try_from(same.len()).expect("short") };
        sizes.chunk_by(|a, b| a == b).map(run).collect()
    }

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
            let n = u32::try_from(sizes.len()).expect("short");
            let found = median(&mut runs(sizes), n, &mut Vec::new());
            assert!((found - expected).abs() < f64::EPSILON, "{sizes:?}");
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
        fn median_equals_sorting(
            mut sizes in prop::collection::vec(any::<u32>(), 1..100),
            range in prop_oneof![Just(u32::MAX), 1_u32..1_000],
            offset in 0_u32..50,
        ) {
            sizes.iter_mut().for_each(|size| *size = (*size % range).saturating_add(offset));
            let mut sorted = sizes.clone();
            sorted.sort_unstable();
            let n = sorted.len();
            let expected = f64::midpoint(f64::from(sorted[(n - 1) / 2]), f64::from(sorted[n / 2]));
            let mut counters = vec![7; 3];
            let found = median(&mut runs(&sizes), u32::try_from(n).expect("short"), &mut counters);
            prop_assert!((found - expected).abs() < f64::EPSILON);
        }
    }
}
