//! Shapes of a training step, run on windows of noise drawn once: what a step costs, apart from its
//! data.

use std::sync::Arc;

use anyhow::Result;
use lob_contrastive::{
    ContrastiveError, EncoderConfig, NoisePairs, Objective, TrainConfig, TrainOutcome,
};

/// One shape of a training step.
#[derive(Clone)]
pub(super) struct Shape {
    /// Name in metrics.
    pub(super) name: &'static str,
    pub(super) encoder: EncoderConfig,
    pub(super) batch_size: usize,
    /// Values of one window.
    pub(super) n_inputs: usize,
}

impl Shape {
    pub(super) fn perceptron(name: &'static str, batch_size: usize, n_inputs: usize) -> Self {
        let encoder = match name {
            "simple" => EncoderConfig::simple(),
            "complex" => EncoderConfig::complex(),
            _ => EncoderConfig::medium(),
        };
        Self { name, encoder, batch_size, n_inputs }
    }

    /// As in `medium_32x1024`.
    pub(super) fn id(&self) -> String {
        format!("{}_{}x{}", self.name, self.batch_size, self.n_inputs)
    }

    /// Steps of InfoNCE and AdamW over this shape, without clipping.
    pub(super) fn config(&self, steps: usize, of: &TrainConfig) -> TrainConfig {
        TrainConfig {
            steps,
            batch_size: self.batch_size,
            encoder: self.encoder.clone(),
            objective: Objective::InfoNce,
            clip_norm: None,
            ignore_radius: 0,
            ..of.clone()
        }
    }

    /// Trains on noise.
    pub(super) fn train(
        &self,
        steps: usize,
        of: &TrainConfig,
    ) -> Result<TrainOutcome, ContrastiveError> {
        let source = NoisePairs::new(self.batch_size, self.n_inputs, of.seed);
        lob_contrastive::train(Arc::new(source), &self.config(steps, of))
    }
}

/// Seconds of a step without drawing its batch.
pub(super) fn compute_s(outcome: &TrainOutcome) -> Vec<f64> {
    let parts = [&outcome.loss_s, &outcome.backward_s, &outcome.optimiser_s];
    let sum = |(i, forward): (usize, &f64)| forward + parts.iter().map(|part| part[i]).sum::<f64>();
    outcome.forward_s.iter().enumerate().map(sum).collect()
}
