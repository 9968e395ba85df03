//! A model for `lob_signals`: contrastive embeddings of feature windows, and a linear head.

use std::sync::Arc;

use lob_signals::{
    BoxError, EmbeddingModel, FeatureMatrix, FeatureScale, HEAD_RIDGE, LinearHead, Model,
    N_FEATURES, moves, windows_ending_at,
};

use crate::{
    ContrastiveError, Device, Embedder, EncoderConfig, SeriesSpec, SeriesWindows, TrainConfig,
};

/// How [`fit_signal_model`] fits.
#[derive(Debug, Clone)]
pub struct SignalModelConfig {
    /// Rows of features the encoder looks back on.
    pub window: usize,
    /// Rows from a prediction to the mid that decides whether there was a rise or a fall.
    pub horizon: usize,
    /// Contrastive training steps; the weights' values do not change the speed.
    pub steps: usize,
    /// Most windows the head is fitted to.
    pub head_windows: usize,
    /// Weights, pairs and dropout.
    pub seed: u64,
}

impl Default for SignalModelConfig {
    fn default() -> Self {
        Self { window: 100, horizon: 50, steps: 50, head_windows: 2_000, seed: 7 }
    }
}

/// The medium encoder, trained without labels on windows of `features` (InfoNCE), with a linear
/// head fitted to the `mids` of the same rows: the probability of a rise given that the mid moves. Runs on the CPU, one window at a time or many.
///
/// # Errors
/// [`ContrastiveError::Shape`] unless there is one mid a row, [`ContrastiveError::NotEnoughData`] without enough rows in a row for pairs of windows,
/// [`ContrastiveError::Diverged`] when the training does.
pub fn fit_signal_model(
    features: &FeatureMatrix,
    mids: &[f64],
    config: &SignalModelConfig,
) -> Result<Box<dyn Model>, ContrastiveError> {
    if mids.len() != features.len() {
        let (expected, found) = (features.len(), mids.len());
        return Err(ContrastiveError::Shape { what: "the mids", expected, found });
    }
    let scale = FeatureScale::fit(features);
    let source = windows(features, config)?;
    let training = TrainConfig {
        seed: config.seed,
        steps: config.steps,
        encoder: EncoderConfig::medium(),
        device: Device::Cpu,
        ignore_radius: config.window as u64,
        ..TrainConfig::default()
    };
    let trained = crate::train(Arc::new(source), &training)?.model;
    let mut embedder = Embedder::new(&trained, Device::Cpu)?;
    let labels = moves(mids, config.horizon);
    let moved: Vec<usize> = (0..labels.len()).filter(|&row| labels[row].is_some()).collect();
    let step = moved.len().div_ceil(config.head_windows.max(1)).max(1);
    let (rows, ends) =
        windows_ending_at(features, &scale, config.window, moved.into_iter().step_by(step));
    let mut embeddings = vec![0.0; ends.len() * trained.embedding_dim()];
    embedder.embed_into(&rows, &mut embeddings)?;
    let rose: Vec<Option<bool>> = ends.iter().map(|&end| labels[end]).collect();
    let head = LinearHead::fit(&embeddings, trained.embedding_dim(), &rose, HEAD_RIDGE);
    let encode = move |windows: &[f32], out: &mut [f32]| -> Result<(), BoxError> {
        embedder.embed_into(windows, out).map_err(Into::into)
    };
    Ok(Box::new(EmbeddingModel::new(encode, config.window, scale, head)))
}

/// The complete rows of `features` as a series to cut pairs of windows from; a null ends a segment.
fn windows(
    features: &FeatureMatrix,
    config: &SignalModelConfig,
) -> Result<SeriesWindows, ContrastiveError> {
    let (mut values, mut segments, mut segment) = (Vec::new(), Vec::new(), 0_u32);
    for row in features.rows() {
        if row.iter().all(|x| x.is_finite()) {
            values.extend_from_slice(row);
            segments.push(segment);
        } else if segments.last() == Some(&segment) {
            segment += 1;
        }
    }
    let spec = SeriesSpec {
        window: config.window,
        stride: (config.window / 4).max(1),
        max_gap: config.window,
    };
    let all = 0..segments.len();
    SeriesWindows::new(values, N_FEATURES, &segments, all, spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoder_with_a_head_answers_with_probabilities() {
        let mut features = FeatureMatrix::default();
        let mut mids = Vec::new();
        for i in 0..600_usize {
            let wave = (i as f32 * 0.1).sin();
            features.push(&std::array::from_fn(|f| wave + ((i + f) % 5) as f32));
            mids.push(100.0 + f64::from(wave));
        }
        let config =
            SignalModelConfig { window: 16, horizon: 5, steps: 2, head_windows: 50, seed: 1 };
        let mut embedding = fit_signal_model(&features, &mids, &config).unwrap();
        let mut out = vec![0.0; 600];
        embedding.predict(features.values(), &mut out).unwrap();
        assert!(out[..15].iter().all(|p| p.is_nan()));
        assert!(out[15..].iter().all(|p| (0.0..=1.0).contains(p)));
        assert!(fit_signal_model(&FeatureMatrix::default(), &[], &config).is_err());
    }
}
