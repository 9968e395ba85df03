//! Image planes as coloured pixels.

use crate::{DepthError, ROWS};

/// Colours at -1, 0 and +1: blue where bids weigh more, orange where asks do. Blue and orange stay
/// apart in all common kinds of colour blindness, and lightness falls equally to both ends.
const BIDS: [f32; 3] = [8.0, 69.0, 148.0];
const BALANCE: [f32; 3] = [247.0, 247.0, 247.0];
const ASKS: [f32; 3] = [179.0, 88.0, 6.0];
/// The colour of a cell that is not a number.
const NOT_A_NUMBER: [u8; 3] = [128, 128, 128];

/// The colour of a value in -1..=1; values outside take the colour of the nearest end.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a mean of two colours in 0..=247"
)]
pub fn rgb8(value: f32) -> [u8; 3] {
    if value.is_nan() {
        return NOT_A_NUMBER;
    }
    let end = if value < 0.0 { BIDS } else { ASKS };
    let weight = value.abs().min(1.0);
    std::array::from_fn(|i| (BALANCE[i] + weight * (end[i] - BALANCE[i])).round() as u8)
}

/// One plane of an image, 402 rows of `n_bins` values, as rows of RGB triples.
///
/// # Errors
/// [`DepthError::Length`] if the plane has not `402 * n_bins` values.
pub fn heatmap_rgb8(plane: &[f32], n_bins: usize) -> Result<Vec<u8>, DepthError> {
    let expected = ROWS.saturating_mul(n_bins);
    if plane.len() != expected {
        return Err(DepthError::Length { what: "the image plane", expected, found: plane.len() });
    }
    Ok(plane.iter().flat_map(|&value| rgb8(value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_middle() {
        for (value, colour) in [
            (-1.0, [8, 69, 148]),
            (-7.0, [8, 69, 148]),
            (0.0, [247, 247, 247]),
            (0.5, [213, 168, 127]),
            (1.0, [179, 88, 6]),
            (f32::INFINITY, [179, 88, 6]),
            (f32::NAN, [128, 128, 128]),
        ] {
            assert_eq!(rgb8(value), colour, "{value}");
        }
    }

    #[test]
    fn planes() {
        let mut plane = vec![0.0; ROWS];
        plane[1] = -1.0;
        let pixels = heatmap_rgb8(&plane, 1).expect("one bin");
        assert_eq!((pixels.len(), &pixels[..6]), (3 * ROWS, &[247, 247, 247, 8, 69, 148][..]));
        assert!(heatmap_rgb8(&plane, 2).is_err());
    }
}
