use std::path::Path;

use burn_tensor::backend::{AutodiffBackend, Backend};

use super::{Best, Trainer};
use crate::checkpoint::{BestState, Snapshot};
use crate::encoder::Weight;
use crate::optim::OptimiserState;
use crate::{ContrastiveError, NamedTensor};

impl<A: AutodiffBackend> Trainer<'_, A> {
    /// Everything a later process needs to go on as if nothing had happened.
    pub(super) fn snapshot(&self) -> Snapshot {
        let optimiser = self.optimiser.state();
        let mut tensors = download("weight", &self.weights);
        if let Some(average) = &self.average {
            tensors.extend(download("average", average));
        }
        if let Some(best) = &self.best {
            tensors.extend(download("best", &best.weights));
        }
        for (i, (first, second)) in optimiser.moments.into_iter().enumerate() {
            for (name, values) in [("moment1", first), ("moment2", second)] {
                let shape = vec![values.len()];
                tensors.push(NamedTensor { name: format!("{name}.{i}"), shape, values });
            }
        }
        Snapshot {
            config: self.config.clone(),
            n_inputs: self.n_inputs,
            data: None,
            losses: self.losses.clone(),
            tensors,
            optimiser_steps: optimiser.n_steps,
            loss_scale: optimiser.loss_scale,
            queue: self.queue.state(),
            best: self.best.as_ref().map(|best| BestState {
                loss: best.loss,
                step: best.step,
                n_worse: best.n_worse,
            }),
            n_lone_anchors: self.n_lone_anchors,
        }
    }

    /// The reverse of [`snapshot`](Self::snapshot).
    pub(super) fn restore(
        &mut self,
        path: &Path,
        snapshot: Snapshot,
    ) -> Result<(), ContrastiveError> {
        let misfit =
            |reason: String| ContrastiveError::Checkpoint { path: path.to_owned(), reason };
        snapshot.check_fits(self.config, self.n_inputs).map_err(misfit)?;
        let weights = upload("weight", &snapshot, &self.weights, &self.device);
        let weights = weights.ok_or_else(|| misfit("weights are missing".into()))?;
        if let Some(average) = &mut self.average {
            let found = upload("average", &snapshot, average, &self.device);
            *average = found.ok_or_else(|| misfit("the moving average is missing".into()))?;
        }
        self.best = None;
        if let Some(best) = snapshot.best {
            let like = &self.weights[..self.n_encoder_weights];
            let weights = upload("best", &snapshot, like, &self.device);
            let weights = weights.ok_or_else(|| misfit("the best weights are missing".into()))?;
            let BestState { loss, step, n_worse } = best;
            self.best = Some(Best { loss, step, n_worse, weights });
        }
        let moments = (0..self.weights.len()).map(|i| {
            let values = |name: &str| snapshot.values(&format!("{name}.{i}"));
            Some((values("moment1")?.to_vec(), values("moment2")?.to_vec()))
        });
        let moments: Option<Vec<_>> = moments.collect();
        let moments =
            moments.ok_or_else(|| misfit("the optimiser's moments are missing".into()))?;
        let encoder = &self.config.encoder;
        let dim = encoder.projection_dim.unwrap_or(encoder.embedding_dim);
        if !snapshot.queue.keys.is_empty() && snapshot.queue.dim != dim {
            let found = snapshot.queue.dim;
            return Err(misfit(format!("its queue has rows of {found} values, expected {dim}")));
        }
        let optimiser = OptimiserState {
            n_steps: snapshot.optimiser_steps,
            moments,
            loss_scale: snapshot.loss_scale,
        };
        self.optimiser.restore(optimiser, &weights, &self.device);
        self.weights = weights;
        self.queue.restore(snapshot.queue, &self.device);
        self.losses = snapshot.losses;
        self.n_lone_anchors = snapshot.n_lone_anchors;
        Ok(())
    }
}

fn download<B: Backend>(prefix: &str, weights: &[Weight<B>]) -> Vec<NamedTensor> {
    let tensors = weights.iter().enumerate().map(|(i, weight)| NamedTensor {
        name: format!("{prefix}.{i}"),
        shape: weight.shape(),
        values: weight.clone().download(),
    });
    tensors.collect()
}

/// Arrays with the shapes of `like`; `None` when one is missing or differs.
fn upload<B: Backend>(
    prefix: &str,
    snapshot: &Snapshot,
    like: &[Weight<B>],
    device: &B::Device,
) -> Option<Vec<Weight<B>>> {
    like.iter()
        .enumerate()
        .map(|(i, weight)| {
            let shape = weight.shape();
            let values = snapshot.values(&format!("{prefix}.{i}"))?;
            (values.len() == shape.iter().product::<usize>())
                .then(|| Weight::upload(values.to_vec(), &shape, device))
        })
        .collect()
}
