use burn::tensor::backend::AutodiffBackend;

use super::{STREAM_AUGMENT, STREAM_EVALUATION, STREAM_PAIRS, Trainer};
use crate::{ContrastiveError, PairKey, Rng, WindowSource};

/// Pairs of windows: `[2 B, n_inputs]`, anchors first.
pub(super) struct Batch {
    pub(super) values: Vec<f32>,
    pub(super) keys: Vec<PairKey>,
}

impl<A: AutodiffBackend> Trainer<'_, A> {
    /// The training batch of a step; `part` counts accumulated batches.
    pub(super) fn training_batch(
        &self,
        source: &mut dyn WindowSource,
        step: usize,
        part: usize,
    ) -> Result<Batch, ContrastiveError> {
        let mut rng = Rng::at(self.config.seed, STREAM_PAIRS, step, part);
        let mut batch = self.draw(source, &mut rng)?;
        self.augment(&mut batch, step, part);
        Ok(batch)
    }

    /// One of the fixed batches of evaluation, as it is.
    pub(super) fn evaluation_batch(
        &self,
        source: &mut dyn WindowSource,
        part: usize,
    ) -> Result<Batch, ContrastiveError> {
        self.draw(source, &mut Rng::at(self.config.seed, STREAM_EVALUATION, 0, part))
    }

    fn draw(
        &self,
        source: &mut dyn WindowSource,
        rng: &mut Rng,
    ) -> Result<Batch, ContrastiveError> {
        let half = self.config.batch_size * self.n_inputs;
        let mut values = vec![0.0; 2 * half];
        let mut keys = vec![PairKey::default(); self.config.batch_size];
        let (anchors, positives) = values.split_at_mut(half);
        source.pairs(rng, anchors, positives, &mut keys)?;
        Ok(Batch { values, keys })
    }

    fn augment(&self, batch: &mut Batch, step: usize, part: usize) {
        let (augment, n) = (&self.config.augment, self.config.batch_size);
        if augment.is_none() {
            return;
        }
        let first = part * 2 * n;
        let mut spare = Vec::new();
        for (view, window) in batch.values.chunks_exact_mut(self.n_inputs).enumerate() {
            // Both views of a pair see the market from the same side.
            let of_pair = first + view % n;
            let mut of_pair = Rng::at(self.config.seed, STREAM_AUGMENT + 1, step, of_pair);
            let flip = augment.flips(&mut of_pair);
            let mut rng = Rng::at(self.config.seed, STREAM_AUGMENT, step, first + view);
            augment.apply(&self.layout, window, flip, &mut rng, &mut spare);
        }
    }
}
