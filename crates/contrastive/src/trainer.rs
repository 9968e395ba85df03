mod objective;

use std::time::Instant;

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};

use crate::encoder::{Weight, initial_tensors, to_vec};
use crate::metrics::{Evaluation, evaluate};
use crate::optim::AdamW;
use crate::{
    ContrastiveError, Encoder, Metrics, PairKey, ResolvedDevice, Rng, TrainConfig, TrainOutcome,
    TrainedModel, WindowSource,
};
use objective::{LossWeights, chance_loss, ignore_matrix, objective_loss};

/// Purposes of the random streams of one seed.
const STREAM_WEIGHTS: u64 = 1;
const STREAM_PAIRS: u64 = 2;
const STREAM_DROPOUT: u64 = 3;
const STREAM_EVALUATION: u64 = 4;

/// A run in progress on one backend.
struct Trainer<'a, A: AutodiffBackend> {
    config: &'a TrainConfig,
    device: A::Device,
    n_inputs: usize,
    n_encoder_weights: usize,
    /// The encoder's arrays, then the loss's own.
    weights: Vec<Weight<A::InnerBackend>>,
    optimiser: AdamW<A::InnerBackend>,
    pairs_rng: Rng,
    dropout_rng: Rng,
    keys: Vec<PairKey>,
}

/// Seconds of one step's parts.
struct StepTimes {
    batch: f64,
    forward: f64,
    loss: f64,
    backward: f64,
    optimiser: f64,
}

/// Trains on backend `A`; `host` says whether its memory is the host's.
pub(crate) fn train_on<A: AutodiffBackend>(
    source: &mut dyn WindowSource,
    config: &TrainConfig,
    device: &A::Device,
    host: bool,
    resolved: ResolvedDevice,
) -> Result<TrainOutcome, ContrastiveError> {
    config.validate()?;
    if source.is_empty() || source.n_inputs() == 0 {
        return Err(ContrastiveError::NotEnoughData {
            reason: "the window source is empty".into(),
            hint: "check the input and the window length",
        });
    }
    let mut trainer = Trainer::<A>::new(config, source.n_inputs(), device, host);
    let mut outcome = TrainOutcome {
        losses: Vec::with_capacity(config.steps),
        step_s: Vec::with_capacity(config.steps),
        batch_s: Vec::with_capacity(config.steps),
        forward_s: Vec::with_capacity(config.steps),
        loss_s: Vec::with_capacity(config.steps),
        backward_s: Vec::with_capacity(config.steps),
        optimiser_s: Vec::with_capacity(config.steps),
        grad_norms: Vec::with_capacity(config.steps),
        temperature: config.temperature.initial(),
        metrics: Metrics::unknown(),
        device: resolved,
        model: TrainedModel {
            encoder: config.encoder.clone(),
            n_inputs: source.n_inputs(),
            tensors: Vec::new(),
        },
    };
    for step in 0..config.steps {
        let start = Instant::now();
        let (loss, norm, times) = trainer.step(source, step)?;
        outcome.step_s.push(start.elapsed().as_secs_f64());
        outcome.losses.push(loss);
        outcome.grad_norms.push(norm);
        outcome.batch_s.push(times.batch);
        outcome.forward_s.push(times.forward);
        outcome.loss_s.push(times.loss);
        outcome.backward_s.push(times.backward);
        outcome.optimiser_s.push(times.optimiser);
    }
    outcome.metrics = trainer.evaluate(source, &outcome.losses)?;
    if let Some(s) = trainer.loss_weights().log_scale() {
        outcome.temperature = (-s).exp();
    }
    outcome.model.tensors = trainer.into_encoder().into_tensors();
    Ok(outcome)
}

impl<'a, A: AutodiffBackend> Trainer<'a, A> {
    fn new(config: &'a TrainConfig, n_inputs: usize, device: &A::Device, host: bool) -> Self {
        let mut rng = Rng::stream(config.seed, STREAM_WEIGHTS);
        let mut weights: Vec<_> = initial_tensors(&config.encoder, n_inputs, &mut rng)
            .into_iter()
            .map(|t| Weight::upload(t.values, &t.shape, device))
            .collect();
        let n_encoder_weights = weights.len();
        weights.extend(LossWeights::initial(config, device));
        Self {
            config,
            device: device.clone(),
            n_inputs,
            n_encoder_weights,
            optimiser: AdamW::new(config.optimiser, weights.len(), host),
            weights,
            pairs_rng: Rng::stream(config.seed, STREAM_PAIRS),
            dropout_rng: Rng::stream(config.seed, STREAM_DROPOUT),
            keys: vec![PairKey::default(); config.batch_size],
        }
    }

    /// Draws a batch of pairs: `[2 B, n_inputs]`, anchors first.
    fn draw(
        &mut self,
        source: &mut dyn WindowSource,
        evaluation: bool,
    ) -> Result<Vec<f32>, ContrastiveError> {
        let half = self.config.batch_size * self.n_inputs;
        let mut values = vec![0.0; 2 * half];
        let (anchors, positives) = values.split_at_mut(half);
        let mut evaluation_rng = Rng::stream(self.config.seed, STREAM_EVALUATION);
        let rng = if evaluation { &mut evaluation_rng } else { &mut self.pairs_rng };
        source.pairs(rng, anchors, positives, &mut self.keys)?;
        Ok(values)
    }

