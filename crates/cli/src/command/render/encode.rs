//! An image as the bytes of a file.

use anyhow::{Context, Result};
use lob_depth::{Bf16, Cell, Dtype, F16, NpyElement, RenderSpec, encode_npy, heatmap_rgb8};

/// `.npy` of shape (features, 402, bins).
pub(super) fn npy(spec: &RenderSpec, image: &[f32], dtype: Dtype) -> Result<Vec<u8>> {
    match dtype {
        Dtype::F16 => convert::<F16>(spec, image),
        Dtype::Bf16 => convert::<Bf16>(spec, image),
        Dtype::U8 => {
            anyhow::ensure!(
                spec.normalise.is_bounded(),
                "8-bit cells need values in -1..=1\nhint: use --normalise max or signed-log"
            );
            convert::<u8>(spec, image)
        }
        _ => Ok(encode_npy(&spec.shape(), image)?),
    }
}

fn convert<C: Cell + NpyElement>(spec: &RenderSpec, image: &[f32]) -> Result<Vec<u8>> {
    let cells: Vec<C> = image.iter().map(|v| C::from_value(f64::from(*v))).collect();
    Ok(encode_npy(&spec.shape(), &cells)?)
}

/// The planes one below the other, blue where bids weigh more, orange where asks do.
///
/// Colours need values in -1..=1: other normalisations are scaled by each plane's largest value.
pub(super) fn png(spec: &RenderSpec, image: &[f32]) -> Result<Vec<u8>> {
    let [planes, rows, bins] = spec.shape();
    let mut pixels = Vec::with_capacity(image.len() * 3);
    for plane in image.chunks_exact(spec.plane_len()) {
        if spec.normalise.is_bounded() {
            pixels.extend(heatmap_rgb8(plane, bins)?);
        } else {
            let largest = plane.iter().fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()));
            let scaled: Vec<f32> = plane.iter().map(|v| v / largest).collect();
            pixels.extend(heatmap_rgb8(&scaled, bins)?);
        }
    }
    let mut bytes = Vec::new();
    let width = u32::try_from(bins).context("the image is too wide for a PNG")?;
    let height = u32::try_from(planes * rows).context("the image is too high for a PNG")?;
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(bytes)
}
