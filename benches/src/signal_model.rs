//! A model for `lob_signals`: contrastive embeddings of feature windows, and a linear head.

use std::sync::Arc;

use anyhow::{Context, Result};
use lob_contrastive::{Device, EncoderConfig, SeriesSpec, SeriesWindows, TrainConfig};
use lob_signals::{
    BoxError, EmbeddingModel, FeatureMatrix, FeatureScale, LinearHead, LogisticModel, Model,
    N_FEATURES, windows_ending_at,
};

/// How models are fitted to the rows they are given.
#[derive(Debug, Clone)]
pub struct FitConfig {
    /// Rows of features the encoder looks back on.
    pub window: usize,
    /// Rows from a prediction to the mid that decides whether there was a rise.
    pub horizon: usize,
    /// Contrastive training steps; the weights' values do not change the speed.
    pub steps: usize,
    /// Most windows the head is fitted to.
    pub head_windows: usize,
    /// Weights, pairs and dropout.
    pub seed: u64,
}

impl Default for FitConfig {
    fn default() -> Self {
        Self { window: 100, horizon: 50, steps: 50, head_windows: 2_000, seed: 7 }
    }
}

/// Whether the mid is higher `horizon` rows on. Rows without that future are not among the labels:
/// there is one label for each of the first rows, as many as have one.
fn labels(mids: &[f64], horizon: usize) -> Vec<bool> {
    let later = mids.get(horizon..).unwrap_or_default();
    mids.iter().zip(later).map(|(now, then)| then > now).collect()
}

/// Logistic regression on one row, fitted to `features` and the `mids` of the same rows.
#[must_use]
pub fn fit_logistic(features: &FeatureMatrix, mids: &[f64], config: &FitConfig) -> LogisticModel {
    LogisticModel::fit(features, &labels(mids, config.horizon), RIDGE)
}

/// Pull of the weights towards 0.
const RIDGE: f64 = 1e-2;

/// The medium encoder, trained without labels on windows of `features` (InfoNCE), with a linear
/// head fitted to the `mids` of the same rows. Runs on the CPU, one window at a time or many.
///
/// # Errors
/// Too few rows without a gap for pairs of windows, or the training diverges.
pub fn fit_embedding(
    features: &FeatureMatrix,
    mids: &[f64],
    config: &FitConfig,
) -> Result<Box<dyn Model>> {
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
    let trained = lob_contrastive::train(Arc::new(source), &training)
        .context("cannot train the encoder of the signal model")?
        .model;
    let mut embedder = lob_contrastive::Embedder::new(&trained, Device::Cpu)?;
    let labels = labels(mids, config.horizon);
    let step = labels.len().div_ceil(config.head_windows.max(1)).max(1);
    let (rows, ends) =
        windows_ending_at(features, &scale, config.window, (0..labels.len()).step_by(step));
    let mut embeddings = vec![0.0; ends.len() * trained.embedding_dim()];
    embedder.embed_into(&rows, &mut embeddings)?;
    let rises: Vec<bool> = ends.iter().map(|&end| labels[end]).collect();
    let head = LinearHead::fit(&embeddings, trained.embedding_dim(), &rises, RIDGE);
    let encode = move |windows: &[f32], out: &mut [f32]| -> Result<(), BoxError> {
        embedder.embed_into(windows, out).map_err(Into::into)
    };
    Ok(Box::new(EmbeddingModel::new(encode, config.window, scale, head)))
}

/// The complete rows of `features` as a series to cut pairs of windows from; a null ends a segment.
fn windows(features: &FeatureMatrix, config: &FitConfig) -> Result<SeriesWindows> {
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
        .context("too few rows to train an encoder on windows of features")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_models_answer_with_probabilities() {
        let mut features = FeatureMatrix::default();
        let mut mids = Vec::new();
        for i in 0..600_usize {
            let wave = (i as f32 * 0.1).sin();
            features.push(&std::array::from_fn(|f| wave + ((i + f) % 5) as f32));
            mids.push(100.0 + f64::from(wave));
        }
        let config = FitConfig { window: 16, horizon: 5, steps: 2, head_windows: 50, seed: 1 };
        let mut embedding = fit_embedding(&features, &mids, &config).unwrap();
        let mut out = vec![0.0; 600];
        embedding.predict(features.values(), &mut out).unwrap();
        assert!(out[..15].iter().all(|p| p.is_nan()));
        assert!(out[15..].iter().all(|p| (0.0..=1.0).contains(p)));
        let mut logistic = fit_logistic(&features, &mids, &config);
        logistic.predict(features.values(), &mut out).unwrap();
        assert!(out.iter().all(|p| (0.0..=1.0).contains(p)));
        assert_eq!(labels(&[1.0, 2.0, 1.0], 1), [true, false]);
        assert!(labels(&[1.0], 5).is_empty());
        assert!(fit_embedding(&FeatureMatrix::default(), &[], &config).is_err());
    }
}
