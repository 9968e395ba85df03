use std::ops::Range;

use burn_tensor::backend::AutodiffBackend;

use super::{STREAM_AUGMENT, STREAM_EVALUATION, STREAM_PAIRS, Trainer};
use crate::team::Hash;
use crate::{ContrastiveError, PairKey, Place, Rng, WindowSource};

/// Pairs of windows.
pub(super) struct Batch {
    /// Which pairs of the batch are at hand: all of them, or one rank's share.
    pub(super) share: Range<usize>,
    /// Their windows, `[2 share, n_inputs]`, anchors first.
    pub(super) values: Vec<f32>,
    /// Keys of all pairs.
    pub(super) keys: Vec<PairKey>,
}

impl Batch {
    /// Identifies the pairs drawn.
    pub(super) fn add_to(&self, hash: &mut Hash) {
        for key in &self.keys {
            hash.add(key.instrument);
            hash.add(key.group);
            hash.add(key.label.cast_unsigned());
            for Place { row, ts_event } in [key.anchor, key.positive] {
                hash.add(row.cast_unsigned());
                hash.add(ts_event.unwrap_or(u64::MAX));
            }
        }
    }
}

impl<A: AutodiffBackend> Trainer<'_, A> {
    /// The training batch of a step, with the windows of `share`; `part` counts accumulated
    /// batches.
    pub(super) fn training_batch(
        &self,
        source: &mut dyn WindowSource,
        share: Range<usize>,
        step: usize,
        part: usize,
    ) -> Result<Batch, ContrastiveError> {
        let mut rng = Rng::at(self.config.seed, STREAM_PAIRS, step, part);
        let mut batch = self.draw(source, share, &mut rng)?;
        self.augment(&mut batch, step, part);
        Ok(batch)
    }

    /// One of the fixed batches of evaluation, as it is.
    pub(super) fn evaluation_batch(
        &self,
        source: &mut dyn WindowSource,
        part: usize,
    ) -> Result<Batch, ContrastiveError> {
        let mut rng = Rng::at(self.config.seed, STREAM_EVALUATION, 0, part);
        self.draw(source, 0..self.config.batch_size, &mut rng)
    }

    fn draw(
        &self,
        source: &mut dyn WindowSource,
        share: Range<usize>,
        rng: &mut Rng,
    ) -> Result<Batch, ContrastiveError> {
        let half = share.len() * self.n_inputs;
        let mut values = vec![0.0; 2 * half];
        let mut keys = vec![PairKey::default(); self.config.batch_size];
        let (anchors, positives) = values.split_at_mut(half);
        source.pairs_of_part(rng, share.clone(), anchors, positives, &mut keys)?;
        Ok(Batch { share, values, keys })
    }

    fn augment(&self, batch: &mut Batch, step: usize, part: usize) {
        let (augment, n) = (&self.config.augment, self.config.batch_size);
        if augment.is_none() {
            return;
        }
        let first = part * 2 * n;
        let mut spare = Vec::new();
        // Numbers of the views in the whole batch: a window changes alike on whatever rank it is.
        let views = batch.share.clone().chain(batch.share.clone().map(|pair| n + pair));
        for (view, window) in views.zip(batch.values.chunks_exact_mut(self.n_inputs)) {
            // Both views of a pair see the market from the same side.
            let of_pair = first + view % n;
            let mut of_pair = Rng::at(self.config.seed, STREAM_AUGMENT + 1, step, of_pair);
            let flip = augment.flips(&mut of_pair);
            let mut rng = Rng::at(self.config.seed, STREAM_AUGMENT, step, first + view);
            augment.apply(&self.layout, window, flip, &mut rng, &mut spare);
        }
    }
}
