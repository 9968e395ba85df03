//! Windows of noise, drawn once: what a training step costs, apart from its data.

use anyhow::Result;
use lob_contrastive::{
    ContrastiveError, EncoderConfig, Objective, PairKey, Rng, TrainConfig, TrainOutcome,
    WindowSource,
};

/// Pairs of related noise: the positive is the anchor with a little more noise on it.
pub(super) struct Noise {
    anchors: Vec<f32>,
    positives: Vec<f32>,
    n_inputs: usize,
}

impl Noise {
    pub(super) fn new(n: usize, n_inputs: usize, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let anchors: Vec<f32> = (0..n * n_inputs).map(|_| rng.normal_f32()).collect();
        let positives = anchors.iter().map(|x| x + 0.3 * rng.normal_f32()).collect();
        Self { anchors, positives, n_inputs }
    }
}

impl WindowSource for Noise {
    fn len(&self) -> usize {
        self.anchors.len() / self.n_inputs
    }

    fn n_inputs(&self) -> usize {
        self.n_inputs
    }

    fn window(&mut self, idx: usize, out: &mut [f32]) -> Result<(), ContrastiveError> {
        out.copy_from_slice(&self.anchors[idx * self.n_inputs..][..self.n_inputs]);
        Ok(())
    }

    fn pairs(
        &mut self,
        _: &mut Rng,
        anchors: &mut [f32],
        positives: &mut [f32],
        keys: &mut [PairKey],
    ) -> Result<(), ContrastiveError> {
        anchors.copy_from_slice(&self.anchors[..anchors.len()]);
        positives.copy_from_slice(&self.positives[..positives.len()]);
        keys.fill(PairKey::default());
        Ok(())
    }
}

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
        let mut source = Noise::new(self.batch_size, self.n_inputs, of.seed);
        lob_contrastive::train(&mut source, &self.config(steps, of))
    }
}

/// Seconds of a step without drawing its batch.
pub(super) fn compute_s(outcome: &TrainOutcome) -> Vec<f64> {
    let parts = [&outcome.loss_s, &outcome.backward_s, &outcome.optimiser_s];
    let sum = |(i, forward): (usize, &f64)| forward + parts.iter().map(|part| part[i]).sum::<f64>();
    outcome.forward_s.iter().enumerate().map(sum).collect()
}
