mod exchange;
mod passes;

use std::time::Instant;

use burn_tensor::backend::{AutodiffBackend, Backend};
use burn_tensor::{Tensor, TensorData};
use lob_dataloader::{Batches, LoaderError};

use super::batch::{Batch, PairBatches};
use super::objective::LossWeights;
use super::weights;
use super::{Trainer, diverged};
use crate::ContrastiveError;
use crate::encoder::Weight;
use crate::team::Team;

/// Seconds of one step's parts, and what came of it.
#[derive(Debug, Clone, Default)]
pub(super) struct StepTimes {
    /// Waiting for the batches alone, which is a part of `batch`.
    pub(super) wait: f64,
    pub(super) batch: f64,
    pub(super) forward: f64,
    pub(super) loss: f64,
    pub(super) backward: f64,
    pub(super) exchange: f64,
    pub(super) optimiser: f64,
    pub(super) grad_norm: f32,
    /// Whether any rank was asked to stop.
    pub(super) is_stopped: bool,
}

/// What one batch says about the weights.
pub(super) struct Gradients<A: AutodiffBackend> {
    pub(super) loss: f32,
    pub(super) arrays: Vec<Option<Weight<A::InnerBackend>>>,
    n_lone_anchors: usize,
    /// Projections of both views of the whole batch, for the queue.
    z: Tensor<A::InnerBackend, 2>,
}

impl<A: AutodiffBackend> Trainer<'_, A> {
    /// One optimiser step. `stop` says that this rank was asked to stop. After
    /// [`LoaderError::Stopped`] nothing has changed.
    pub(super) fn step(
        &mut self,
        batches: &mut Batches<PairBatches>,
        team: &mut Team<'_>,
        stop: bool,
    ) -> Result<StepTimes, ContrastiveError> {
        let queue = self.queue.clone();
        let taken = self.take_step(batches, team, stop);
        if taken.as_ref().is_err_and(ContrastiveError::is_stop) {
            // The batches of the unfinished step are no negatives of a later one.
            self.queue = queue;
        }
        taken
    }

    /// The next batch, and its windows on the device.
    fn next_batch(
        &self,
        batches: &mut Batches<PairBatches>,
        times: &mut StepTimes,
    ) -> Result<(Batch, Tensor<A::InnerBackend, 2>), ContrastiveError> {
        let _scope = lob_scope::scope("batch");
        let number = (self.losses.len() * self.config.accumulate) as u64;
        let gone = || Err(LoaderError::WorkersGone { batch: number }.into());
        let batch = batches.next().unwrap_or_else(gone)?;
        times.wait += batches.wait().as_secs_f64();
        let shape = [2 * batch.share.len(), self.n_inputs];
        let values = TensorData::new(batch.values().to_vec(), shape);
        Ok((batch, Tensor::from_data(values, &self.device)))
    }

    fn take_step(
        &mut self,
        batches: &mut Batches<PairBatches>,
        team: &mut Team<'_>,
        stop: bool,
    ) -> Result<StepTimes, ContrastiveError> {
        let config = self.config;
        let step = self.losses.len();
        let mut times = StepTimes::default();
        let mut clock = Lap::start();
        let mut total: Option<Gradients<A>> = None;
        for part in 0..config.accumulate {
            let (batch, x) = self.next_batch(batches, &mut times)?;
            times.batch += clock.lap::<A>(&self.device);
            if part == 0 {
                self.compare_step(&batch, team)?;
                times.exchange += clock.lap::<A>(&self.device);
            }
            let found = self.gradients(x, &batch, (step, part), team, &mut times, &mut clock)?;
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
        if !team.is_alone() {
            times.is_stopped = self.add_up(&mut total, team, stop)?;
            times.exchange += clock.lap::<A>(&self.device);
        }
        // A loss scale above 1 may be too large: the optimiser skips the step and halves it.
        let may_skip = self.optimiser.loss_factor() > 1.0;
        if !total.loss.is_finite() && !may_skip {
            return Err(diverged(format!("the loss is `{}`", total.loss), step + 1));
        }
        self.n_lone_anchors += total.n_lone_anchors;
        let scope = lob_scope::scope("optimiser");
        times.grad_norm = self.update(total.arrays, step);
        drop(scope);
        // With finite gradients the update keeps finite weights finite; without them it has not.
        if !times.grad_norm.is_finite() && !may_skip {
            let norm = times.grad_norm;
            return Err(diverged(format!("the norm of the gradients is `{norm}`"), step + 1));
        }
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
