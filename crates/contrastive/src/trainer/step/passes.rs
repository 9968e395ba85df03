//! A batch through the encoder, forwards and backwards.

use std::ops::Range;

use burn_tensor::Tensor;
use burn_tensor::backend::{AutodiffBackend, Backend};
use lob_dataloader::LoaderError;

use super::{Gradients, Lap, StepTimes};
use crate::encoder::{Weight, to_vec};
use crate::team::Team;
use crate::trainer::batch::Batch;
use crate::trainer::objective::{LossWeights, Marks, objective_loss};
use crate::trainer::weights::{self, take_gradients, tracked};
use crate::trainer::{STREAM_DROPOUT, Trainer};
use crate::{ContrastiveError, Encoder, PairKey, Rng, flops};

/// Step and accumulated batch.
type At = (usize, usize);

/// Views that go through the encoder at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Their rows among the views at hand.
    pub(super) rows: Range<usize>,
    /// Row of the first one among the views of all ranks, anchors first.
    pub(super) first: usize,
}

/// The views of the pairs in `share`, of `n` pairs, in pieces of at most `at_once`.
pub(super) fn pieces(share: &Range<usize>, n: usize, at_once: usize) -> Vec<Piece> {
    // One stretch where all pairs are at hand: anchors and positives are neighbours then.
    let anchors = if share.len() == n { 0..2 * n } else { share.clone() };
    let positives = if share.len() == n { 0..0 } else { n + share.start..n + share.end };
    let mut done = 0;
    let mut pieces = Vec::new();
    for stretch in [anchors, positives] {
        for first in stretch.clone().step_by(at_once) {
            let rows = at_once.min(stretch.end - first);
            pieces.push(Piece { rows: done..done + rows, first });
            done += rows;
        }
    }
    pieces
}

/// What the loss says of the projections of a whole batch.
struct Pull<A: AutodiffBackend> {
    loss: f32,
    n_lone_anchors: usize,
    /// The loss's gradient by each projection.
    by_view: Tensor<A::InnerBackend, 2>,
    /// Its gradients by its own weights.
    own: Vec<Option<Weight<A::InnerBackend>>>,
}

/// A differentiated pass: its leaves and its result.
type Graph<A> = (Vec<Weight<A>>, Tensor<A, 2>);

