use crate::encoder::initial_tensors;
use crate::{EncoderConfig, Layout, Rng, TrainedModel};

/// An encoder nobody has trained.
pub(super) fn random_model(encoder: &EncoderConfig, n_inputs: usize, seed: u64) -> TrainedModel {
    let mut rng = Rng::at(seed, 23, 0, 0);
    let tensors = initial_tensors(encoder, n_inputs, &mut rng);
    TrainedModel { encoder: encoder.clone(), n_inputs, tensors }
}

/// How many of the last bins the recent means are of.
const RECENT: [usize; 4] = [2, 4, 8, 16];
/// Numbers that [`statistics`] gives for one channel or price row.
const NUMBERS: usize = 5 + RECENT.len();

/// Numbers that [`statistics`] gives for one window.
pub(super) fn statistics_dim(layout: &Layout) -> usize {
    match layout {
        Layout::Series { channels, .. } => NUMBERS * channels.len(),
        Layout::Image { planes, n_rows, .. } => NUMBERS * planes.len() * n_rows,
    }
}

/// What one would write down without learning: of each channel or price row its mean, deviation,
/// last value, change from first to last, mean absolute step, and the means of its last 2, 4, 8
/// and 16 values (of all of them where there are fewer).
pub(super) fn statistics(layout: &Layout, window: &[f32]) -> Vec<f32> {
    let mut out = Vec::with_capacity(statistics_dim(layout));
    let mut values = Vec::new();
    match layout {
        Layout::Series { channels, .. } => {
            for channel in 0..channels.len() {
                values.clear();
                values.extend(window.iter().copied().skip(channel).step_by(channels.len()));
                describe(&values, &mut out);
            }
        }
        Layout::Image { n_bins, .. } => {
            window.chunks_exact(*n_bins).for_each(|row| describe(row, &mut out));
        }
    }
    out
}

#[expect(clippy::cast_precision_loss, reason = "a window is far shorter than 2^24")]
fn describe(values: &[f32], out: &mut Vec<f32>) {
    let mean_of = |values: &[f32]| values.iter().sum::<f32>() / values.len().max(1) as f32;
    let mean = mean_of(values);
    let square = mean_of(&values.iter().map(|x| (x - mean).powi(2)).collect::<Vec<_>>());
    let steps: f32 = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum();
    let first = values.first().copied().unwrap_or(0.0);
    let last = values.last().copied().unwrap_or(0.0);
    let n_steps = values.len().saturating_sub(1).max(1) as f32;
    out.extend([mean, square.sqrt(), last, last - first, steps / n_steps]);
    out.extend(RECENT.map(|n| mean_of(&values[values.len().saturating_sub(n)..])));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_by_hand() {
        let layout = Layout::series(3, 2);
        let found = statistics(&layout, &[1.0, 5.0, 3.0, 5.0, 2.0, 5.0]);
        let deviation = (2.0_f32 / 3.0).sqrt();
        let own = [2.0, deviation, 2.0, 1.0, 1.5, 2.5, 2.0, 2.0, 2.0];
        let flat = [5.0, 0.0, 5.0, 0.0, 0.0, 5.0, 5.0, 5.0, 5.0];
        assert_eq!(found.len(), statistics_dim(&layout));
        for (found, expected) in found.iter().zip(own.into_iter().chain(flat)) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        let long: Vec<f32> = (0..20_u8).map(f32::from).collect();
        assert_eq!(statistics(&Layout::series(20, 1), &long)[5..], [18.5, 17.5, 15.5, 11.5]);
    }
}
