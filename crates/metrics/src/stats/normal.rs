//! The normal distribution: its upper tail, and the other way round.

/// `P(Z > z)` of a standard normal Z.
///
/// Up to |z| = 3 by the series `Φ(z) = 1/2 + φ(z) Σ z^(2k+1) / (1·3·5···(2k+1))` (Abramowitz and
/// Stegun 26.2.11), beyond by Laplace's continued fraction (26.2.14): both reach double precision.
pub(crate) fn upper_tail(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - upper_tail(-z);
    }
    let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if z <= 3.0 {
        let (mut term, mut sum, mut odd) = (z, z, 1.0);
        while term > 1e-18 {
            odd += 2.0;
            term *= z * z / odd;
            sum += term;
        }
        (0.5 - density * sum).max(0.0)
    } else {
        let fraction = (1..=60).rev().fold(z, |below, k| z + f64::from(k) / below);
        density / fraction
    }
}

/// The z with `P(Z <= z) = p`, by halving; `p` strictly inside 0..1.
pub(crate) fn quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if upper_tail(middle) > 1.0 - p { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabulated_tails_come_out() {
        for (z, expected) in [
            (0.0, 0.5),
            (1.0, 0.158_655_253_931_457_05),
            (1.959_963_984_540_054, 0.025),
            (3.0, 0.001_349_898_031_630_094_6),
            (3.1, 9.676_032_132_183_562e-4),
            (6.0, 9.865_876_450_376_98e-10),
            (-1.0, 0.841_344_746_068_542_9),
        ] {
            let found = upper_tail(z);
            assert!((found / expected - 1.0).abs() < 1e-9, "z {z}: {found} {expected}");
        }
    }

    #[test]
    fn quantiles_undo_tails() {
        for p in [0.001, 0.025, 0.5, 0.9, 0.99] {
            assert!((1.0 - upper_tail(quantile(p)) - p).abs() < 1e-9, "{p}");
        }
    }
}