    /// One optimiser step: loss, gradient norm, times.
    fn step(
        &mut self,
        source: &mut dyn WindowSource,
        step: usize,
    ) -> Result<(f32, f32, StepTimes), ContrastiveError> {
        let mut clock = Lap::start();
        let config = self.config;
        let scope = lob_profiler::scope("batch");
        let values = self.draw(source, false)?;
        let ignore = ignore_matrix(config, &self.keys)
            .map(|(mask, n)| Tensor::from_bool(TensorData::new(mask, [n, n]), &self.device));
        let x = Tensor::<A, 2>::from_data(
            TensorData::new(values, [2 * config.batch_size, self.n_inputs]),
            &self.device,
        );
        drop(scope);
        let batch = clock.lap::<A>(&self.device);

        let scope = lob_profiler::scope("forward");
        let leaves: Vec<Weight<A>> = self.weights.iter().map(tracked::<A>).collect();
        let encoder = Encoder::from_weights(
            config.encoder.clone(),
            self.n_inputs,
            leaves[..self.n_encoder_weights].to_vec(),
        );
        let z = encoder.forward(x, Some(&mut self.dropout_rng)).projection;
        drop((encoder, scope));
        let forward = clock.lap::<A>(&self.device);

        let scope = lob_profiler::scope("loss");
        let loss_weights = LossWeights::new(config, &leaves[self.n_encoder_weights..]);
        let loss = objective_loss(config, z, &loss_weights, ignore);
        drop((loss_weights, scope));
        let loss_time = clock.lap::<A>(&self.device);

        let scope = lob_profiler::scope("backward");
        let mut gradients = loss.backward();
        let gradients: Vec<Option<Weight<A::InnerBackend>>> = leaves
            .into_iter()
            .map(|leaf| match leaf {
                Weight::Matrix(t) => t.grad_remove(&mut gradients).map(Weight::Matrix),
                Weight::Vector(t) => t.grad_remove(&mut gradients).map(Weight::Vector),
            })
            .collect();
        let loss = to_vec(loss.inner())[0];
        drop(scope);
        let backward = clock.lap::<A>(&self.device);
        if !loss.is_finite() {
            return Err(ContrastiveError::Diverged { step, loss });
        }

        let scope = lob_profiler::scope("optimiser");
        let rate =
            f64::from(config.optimiser.learning_rate) * config.schedule.factor(step, config.steps);
        let weights = std::mem::take(&mut self.weights);
        let (weights, norm) = self.optimiser.step(weights, gradients, rate, config.clip_norm);
        self.weights = weights;
        LossWeights::clamp(config, &mut self.weights[self.n_encoder_weights..]);
        drop(scope);
        let optimiser = clock.lap::<A>(&self.device);
        Ok((loss, norm, StepTimes { batch, forward, loss: loss_time, backward, optimiser }))
    }

    /// Metrics of one fresh batch, without dropout.
    fn evaluate(
        &mut self,
        source: &mut dyn WindowSource,
        losses: &[f32],
    ) -> Result<Metrics, ContrastiveError> {
        let values = self.draw(source, true)?;
        let n = self.config.batch_size;
        let x = Tensor::from_data(TensorData::new(values, [2 * n, self.n_inputs]), &self.device);
        let encoded = self.encoder().forward(x, None);
        let dim = encoded.projection.dims()[1];
        let projection = to_vec(encoded.projection);
        let embeddings = to_vec(encoded.embedding);
        let embedding_dim = self.config.encoder.embedding_dim;
        Ok(evaluate(&Evaluation {
            anchors: &projection[..n * dim],
            positives: &projection[n * dim..],
            dim,
            embeddings: &embeddings[..n * embedding_dim],
            embedding_dim,
            losses,
            chance_loss: chance_loss(self.config),
        }))
    }

    fn encoder(&self) -> Encoder<A::InnerBackend> {
        let weights = self.weights[..self.n_encoder_weights].to_vec();
        Encoder::from_weights(self.config.encoder.clone(), self.n_inputs, weights)
    }

    fn into_encoder(self) -> Encoder<A::InnerBackend> {
        self.encoder()
    }

    fn loss_weights(&self) -> LossWeights<A::InnerBackend> {
        LossWeights::new(self.config, &self.weights[self.n_encoder_weights..])
    }
}

/// A weight that collects its gradient.
fn tracked<A: AutodiffBackend>(weight: &Weight<A::InnerBackend>) -> Weight<A> {
    match weight {
        Weight::Matrix(t) => Weight::Matrix(Tensor::from_inner(t.clone()).require_grad()),
        Weight::Vector(t) => Weight::Vector(Tensor::from_inner(t.clone()).require_grad()),
    }
}

/// Time since the last lap, with the device's queue drained first.
struct Lap(Instant);

impl Lap {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn lap<B: burn::tensor::backend::Backend>(&mut self, device: &B::Device) -> f64 {
        // A failed wait shows up as an error of the next operation on the device.
        drop(B::sync(device));
        let now = Instant::now();
        (now - std::mem::replace(&mut self.0, now)).as_secs_f64()
    }
}
