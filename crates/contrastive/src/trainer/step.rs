use std::ops::Range;
use std::time::Instant;

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};

use super::objective::{LossWeights, Marks, objective_loss};
use super::weights::{self, take_gradients, tracked};
use super::{STREAM_DROPOUT, Trainer};
use crate::encoder::{Weight, to_vec};
use crate::{ContrastiveError, Encoder, PairKey, Rng, WindowSource};

/// Seconds of one step's parts, and its gradient norm.
#[derive(Debug, Clone, Default)]
pub(super) struct StepTimes {
    pub(super) batch: f64,
    pub(super) forward: f64,
    pub(super) loss: f64,
    pub(super) backward: f64,
    pub(super) optimiser: f64,
    pub(super) grad_norm: f32,
}

/// What one batch says about the weights.
pub(super) struct Gradients<A: AutodiffBackend> {
    pub(super) loss: f32,
    pub(super) arrays: Vec<Option<Weight<A::InnerBackend>>>,
    n_lone_anchors: usize,
    /// Projections of both views, for the queue.
    z: Tensor<A::InnerBackend, 2>,
}

impl<A: AutodiffBackend> Trainer<'_, A> {
    /// One optimiser step.
    pub(super) fn step(
        &mut self,
        source: &mut dyn WindowSource,
    ) -> Result<StepTimes, ContrastiveError> {
        let config = self.config;
        let step = self.losses.len();
        let mut times = StepTimes::default();
        let mut clock = Lap::start();
        let mut total: Option<Gradients<A>> = None;
        for part in 0..config.accumulate {
            let scope = lob_profiler::scope("batch");
            let batch = self.training_batch(source, step, part)?;
            let data = TensorData::new(batch.values, [2 * config.batch_size, self.n_inputs]);
            let x = Tensor::<A::InnerBackend, 2>::from_data(data, &self.device);
            drop(scope);
            times.batch += clock.lap::<A>(&self.device);
            let found = self.gradients(x, &batch.keys, (step, part), &mut times, &mut clock);
            if found.loss.is_finite() {
                let z = found.z.clone();
                self.queue.push(z.narrow(0, config.batch_size, config.batch_size), &batch.keys);
            }
            total = Some(match total {
                None => found,
                Some(mut sum) => {
                    weights::add(&mut sum.arrays, found.arrays);
                    Gradients {
                        loss: sum.loss + found.loss,
                        n_lone_anchors: sum.n_lone_anchors + found.n_lone_anchors,
                        ..sum
                    }
                }
            });
        }
        let Some(mut total) = total else { return Ok(times) };
        if config.accumulate > 1 {
            #[expect(clippy::cast_precision_loss, reason = "a few batches")]
            let share = 1.0 / config.accumulate as f32;
            weights::scale(&mut total.arrays, share);
            total.loss *= share;
        }
        // A loss scale above 1 may be too large: the optimiser skips the step and halves it.
        if !total.loss.is_finite() && self.optimiser.loss_factor() <= 1.0 {
            return Err(ContrastiveError::Diverged { step, loss: total.loss });
        }
        self.n_lone_anchors += total.n_lone_anchors;
        let scope = lob_profiler::scope("optimiser");
        times.grad_norm = self.update(total.arrays, step);
        drop(scope);
        times.optimiser = clock.lap::<A>(&self.device);
        self.losses.push(total.loss);
        Ok(times)
    }

    /// Clips, moves the weights and their average; gives the norm before clipping.
    fn update(&mut self, gradients: Vec<Option<Weight<A::InnerBackend>>>, step: usize) -> f32 {
        let config = self.config;
        let old = std::mem::take(&mut self.weights);
        let rate = self.learning_rate(step);
        let (new, norm) = self.optimiser.step(old, gradients, rate, config.clip_norm);
        self.weights = new;
        LossWeights::clamp(config, &mut self.weights[self.n_encoder_weights..]);
        if let (Some(average), Some(decay)) = (&mut self.average, config.ema_decay) {
            #[expect(clippy::cast_precision_loss, reason = "large steps only round the decay")]
            let young = (1.0 + step as f32) / (10.0 + step as f32);
            weights::average(average, &self.weights, decay.min(young));
        }
        norm
    }

    /// Loss and gradients of a batch `x` (`[2 B, n_inputs]`).
    fn gradients(
        &self,
        x: Tensor<A::InnerBackend, 2>,
        keys: &[PairKey],
        at: (usize, usize),
        times: &mut StepTimes,
        clock: &mut Lap,
    ) -> Gradients<A> {
        match self.config.grad_cache {
            Some(rows) if rows < 2 * self.config.batch_size => {
                self.cached_gradients(&x, keys, at, rows, times, clock)
            }
            _ => self.direct_gradients(x, keys, at, times, clock),
        }
    }

    /// One differentiated pass over all views.
    fn direct_gradients(
        &self,
        x: Tensor<A::InnerBackend, 2>,
        keys: &[PairKey],
        at: (usize, usize),
        times: &mut StepTimes,
        clock: &mut Lap,
    ) -> Gradients<A> {
        let config = self.config;
        let scope = lob_profiler::scope("forward");
        let leaves: Vec<Weight<A>> = self.weights.iter().map(tracked::<A>).collect();
        let encoder = self.encoder_of(&leaves[..self.n_encoder_weights]);
        let z = encoder.forward(Tensor::from_inner(x), Some(&mut self.dropout_rng(at, 0)));
        let z = z.projection;
        drop((encoder, scope));
        times.forward += clock.lap::<A>(&self.device);

        let scope = lob_profiler::scope("loss");
        let loss_weights = LossWeights::new(config, &leaves[self.n_encoder_weights..]);
        let queue = self.queue.rows().map(|rows| (Tensor::from_inner(rows), self.queue.keys()));
        let marks = Marks::new(config, keys, queue, &self.device);
        let kept = z.clone().inner();
        let loss = objective_loss(config, z, &loss_weights, marks);
        drop((loss_weights, scope));
        times.loss += clock.lap::<A>(&self.device);

        let scope = lob_profiler::scope("backward");
        let mut gradients = self.scaled(loss.loss.clone()).backward();
        let arrays = take_gradients(leaves, &mut gradients);
        let value = to_vec(loss.loss.inner())[0];
        drop(scope);
        times.backward += clock.lap::<A>(&self.device);
        Gradients { loss: value, arrays, n_lone_anchors: loss.n_lone_anchors, z: kept }
    }

    /// The same gradients in the memory of `rows` views (GradCache, Gao et al., 2021): a pass
    /// without differentiation, the loss on its result alone, and a differentiated pass by chunk
    /// that is pulled by the loss's gradient. Dropout is the same in both passes.
    fn cached_gradients(
        &self,
        x: &Tensor<A::InnerBackend, 2>,
        keys: &[PairKey],
        at: (usize, usize),
        rows: usize,
        times: &mut StepTimes,
        clock: &mut Lap,
    ) -> Gradients<A> {
        let config = self.config;
        let scope = lob_profiler::scope("forward");
        let encoder_weights = &self.weights[..self.n_encoder_weights];
        let plain = self.encoder_of(encoder_weights);
        let chunks = chunks(2 * config.batch_size, rows);
        let parts = chunks.iter().enumerate().map(|(i, chunk)| {
            let x = x.clone().narrow(0, chunk.start, chunk.len());
            plain.forward(x, Some(&mut self.dropout_rng(at, i))).projection
        });
        let z = Tensor::cat(parts.collect(), 0);
        drop((plain, scope));
        times.forward += clock.lap::<A>(&self.device);

        let scope = lob_profiler::scope("loss");
        let leaf = Tensor::<A, 2>::from_inner(z.clone()).require_grad();
        let own: Vec<_> = self.weights[self.n_encoder_weights..].iter().map(tracked::<A>).collect();
        let queue = self.queue.rows().map(|rows| (Tensor::from_inner(rows), self.queue.keys()));
        let marks = Marks::new(config, keys, queue, &self.device);
        let loss = objective_loss(config, leaf.clone(), &LossWeights::new(config, &own), marks);
        let mut gradients = self.scaled(loss.loss.clone()).backward();
        let pull = leaf.grad_remove(&mut gradients).unwrap_or_else(|| z.zeros_like());
        let own = take_gradients(own, &mut gradients);
        let value = to_vec(loss.loss.inner())[0];
        drop(scope);
        times.loss += clock.lap::<A>(&self.device);

        let scope = lob_profiler::scope("backward");
        let mut arrays: Vec<Option<Weight<_>>> = vec![None; self.n_encoder_weights];
        for (i, chunk) in chunks.iter().enumerate() {
            let leaves: Vec<Weight<A>> = encoder_weights.iter().map(tracked::<A>).collect();
            let encoder = self.encoder_of(&leaves);
            let x = Tensor::from_inner(x.clone().narrow(0, chunk.start, chunk.len()));
            let z = encoder.forward(x, Some(&mut self.dropout_rng(at, i))).projection;
            let pull = Tensor::from_inner(pull.clone().narrow(0, chunk.start, chunk.len()));
            drop(encoder);
            let mut gradients = (z * pull).sum().backward();
            weights::add(&mut arrays, take_gradients(leaves, &mut gradients));
        }
        arrays.extend(own);
        drop(scope);
        times.backward += clock.lap::<A>(&self.device);
        Gradients { loss: value, arrays, n_lone_anchors: loss.n_lone_anchors, z }
    }

    /// The loss times the factor that keeps gradients from vanishing in half precision.
    fn scaled(&self, loss: Tensor<A, 1>) -> Tensor<A, 1> {
        let factor = self.optimiser.loss_factor();
        if factor > 1.0 { loss.mul_scalar(factor) } else { loss }
    }

    fn encoder_of<B: Backend>(&self, weights: &[Weight<B>]) -> Encoder<B> {
        Encoder::from_weights(self.config.encoder.clone(), self.n_inputs, weights.to_vec())
            .with_precision(self.config.precision)
    }

    fn dropout_rng(&self, (step, part): (usize, usize), chunk: usize) -> Rng {
        // A batch has fewer views than 2^20.
        Rng::at(self.config.seed, STREAM_DROPOUT, step, (part << 20) + chunk)
    }
}

/// `0..n` in pieces of `rows`, the last one shorter.
fn chunks(n: usize, rows: usize) -> Vec<Range<usize>> {
    (0..n).step_by(rows).map(|first| first..n.min(first + rows)).collect()
}

/// Time since the last lap, with the device's queue drained first.
pub(super) struct Lap(Instant);

impl Lap {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    fn lap<B: Backend>(&mut self, device: &B::Device) -> f64 {
        // A failed wait shows up as an error of the next operation on the device.
        drop(B::sync(device));
        let now = Instant::now();
        (now - std::mem::replace(&mut self.0, now)).as_secs_f64()
    }
}

#[cfg(test)]
mod tests;