impl<A: AutodiffBackend> Trainer<'_, A> {
    /// Loss of a whole batch, and this rank's share of its gradients: they add up to those of the
    /// batch over the ranks. `x` holds the views at hand.
    pub(super) fn gradients(
        &self,
        x: Tensor<A::InnerBackend, 2>,
        batch: &Batch,
        at: At,
        team: &mut Team<'_>,
        times: &mut StepTimes,
        clock: &mut Lap,
    ) -> Result<Gradients<A>, ContrastiveError> {
        let at_once = self.config.grad_cache.filter(|&rows| rows < 2 * batch.share.len());
        if team.is_alone() && at_once.is_none() {
            return Ok(self.direct_gradients(x, &batch.keys, at, times, clock));
        }
        let pieces = pieces(&batch.share, self.config.batch_size, at_once.unwrap_or(usize::MAX));
        let own_weights = &self.weights[..self.n_encoder_weights];
        let part = |piece: &Piece| x.clone().narrow(0, piece.rows.start, piece.rows.len());
        let graph = |piece: &Piece| -> Result<Graph<A>, ContrastiveError> {
            self.check_stop()?;
            let leaves: Vec<Weight<A>> = own_weights.iter().map(tracked::<A>).collect();
            let z = self.encode(&leaves, Tensor::from_inner(part(piece)), piece.first, at);
            Ok((leaves, z))
        };
        let scope = lob_scope::scope("forward");
        // One graph at a time where memory is short (GradCache, Gao et al., 2021): a pass without
        // differentiation now, another one with it once the loss has said where to pull. Dropout
        // is the same in both.
        let whole = pieces.iter().filter(|_| at_once.is_none());
        let graphs = whole.map(graph).collect::<Result<Vec<Graph<A>>, _>>()?;
        let parts: Vec<Tensor<A::InnerBackend, 2>> = if at_once.is_none() {
            graphs.iter().map(|(_, z)| z.clone().inner()).collect()
        } else {
            let plain = |piece: &Piece| {
                self.check_stop()?;
                Ok(self.encode(own_weights, part(piece), piece.first, at))
            };
            pieces.iter().map(plain).collect::<Result<_, ContrastiveError>>()?
        };
        drop(scope);
        times.forward += clock.lap::<A>(&self.device);
        let z = self.gather(parts, &pieces, team)?;
        times.exchange += clock.lap::<A>(&self.device);

        let scope = lob_scope::scope("loss");
        let pull = self.pull(&z, &batch.keys);
        drop(scope);
        times.loss += clock.lap::<A>(&self.device);

        let scope = lob_scope::scope("backward");
        let mut arrays: Vec<Option<Weight<_>>> = vec![None; self.n_encoder_weights];
        let mut graphs = graphs.into_iter();
        for piece in &pieces {
            let (leaves, z) = graphs.next().map_or_else(|| graph(piece), Ok)?;
            let pull = pull.by_view.clone().narrow(0, piece.first, piece.rows.len());
            let mut gradients = (z * Tensor::from_inner(pull)).sum().backward();
            weights::add(&mut arrays, take_gradients(leaves, &mut gradients));
        }
        arrays.extend(pull.own);
        self.count_backward(batch.share.len() * 2);
        drop(scope);
        times.backward += clock.lap::<A>(&self.device);
        let (loss, n_lone_anchors) = (pull.loss, pull.n_lone_anchors);
        Ok(Gradients { loss, arrays, n_lone_anchors, z })
    }

    /// One differentiated pass over all views.
    fn direct_gradients(
        &self,
        x: Tensor<A::InnerBackend, 2>,
        keys: &[PairKey],
        at: At,
        times: &mut StepTimes,
        clock: &mut Lap,
    ) -> Gradients<A> {
        let config = self.config;
        let scope = lob_scope::scope("forward");
        let leaves: Vec<Weight<A>> = self.weights.iter().map(tracked::<A>).collect();
        let rows = x.dims()[0];
        let z = self.encode(&leaves[..self.n_encoder_weights], Tensor::from_inner(x), 0, at);
        drop(scope);
        times.forward += clock.lap::<A>(&self.device);

        let scope = lob_scope::scope("loss");
        let loss_weights = LossWeights::new(config, &leaves[self.n_encoder_weights..]);
        let kept = z.clone().inner();
        let loss = objective_loss(config, z, &loss_weights, self.marks(keys));
        drop((loss_weights, scope));
        times.loss += clock.lap::<A>(&self.device);

        let scope = lob_scope::scope("backward");
        let mut gradients = self.scaled(loss.loss.clone()).backward();
        let arrays = take_gradients(leaves, &mut gradients);
        let value = to_vec(loss.loss.inner())[0];
        self.count_backward(rows);
        drop(scope);
        times.backward += clock.lap::<A>(&self.device);
        Gradients { loss: value, arrays, n_lone_anchors: loss.n_lone_anchors, z: kept }
    }

    /// Operations of a backward pass over so many views, for a profiler: the encoder counts its
    /// forward passes itself.
    fn count_backward(&self, rows: usize) {
        if lob_scope::is_enabled() {
            let forward = self.config.encoder.forward_flops(self.n_inputs);
            lob_scope::count_flops(rows as u64 * (flops::train_step(forward) - forward));
        }
    }

    /// The loss of a batch's projections alone, and where it pulls each of them.
    fn pull(&self, z: &Tensor<A::InnerBackend, 2>, keys: &[PairKey]) -> Pull<A> {
        let config = self.config;
        let leaf = Tensor::<A, 2>::from_inner(z.clone()).require_grad();
        let own: Vec<_> = self.weights[self.n_encoder_weights..].iter().map(tracked::<A>).collect();
        let weights = LossWeights::new(config, &own);
        let loss = objective_loss(config, leaf.clone(), &weights, self.marks(keys));
        drop(weights);
        let mut gradients = self.scaled(loss.loss.clone()).backward();
        let by_view = leaf.grad_remove(&mut gradients).unwrap_or_else(|| z.zeros_like());
        let own = take_gradients(own, &mut gradients);
        let value = to_vec(loss.loss.inner())[0];
        Pull { loss: value, n_lone_anchors: loss.n_lone_anchors, by_view, own }
    }

    /// Asked between the pieces of a batch. Ranks are in step with each other: with several,
    /// nobody is asked here.
    fn check_stop(&self) -> Result<(), ContrastiveError> {
        if self.stop.is_asked() { Err(LoaderError::Stopped.into()) } else { Ok(()) }
    }

    fn marks(&self, keys: &[PairKey]) -> Marks<A> {
        let queue = self.queue.rows().map(|rows| (Tensor::from_inner(rows), self.queue.keys()));
        Marks::new(self.config, keys, queue, &self.device)
    }

    /// Projections of views that begin at row `first` of the whole batch.
    fn encode<B: Backend>(
        &self,
        weights: &[Weight<B>],
        x: Tensor<B, 2>,
        first: usize,
        (step, part): At,
    ) -> Tensor<B, 2> {
        let (shape, precision) = (self.config.encoder.clone(), self.config.precision);
        let encoder = Encoder::from_weights(shape, self.n_inputs, weights.to_vec());
        let mut rng = Rng::at(self.config.seed, STREAM_DROPOUT, step, part << 20);
        encoder.with_precision(precision).forward_rows(x, first, Some(&mut rng)).projection
    }

    /// The loss times the factor that keeps gradients from vanishing in half precision.
    fn scaled(&self, loss: Tensor<A, 1>) -> Tensor<A, 1> {
        let factor = self.optimiser.loss_factor();
        if factor > 1.0 { loss.mul_scalar(factor) } else { loss }
    }
}
