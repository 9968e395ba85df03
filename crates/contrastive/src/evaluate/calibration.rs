//! Whether probabilities come true.

use super::logistic::Logistic;
use super::table::{Calibration, CalibrationBin};
use super::{Rows, knn::largest};

/// Ranges of the largest probability.
const RANGES: usize = 10;

/// Holds the probability of the predicted class of each row against whether it was right.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a range of a probability; counts are far below 2^52"
)]
pub(super) fn calibration(
    task: &str,
    probe: &Logistic,
    rows: &Rows,
    classes: &[u32],
) -> Calibration {
    let mut sums = [(0_usize, 0.0_f64, 0_usize); RANGES];
    let mut p = vec![0.0; probe.bias.len()];
    for (row, &class) in rows.iter().zip(classes) {
        probe.probabilities(row, &mut p);
        let Some(found) = largest(&p) else { continue };
        let most = p[found as usize];
        let range = ((most * RANGES as f64) as usize).min(RANGES - 1);
        let (n, sum, right) = &mut sums[range];
        (*n, *sum, *right) = (*n + 1, *sum + most, *right + usize::from(found == class));
    }
    let n_all: usize = sums.iter().map(|(n, ..)| n).sum();
    let bins: Vec<CalibrationBin> = sums
        .iter()
        .filter(|(n, ..)| *n > 0)
        .map(|&(n, sum, right)| CalibrationBin {
            probability: sum / n as f64,
            right: right as f64 / n as f64,
            n,
        })
        .collect();
    let off = bins.iter().map(|bin| bin.n as f64 * (bin.probability - bin.right).abs());
    let error = off.sum::<f64>() / n_all.max(1) as f64;
    Calibration { task: task.to_owned(), bins, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // Two classes: the weight 1 gives the second one the probability 1 / (1 + exp(-x)).
        let probe = Logistic { weights: vec![0.0, 1.0], bias: vec![0.0, 0.0], validation: 1.0 };
        let p = |x: f64| 1.0 / (1.0 + (-x).exp());
        let rows = Rows { dim: 1, values: vec![3.0, 3.0, -3.0, 0.2, f32::NAN] };
        let found = calibration("t", &probe, &rows, &[1, 0, 0, 1, 1]);
        assert_eq!(found.bins.len(), 2);
        assert_eq!((found.bins[0].n, found.bins[1].n), (1, 3));
        assert!((found.bins[1].probability - p(3.0)).abs() < 1e-6);
        assert!((found.bins[1].right - 2.0 / 3.0).abs() < 1e-12);
        let error = (3.0 * (p(3.0) - 2.0 / 3.0) + (1.0 - p(0.2))) / 4.0;
        assert!((found.error - error).abs() < 1e-6, "{}", found.error);
    }
}
