use burn_tensor::backend::AutodiffBackend;
use burn_tensor::{Tensor, TensorData};

use super::objective::{Marks, chance_loss, has_negatives, objective_loss};
use super::{MIN_STEPS_STUCK, Trainer, diverged};
use crate::encoder::to_vec;
use crate::metrics::{Evaluation, evaluate};
use crate::team::Team;
use crate::{ContrastiveError, Metrics, WindowSource};

/// Fixed batches that every evaluation looks at.
const N_BATCHES: usize = 4;

/// What the leader tells where no pair of the evaluation has a negative. No mean of losses of
/// finite numbers is this one.
const UNMEASURED: f32 = f32::MIN;

impl<A: AutodiffBackend> Trainer<'_, A> {
    /// Evaluates on the leader and gives its loss to every rank, NaN where no pair has a negative;
    /// the others have no metrics.
    pub(super) fn evaluate_for(
        &self,
        team: &mut Team<'_>,
        source: &dyn WindowSource,
    ) -> Result<(f32, Option<Metrics>), ContrastiveError> {
        let metrics = if team.is_leader() { Some(self.evaluate(source)?) } else { None };
        // What is no number stops a run; what was not measured does not, and every rank has to know
        // which of the two it is.
        let told = metrics.as_ref().map_or(0.0, |metrics| match metrics.has_negatives {
            true => metrics.loss,
            false => UNMEASURED,
        });
        let loss = team.leaders(told)?;
        let metrics = metrics.map(Metrics::measured);
        if loss == UNMEASURED {
            return Ok((f32::NAN, metrics));
        }
        self.check_validation(loss)?;
        Ok((loss, metrics))
    }

    /// Metrics of fixed pairs without dropout, augmentation or queue.
    pub(super) fn evaluate(&self, source: &dyn WindowSource) -> Result<Metrics, ContrastiveError> {
        let batches = (0..N_BATCHES).map(|part| self.evaluate_batch(source, part));
        Ok(Metrics::mean(&batches.collect::<Result<Vec<_>, _>>()?))
    }

    /// A validation loss that is no number would be the best one for ever.
    pub(super) fn check_validation(&self, loss: f32) -> Result<(), ContrastiveError> {
        match loss.is_finite() {
            true => Ok(()),
            false => Err(diverged(format!("the validation loss is `{loss}`"), self.losses.len())),
        }
    }

    fn evaluate_batch(
        &self,
        source: &dyn WindowSource,
        part: usize,
    ) -> Result<Metrics, ContrastiveError> {
        let config = self.config;
        let (values, keys) = self.evaluation_batch(source, part)?;
        let n = config.batch_size;
        let data = TensorData::new(values, [2 * n, self.n_inputs]);
        let x = Tensor::<A::InnerBackend, 2>::from_data(data, &self.device);
        let encoded = self.encoder().forward(x, None);
        let marks = Marks::new(config, &keys, None, &self.device);
        let loss = objective_loss(config, encoded.projection.clone(), &self.loss_weights(), marks);
        let dim = encoded.projection.dims()[1];
        let projection = to_vec(encoded.projection);
        let embeddings = to_vec(encoded.embedding);
        let embedding_dim = config.encoder.embedding_dim;
        let can_be_stuck = self.losses.len() >= MIN_STEPS_STUCK;
        let mut metrics = evaluate(&Evaluation {
            anchors: &projection[..n * dim],
            positives: &projection[n * dim..],
            dim,
            embeddings: &embeddings[..n * embedding_dim],
            embedding_dim,
            losses: &self.losses,
            chance_loss: chance_loss(config, self.queue.keys().len()).filter(|_| can_be_stuck),
        });
        metrics.loss = to_vec(loss.loss)[0];
        metrics.has_negatives = has_negatives(config, &keys);
        Ok(metrics)
    }
}
