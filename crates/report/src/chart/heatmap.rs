//! Signed images as indexed PNG files: blue below zero, white at zero, orange above.

use super::png::encode;

/// Largest side of a drawn heat map; larger ones are thinned, keeping every k-th row or column.
const MAX_SIDE: usize = 1024;
/// Palette entry of values that are not numbers.
const UNKNOWN: u8 = 255;

/// A PNG of `rows x columns` values in -1..=1; small images are enlarged by whole pixels. An error
/// says what does not fit together.
pub(crate) fn heatmap_png(rows: usize, columns: usize, values: &[f32]) -> Result<Vec<u8>, String> {
    if rows == 0 || columns == 0 || rows.checked_mul(columns) != Some(values.len()) {
        return Err(format!("{rows} rows of {columns} columns, but {} values", values.len()));
    }
    let thin = rows.max(columns).div_ceil(MAX_SIDE);
    let zoom = (400 / rows.max(columns)).max(1);
    let (out_rows, out_columns) = (rows.div_ceil(thin) * zoom, columns.div_ceil(thin) * zoom);
    let mut pixels = Vec::with_capacity(out_rows * out_columns);
    for row in 0..out_rows {
        let source = &values[row / zoom * thin * columns..][..columns];
        pixels.extend((0..out_columns).map(|column| index(source[column / zoom * thin])));
    }
    let side = |n: usize| u32::try_from(n).map_err(|e| e.to_string());
    encode(&pixels, side(out_columns)?, side(out_rows)?, png::ColorType::Indexed, Some(&palette()))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to -1..=1, so the result lies in 0..=254"
)]
fn index(value: f32) -> u8 {
    if value.is_finite() { ((value.clamp(-1.0, 1.0) + 1.0) * 127.0).round() as u8 } else { UNKNOWN }
}

/// 255 colours from deep blue over near-white to deep orange, and grey for unknown values.
fn palette() -> Vec<u8> {
    const STOPS: [[f32; 3]; 5] = [
        [8.0, 48.0, 107.0],
        [66.0, 146.0, 198.0],
        [250.0, 250.0, 248.0],
        [230.0, 120.0, 30.0],
        [110.0, 40.0, 4.0],
    ];
    let mut palette = Vec::with_capacity(256 * 3);
    for i in 0..255_u16 {
        let position = f32::from(i) / 254.0 * 4.0;
        let stop = (0..3_u8).rev().find(|s| position >= f32::from(*s)).unwrap_or(0);
        let stop = if position >= 3.0 { 3 } else { stop };
        let (from, to) = (STOPS[usize::from(stop)], STOPS[usize::from(stop) + 1]);
        let share = position - f32::from(stop);
        for channel in 0..3 {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a mean of two values in 0..=255"
            )]
            palette.push((from[channel] + share * (to[channel] - from[channel])).round() as u8);
        }
    }
    palette.extend([128, 128, 128]);
    palette
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_middle_of_the_scale_have_their_colours() {
        let palette = palette();
        assert_eq!(palette.len(), 768);
        let colour = |value: f32| &palette[usize::from(index(value)) * 3..][..3];
        assert_eq!(colour(-1.0), [8, 48, 107]);
        assert_eq!(colour(0.0), [250, 250, 248]);
        assert_eq!(colour(7.0), [110, 40, 4]);
        assert_eq!(colour(f32::NAN), [128, 128, 128]);
    }

    #[test]
    fn shapes_that_do_not_fit_are_named() {
        assert!(heatmap_png(2, 3, &[0.0; 5]).unwrap_err().contains("5 values"));
        assert!(heatmap_png(0, 0, &[]).is_err());
        assert!(heatmap_png(usize::MAX, 2, &[]).is_err());
        assert_eq!(&heatmap_png(2, 3, &[0.0; 6]).unwrap()[1..4], b"PNG");
    }
}
