use std::ops::Range;
use std::sync::Arc;

use burn_tensor::backend::AutodiffBackend;
use lob_dataloader::{Buffer, Counts, Make, Stop};

use super::{STREAM_AUGMENT, STREAM_EVALUATION, STREAM_PAIRS, Trainer};
use crate::team::Hash;
use crate::{
    ContrastiveError, Layout, PairKey, Place, Rng, TrainConfig, WindowScratch, WindowSource,
};

/// Pairs of windows.
pub(super) struct Batch {
    /// Which pairs of the batch are at hand: all of them, or one rank's share.
    pub(super) share: Range<usize>,
    /// Keys of all pairs.
    pub(super) keys: Vec<PairKey>,
    buffer: Buffer,
    n_values: usize,
}

impl Batch {
    /// The windows at hand, `[2 share, n_inputs]`, anchors first.
    pub(super) fn values(&self) -> &[f32] {
        self.buffer.values(self.n_values)
    }

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

/// Makes the training batches of a run, with the windows of a share: batch `n` is part
/// `n % accumulate` of step `n / accumulate`.
pub(super) struct PairBatches {
    source: Arc<dyn WindowSource>,
    config: TrainConfig,
    share: Range<usize>,
    n_inputs: usize,
    layout: Layout,
}

impl PairBatches {
    pub(super) fn new(
        source: Arc<dyn WindowSource>,
        config: &TrainConfig,
        share: Range<usize>,
    ) -> Self {
        let (n_inputs, layout) = (source.n_inputs(), source.layout());
        Self { source, config: config.clone(), share, n_inputs, layout }
    }

    /// Values of a batch.
    fn n_values(&self) -> usize {
        2 * self.share.len() * self.n_inputs
    }

    fn step_and_part(&self, number: u64) -> (usize, usize) {
        let n_parts = self.config.accumulate.max(1);
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        (number / n_parts, number % n_parts)
    }

    fn augment(
        &self,
        values: &mut [f32],
        (step, part): (usize, usize),
        scratch: &WindowScratch,
    ) -> Result<(), ContrastiveError> {
        let (augment, n) = (&self.config.augment, self.config.batch_size);
        if augment.is_none() {
            return Ok(());
        }
        let first = part * 2 * n;
        let mut spare = Vec::new();
        // Numbers of the views in the whole batch: a window changes alike on whatever rank it is.
        let views = self.share.clone().chain(self.share.clone().map(|pair| n + pair));
        for (view, window) in views.zip(values.chunks_exact_mut(self.n_inputs)) {
            scratch.check_stop()?;
            // Both views of a pair see the market from the same side.
            let of_pair = first + view % n;
            let mut of_pair = Rng::at(self.config.seed, STREAM_AUGMENT + 1, step, of_pair);
            let flip = augment.flips(&mut of_pair);
            let mut rng = Rng::at(self.config.seed, STREAM_AUGMENT, step, first + view);
            augment.apply(&self.layout, window, flip, &mut rng, &mut spare);
        }
        Ok(())
    }
}

impl Make for PairBatches {
    type Batch = Batch;
    type Scratch = WindowScratch;
    type Error = ContrastiveError;

    fn batch_bytes(&self) -> usize {
        self.n_values().saturating_mul(size_of::<f32>())
    }

    fn make(
        &self,
        number: u64,
        mut buffer: Buffer,
        scratch: &mut WindowScratch,
        stop: &Stop,
    ) -> Result<Batch, ContrastiveError> {
        let (step, part) = self.step_and_part(number);
        scratch.stop = stop.clone();
        let n_values = self.n_values();
        let values = buffer.values_mut(n_values);
        let mut keys = vec![PairKey::default(); self.config.batch_size];
        let mut rng = Rng::at(self.config.seed, STREAM_PAIRS, step, part);
        let (anchors, positives) = values.split_at_mut(n_values / 2);
        let share = self.share.clone();
        self.source.pairs_of_part(scratch, &mut rng, share, anchors, positives, &mut keys)?;
        self.augment(values, (step, part), scratch)?;
        Ok(Batch { share: self.share.clone(), keys, buffer, n_values })
    }

    fn panicked(&self, number: u64, _: &WindowScratch, message: String) -> ContrastiveError {
        ContrastiveError::DrawPanic { step: self.step_and_part(number).0 + 1, message }
    }

    fn counts(batch: &Batch) -> Counts {
        Counts { samples: batch.share.len(), skipped: 0 }
    }
}

impl<A: AutodiffBackend> Trainer<'_, A> {
    /// One of the fixed batches of evaluation, as it is: windows and keys.
    pub(super) fn evaluation_batch(
        &self,
        source: &dyn WindowSource,
        part: usize,
    ) -> Result<(Vec<f32>, Vec<PairKey>), ContrastiveError> {
        let mut rng = Rng::at(self.config.seed, STREAM_EVALUATION, 0, part);
        let half = self.config.batch_size * self.n_inputs;
        let mut values = vec![0.0; 2 * half];
        let mut keys = vec![PairKey::default(); self.config.batch_size];
        let (anchors, positives) = values.split_at_mut(half);
        source.pairs(&mut WindowScratch::default(), &mut rng, anchors, positives, &mut keys)?;
        Ok((values, keys))
    }
}
