//! Shape and scale of the channels of a series.

use crate::ContrastiveError;
use crate::cpu::not_finite;

pub(super) fn check_shape(
    values: &[f32],
    n_channels: usize,
    segments: &[u32],
) -> Result<(), ContrastiveError> {
    if values.len() != segments.len() * n_channels {
        return Err(ContrastiveError::Shape {
            what: "the series",
            expected: segments.len() * n_channels,
            found: values.len(),
        });
    }
    check_finite(values, n_channels)
}

pub(super) fn check_finite(values: &[f32], n_channels: usize) -> Result<(), ContrastiveError> {
    match not_finite(values, n_channels) {
        Some((window, position, value)) => {
            Err(ContrastiveError::NotFinite { window, position, value })
        }
        None => Ok(()),
    }
}

/// `(x - mean) / deviation` by channel; a constant channel becomes 0.
#[expect(clippy::cast_possible_truncation, reason = "back to the storage precision")]
pub(crate) fn standardise(values: &mut [f32], scale: &[(f32, f32)]) {
    for row in values.chunks_exact_mut(scale.len().max(1)) {
        for (x, (mean, inverse)) in row.iter_mut().zip(scale) {
            *x = ((f64::from(*x) - f64::from(*mean)) * f64::from(*inverse)) as f32;
        }
    }
}

/// Mean and inverse of the population deviation of a channel; an inverse of 0 for a constant one.
#[expect(clippy::cast_possible_truncation, reason = "back to the storage precision")]
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
pub(super) fn fitted(
    column: impl ExactSizeIterator<Item = f32> + Clone,
    is_centred: bool,
) -> (f32, f32) {
    let n = column.len() as f64;
    let sum: f64 = column.clone().map(f64::from).sum();
    let mean = if is_centred { 0.0 } else { sum / n };
    let std = (column.map(|x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n).sqrt();
    // Round-off leaves a constant channel with a spread of a few ulps, not of exactly 0.
    let inverse = if std > 1e-9 * mean.abs().max(1e-30) { 1.0 / std } else { 0.0 };
    // The spread of a channel of denormal numbers has no inverse in single precision.
    let inverse = Some(inverse as f32).filter(|inverse| inverse.is_finite());
    (mean as f32, inverse.unwrap_or(0.0))
}
