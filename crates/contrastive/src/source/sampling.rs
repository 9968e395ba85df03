use crate::Rng;

/// Which windows of a stretch of rows are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Every `stride` rows from the first on.
    Sequential {
        /// Rows between neighbouring starts, at least 1.
        stride: usize,
    },
    /// This many different starts, drawn without replacement, in ascending order; all where there
    /// are fewer.
    Random {
        /// Windows wanted.
        n: usize,
        /// Seed of the draw.
        seed: u64,
    },
    /// This many starts, evenly spread from the first to the last; one alone lies in the middle.
    /// Starts that coincide are taken once.
    EvenlySpaced {
        /// Windows wanted.
        n: usize,
    },
}

/// Starts of windows of `window` rows in a stretch of `n_rows`, ascending; none where the stretch
/// is too short.
#[must_use]
pub fn window_starts(n_rows: usize, window: usize, sampling: Sampling) -> Vec<usize> {
    let Some(last) = n_rows.checked_sub(window.max(1)) else { return Vec::new() };
    match sampling {
        Sampling::Sequential { stride } => (0..=last).step_by(stride.max(1)).collect(),
        Sampling::Random { n, seed } => {
            let mut starts = distinct(n.min(last + 1), last + 1, &mut Rng::new(seed));
            starts.sort_unstable();
            starts
        }
        Sampling::EvenlySpaced { n: 0 } => Vec::new(),
        Sampling::EvenlySpaced { n: 1 } => vec![last / 2],
        Sampling::EvenlySpaced { n } => {
            let mut starts: Vec<usize> = (0..n).map(|i| round_even(i * last, n - 1)).collect();
            starts.dedup();
            starts
        }
    }
}

/// `a / b` rounded to the nearest whole number, ties to the even one.
fn round_even(a: usize, b: usize) -> usize {
    let (whole, twice_rest) = (a / b, 2 * (a % b));
    whole + usize::from(twice_rest > b || (twice_rest == b && whole % 2 == 1))
}

/// `k` numbers below `n`, all different where `n` allows it (Floyd's sampling, Bentley and Floyd,
/// 1987): the same anchor twice in a batch would be its own negative.
pub(super) fn distinct(k: usize, n: usize, rng: &mut Rng) -> Vec<usize> {
    if k > n {
        return (0..k).map(|_| rng.below(n)).collect();
    }
    let mut seen = std::collections::HashSet::with_capacity(k);
    (n - k..n)
        .map(|j| {
            let pick = rng.below(j + 1);
            let taken = if seen.insert(pick) { pick } else { j };
            seen.insert(taken);
            taken
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;
    use proptest::prelude::*;

    #[test]
    fn starts_of_each_kind_by_hand() {
        let check = |n_rows, window, sampling, expected: &[usize]| {
            assert_eq!(window_starts(n_rows, window, sampling), expected, "{sampling:?}");
        };
        check(10, 4, Sampling::Sequential { stride: 3 }, &[0, 3, 6]);
        check(10, 4, Sampling::Sequential { stride: 4 }, &[0, 4]);
        check(3, 4, Sampling::Sequential { stride: 1 }, &[]);
        check(10, 4, Sampling::EvenlySpaced { n: 1 }, &[3]);
        // round(i * 6 / 4), halves to even: 0, 1.5, 3, 4.5, 6
        check(10, 4, Sampling::EvenlySpaced { n: 5 }, &[0, 2, 3, 4, 6]);
        check(4, 4, Sampling::EvenlySpaced { n: 3 }, &[0]);
        check(9, 4, Sampling::EvenlySpaced { n: 0 }, &[]);
        check(6, 4, Sampling::Random { n: 9, seed: 1 }, &[0, 1, 2]);
    }

    proptest! {
        #[test]
        fn starts_are_different_ascending_and_inside(
            n_rows in 0_usize..200, window in 1_usize..50, n in 0_usize..40, seed in 0_u64..50,
        ) {
            for sampling in [
                Sampling::Random { n, seed },
                Sampling::EvenlySpaced { n },
                Sampling::Sequential { stride: n.max(1) },
            ] {
                let starts = window_starts(n_rows, window, sampling);
                prop_assert!(starts.windows(2).all(|w| w[0] < w[1]));
                prop_assert!(starts.iter().all(|s| s + window <= n_rows));
                prop_assert_eq!(&starts, &window_starts(n_rows, window, sampling));
                if let Sampling::Random { n, .. } = sampling {
                    let room = (n_rows + 1).saturating_sub(window);
                    prop_assert_eq!(starts.len(), n.min(room));
                }
            }
        }
    }

    #[test]
    fn draws_are_distinct_when_they_can_be() {
        let mut rng = Rng::new(5);
        for (k, n) in [(0, 1), (1, 1), (5, 5), (5, 9), (20, 400)] {
            let mut drawn = distinct(k, n, &mut rng);
            drawn.sort_unstable();
            drawn.dedup();
            assert!(drawn.len() == k && drawn.iter().all(|&i| i < n));
        }
        assert_eq!(distinct(7, 3, &mut rng).len(), 7);
    }
}
