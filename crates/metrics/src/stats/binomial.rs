//! Tails of the binomial distribution.

/// Probability of `successes` or more in `trials`, each with probability `p`: the exact sum, in
/// logarithms so that no factorial overflows.
///
/// ```
/// let p = lob_metrics::stats::binomial_tail(2, 3, 0.5);
/// assert!((p - 0.5).abs() < 1e-12);
/// ```
#[must_use]
pub fn binomial_tail(successes: usize, trials: usize, p: f64) -> f64 {
    if successes == 0 || p >= 1.0 {
        return 1.0;
    }
    if successes > trials || p <= 0.0 {
        return 0.0;
    }
    let (ln_p, ln_q) = (p.ln(), (-p).ln_1p());
    let mut ln_ways = 0.0;
    let mut tail = 0.0;
    for k in 0..=trials {
        if k > 0 {
            ln_ways += ((trials - k + 1) as f64).ln() - (k as f64).ln();
        }
        if k >= successes {
            tail += (ln_ways + k as f64 * ln_p + (trials - k) as f64 * ln_q).exp();
        }
    }
    tail.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_known_in_closed_form_come_out() {
        for (successes, trials, p, expected) in [
            (0, 10, 0.3, 1.0),
            (1, 100, 0.01, 1.0 - 0.99_f64.powi(100)),
            (10, 10, 0.5, 0.5_f64.powi(10)),
            (6, 10, 0.5, 386.0 / 1024.0),
            (11, 10, 0.5, 0.0),
            (1, 10, 0.0, 0.0),
            (3, 10, 1.0, 1.0),
            (500, 1000, 0.5, 0.512_612_509_089_180_8),
        ] {
            let found = binomial_tail(successes, trials, p);
            assert!((found - expected).abs() < 1e-9, "{successes} of {trials} at {p}: {found}");
        }
    }
}
