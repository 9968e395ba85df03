//! Mann and Whitney's rank-sum test (Annals of Mathematical Statistics 18, 1947).

use super::normal::upper_tail;

/// Up to this many pairs, and without ties, the p-value is exact.
const MAX_EXACT_PAIRS: usize = 400;

/// Result of [`mann_whitney_u`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankTest {
    /// Pairs (x of `a`, y of `b`) with x > y; a tie counts half.
    pub u: f64,
    /// Two-sided p-value of "neither tends to be larger".
    pub p_value: f64,
    /// Probability that a value of `a` exceeds one of `b` (ties half): 0.5 is no difference.
    pub superiority: f64,
}

/// Tests whether the values of one set tend to be larger than those of the other.
///
/// Exact for up to 400 pairs without ties (the recursion of the 1947 paper), otherwise the normal
/// approximation with tie and continuity correction (Conover 5.1). `None` when a set has no finite
/// value.
///
/// ```
/// let t = lob_metrics::stats::mann_whitney_u(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]).unwrap();
/// assert_eq!((t.u, t.p_value), (0.0, 0.1));
/// ```
#[must_use]
pub fn mann_whitney_u(a: &[f64], b: &[f64]) -> Option<RankTest> {
    let finite = |values: &[f64], side: bool| -> Vec<(f64, bool)> {
        values.iter().filter(|x| x.is_finite()).map(|&x| (x, side)).collect()
    };
    let (mut pooled, second) = (finite(a, true), finite(b, false));
    let (n_a, n_b) = (pooled.len(), second.len());
    if n_a == 0 || n_b == 0 {
        return None;
    }
    pooled.extend(second);
    // Adding zero turns -0.0 into 0.0: they tie.
    pooled.iter_mut().for_each(|x| x.0 += 0.0);
    pooled.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (mut rank_sum, mut tie_term, mut start) = (0.0, 0.0, 0);
    for group in pooled.chunk_by(|x, y| x.0.total_cmp(&y.0).is_eq()) {
        let size = group.len() as f64;
        let mid_rank = start as f64 + (size + 1.0) / 2.0;
        rank_sum += mid_rank * group.iter().filter(|x| x.1).count() as f64;
        tie_term += size * (size * size - 1.0);
        start += group.len();
    }
    let (a_len, b_len) = (n_a as f64, n_b as f64);
    let pairs = a_len * b_len;
    let u = rank_sum - a_len * (a_len + 1.0) / 2.0;
    let p_value = if tie_term == 0.0 && n_a * n_b <= MAX_EXACT_PAIRS {
        exact_p(u.min(pairs - u), n_a, n_b)
    } else {
        let n = a_len + b_len;
        let variance = pairs / 12.0 * (n + 1.0 - tie_term / (n * (n - 1.0)));
        let distance = ((u - pairs / 2.0).abs() - 0.5).max(0.0);
        if variance > 0.0 { (2.0 * upper_tail(distance / variance.sqrt())).min(1.0) } else { 1.0 }
    };
    Some(RankTest { u, p_value, superiority: u / pairs })
}

/// Two-sided probability of a U at most `u` by counting arrangements: `ways[j][s]` is the number of
/// ways to give the `j` values of one set so far a U of `s`.
fn exact_p(u: f64, n_a: usize, n_b: usize) -> f64 {
    let pairs = n_a * n_b;
    // Gaussian binomial coefficient: multiply by (1 - q^(n_b + i)) and divide by (1 - q^i).
    let mut ways = vec![0.0_f64; pairs + 1];
    ways[0] = 1.0;
    for i in 1..=n_a {
        for s in (n_b + i..=pairs).rev() {
            ways[s] -= ways[s - n_b - i];
        }
        for s in i..=pairs {
            ways[s] += ways[s - i];
        }
    }
    let total: f64 = ways.iter().sum();
    let tail: f64 =
        ways.iter().zip(0_u32..).filter(|(_, s)| f64::from(*s) <= u).map(|(w, _)| w).sum();
    (2.0 * tail / total).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: &[f64], b: &[f64], u: f64, p_value: f64) {
        let found = mann_whitney_u(a, b).unwrap();
        assert!((found.u - u).abs() < 1e-9, "{found:?}");
        assert!((found.p_value - p_value).abs() < 1e-4, "{found:?} expected p {p_value}");
        let swapped = mann_whitney_u(b, a).unwrap();
        assert!((swapped.p_value - found.p_value).abs() < 1e-12);
        assert!((swapped.superiority + found.superiority - 1.0).abs() < 1e-12);
    }

    #[test]
    fn small_sets_are_exact() {
        // C(6,3) = 20 arrangements, two of them as extreme.
        check(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], 0.0, 0.1);
        // C(8,4) = 70; U <= 1 in 2 arrangements a side.
        check(&[1.0, 2.0, 3.0, 5.0], &[4.0, 6.0, 7.0, 8.0], 1.0, 4.0 / 70.0);
        check(&[1.0, 4.0], &[2.0, 3.0], 2.0, 1.0);
    }

    #[test]
    fn ties_use_the_corrected_normal_tail() {
        check(&[1.0, 1.0, 1.0], &[1.0, 1.0], 3.0, 1.0);
        // U 2, mean 8, variance 16/12 (9 - 12/56) = 11.714: z = (7.5 - 0.5) / 3.4226.
        check(
            &[1.0, 2.0, 2.0, 3.0],
            &[3.0, 4.0, 5.0, 6.0],
            0.5,
            2.0 * upper_tail(7.0 / 11.714_285_714_f64.sqrt()),
        );
    }

    #[test]
    fn nothing_to_compare_is_none() {
        assert_eq!(mann_whitney_u(&[], &[1.0]), None);
        assert_eq!(mann_whitney_u(&[1.0], &[f64::NAN]), None);
    }
}
