//! What ranks tell each other in a step: their projections, then their gradients.

use burn_tensor::backend::AutodiffBackend;
use burn_tensor::{Tensor, TensorData};

use super::Gradients;
use super::passes::Piece;
use crate::ContrastiveError;
use crate::encoder::{Weight, to_vec};
use crate::team::Team;
use crate::trainer::Trainer;

impl<A: AutodiffBackend> Trainer<'_, A> {
    /// The projections of the whole batch from those of this rank's pieces.
    ///
    /// Each rank fills its own rows and adds them up with the others' zeros, which changes no
    /// number. Pair `i` of the batch is row `i` of the anchors and of the positives on every rank:
    /// the rows of a rank begin at its share, and so do its labels.
    pub(super) fn gather(
        &self,
        parts: Vec<Tensor<A::InnerBackend, 2>>,
        pieces: &[Piece],
        team: &mut Team<'_>,
    ) -> Result<Tensor<A::InnerBackend, 2>, ContrastiveError> {
        if team.is_alone() {
            return Ok(Tensor::cat(parts, 0));
        }
        let dim = parts.first().map_or(0, |part| part.dims()[1]);
        let n_rows = 2 * self.config.batch_size;
        let mut all = vec![0.0; n_rows * dim];
        for (part, piece) in parts.into_iter().zip(pieces) {
            all[piece.first * dim..][..piece.rows.len() * dim].copy_from_slice(&to_vec(part));
        }
        team.sum(&mut all)?;
        Ok(Tensor::from_data(TensorData::new(all, [n_rows, dim]), &self.device))
    }

    /// Replaces a rank's share of a step's gradients by their sum, in one message. Says whether any
    /// rank was asked to stop.
    pub(super) fn add_up(
        &self,
        share: &mut Gradients<A>,
        team: &mut Team<'_>,
        stop: bool,
    ) -> Result<bool, ContrastiveError> {
        let sizes = self.weights.iter().map(|weight| weight.shape().iter().product());
        let sizes: Vec<usize> = sizes.collect();
        let is_there: Vec<bool> = share.arrays.iter().map(Option::is_some).collect();
        let mut message = Vec::with_capacity(sizes.iter().sum::<usize>() + 2);
        for (i, (gradient, &size)) in share.arrays.iter_mut().zip(&sizes).enumerate() {
            // Every rank has the loss's own gradients whole, and the loss: the leader's count.
            match gradient.take() {
                Some(gradient) if i < self.n_encoder_weights || team.is_leader() => {
                    message.extend(gradient.download());
                }
                _ => message.resize(message.len() + size, 0.0),
            }
        }
        message.push(if team.is_leader() { share.loss } else { 0.0 });
        message.push(if stop { 1.0 } else { 0.0 });
        team.sum(&mut message)?;
        let is_stopped = message.pop().is_some_and(|n_stopped| n_stopped > 0.0);
        share.loss = message.pop().unwrap_or(f32::NAN);
        let mut at = 0;
        for (i, weight) in self.weights.iter().enumerate() {
            let values = message[at..at + sizes[i]].to_vec();
            at += sizes[i];
            let sum = || Weight::upload(values, &weight.shape(), &self.device);
            share.arrays[i] = is_there[i].then(sum);
        }
        Ok(is_stopped)
    }
}
