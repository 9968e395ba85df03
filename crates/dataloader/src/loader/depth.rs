use std::sync::Arc;

use lob_store::StoreFingerprint;
use sha2::{Digest, Sha256};

use super::{
    Batch, Batches, Buffer, Counts, Loader, Make, Reads, Staging, staging::PageStaging, stop::Stop,
};
use crate::{
    Dataset, LoaderConfig, LoaderError, LoaderState, Scratch,
    order::{Order, Pick},
};

/// Indices hashed between two questions whether to stop.
const HASHED_AT_ONCE: u64 = 1 << 16;

/// Makes batches of depth images: those of a data set, in the order of an epoch.
#[derive(Debug, Clone)]
pub struct DepthImages {
    dataset: Arc<Dataset>,
    config: Arc<LoaderConfig>,
    order: Order,
    /// Samples of the epoch that were served before.
    position: u64,
    data: StoreFingerprint,
}

/// Memory for one image, and which one it was used for last.
#[derive(Debug, Default)]
pub struct ImageScratch {
    images: Scratch,
    index: u64,
}

impl Make for DepthImages {
    type Batch = Batch;
    type Scratch = ImageScratch;
    type Error = LoaderError;

    fn batch_bytes(&self) -> usize {
        self.config.batch_bytes(self.dataset.sample_len())
    }

    fn make(
        &self,
        number: u64,
        buffer: Buffer,
        scratch: &mut ImageScratch,
        stop: &Stop,
    ) -> Result<Batch, LoaderError> {
        let (batch_size, dtype) = (self.config.batch_size as u64, self.config.dtype);
        let start = self.position + number * batch_size;
        let end = self.order.len().min(start + batch_size);
        // At most the batch size, which is a usize.
        let n = usize::try_from(end - start).unwrap_or(0);
        let sample_bytes = self.dataset.sample_len() * dtype.size_bytes();
        let mut batch = Batch {
            n: 0,
            skipped: 0,
            labels: Vec::with_capacity(n),
            movements: Vec::with_capacity(n),
            indices: Vec::with_capacity(n),
            dtype,
            n_bytes: 0,
            buffer,
        };
        for index in (start..end).map(|position| self.order.index(position)) {
            if stop.is_asked() {
                return Err(LoaderError::Stopped);
            }
            scratch.index = index;
            let image = &mut batch.buffer.bytes_mut()[batch.n_bytes..][..sample_bytes];
            let sample = match self.dataset.get_bytes(index, &mut scratch.images, dtype, image) {
                Err(error) if error.is_empty_book() => {
                    batch.skipped += 1;
                    continue;
                }
                sample => sample?,
            };
            batch.n += 1;
            batch.n_bytes += sample_bytes;
            batch.labels.push(sample.label);
            batch.movements.push(sample.movement);
            batch.indices.push(index);
        }
        Ok(batch)
    }

    fn panicked(&self, _: u64, scratch: &ImageScratch, message: String) -> LoaderError {
        let (path, row) = self.dataset.place(scratch.index);
        LoaderError::WorkerPanic { path, row, message }
    }

    fn counts(batch: &Batch) -> Counts {
        Counts { samples: batch.n, skipped: batch.skipped }
    }

    fn reads(&self) -> Option<Reads> {
        let (cache_hits, cache_misses) = self.dataset.cache_hits_and_misses();
        Some(Reads { bytes: self.dataset.store().bytes_read(), cache_hits, cache_misses })
    }
}

impl Loader {
    /// Checks the options. With [`Sampler::Balanced`](crate::Sampler::Balanced) all labels are
    /// read.
    ///
    /// # Errors
    /// An option is out of range, no batch would come of it, or a label cannot be read.
    pub fn new(dataset: Arc<Dataset>, config: LoaderConfig) -> Result<Self, LoaderError> {
        let staging = PageStaging { lock: config.pin_memory };
        Self::with_staging(dataset, config, Box::new(staging))
    }

    /// The same with the batches in memory of another kind; `config.pin_memory` is not looked at.
    ///
    /// # Errors
    /// As [`new`](Self::new). Memory is asked for when the first batches are made.
    pub fn with_staging(
        dataset: Arc<Dataset>,
        config: LoaderConfig,
        staging: Box<dyn Staging>,
    ) -> Result<Self, LoaderError> {
        let pick = Pick::new(&config.sampler, &dataset)?;
        config.check(pick.len())?;
        config.check_dtype(dataset.render_spec())?;
        let (prefetch, order) = (config.prefetch(), Order::of(pick, &config, 0));
        let data = dataset.store().fingerprint();
        let maker = DepthImages { dataset, config: Arc::new(config), order, position: 0, data };
        Self::of_staged(maker, prefetch, staging)
    }

    /// What data are served: the fingerprint of the store.
    pub fn data(&self) -> StoreFingerprint {
        self.maker.data
    }

    /// The data set served.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.maker.dataset
    }

    /// The options.
    pub fn config(&self) -> &LoaderConfig {
        &self.maker.config
    }

    /// Samples of this rank in an epoch, before a last batch is dropped.
    pub fn n_samples(&self) -> u64 {
        self.maker.order.len()
    }

    /// Batches in an epoch.
    pub fn n_batches(&self) -> u64 {
        self.batches_of(self.n_samples())
    }

    fn batches_of(&self, samples: u64) -> u64 {
        let batch_size = self.config().batch_size as u64;
        if self.config().drop_last { samples / batch_size } else { samples.div_ceil(batch_size) }
    }

    /// Serves an epoch from its start. The order depends on the seed and the number of the epoch
    /// alone.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        let (seed, data) = (self.config().seed, Some(self.data()));
        self.serve_epoch(LoaderState { epoch, position: 0, seed, data })
    }

    /// Continues an epoch where a state was taken: exactly the samples that were still to come.
    /// None are after the state of an epoch that was served to its end. A state that does not say
    /// what data it is of is taken as it is.
    ///
    /// # Errors
    /// The state has another seed, lies beyond the epoch, or is of other data.
    pub fn resume(&self, state: LoaderState) -> Result<Epoch, LoaderError> {
        if state.seed != self.config().seed {
            let (found, expected) = (state.seed, self.config().seed);
            return Err(LoaderError::State { field: "seed", found, expected });
        }
        if let Some(found) = state.data.filter(|found| *found != self.data()) {
            let path = self.dataset().store().path().to_owned();
            return Err(LoaderError::OtherData { path, found, expected: self.data() });
        }
        let expected = self.n_samples();
        if state.position > expected {
            return Err(LoaderError::State { field: "position", found: state.position, expected });
        }
        Ok(self.serve_epoch(LoaderState { data: Some(self.data()), ..state }))
    }

    fn serve_epoch(&self, state: LoaderState) -> Epoch {
        let order = self.maker.order.in_epoch(state.epoch);
        let n_batches = self.batches_of(order.len() - state.position);
        let maker = DepthImages { order, position: state.position, ..(*self.maker).clone() };
        Epoch { start: state, batches: self.serve(Arc::new(maker), 0..n_batches) }
    }

    /// SHA-256 over this rank's sample indices of an epoch in order (u64, little endian), before
    /// a last batch is dropped; lower-case hex.
    ///
    /// # Errors
    /// [`LoaderError::Stopped`].
    pub fn order_sha256(&self, epoch: u64) -> Result<String, LoaderError> {
        let order = self.maker.order.in_epoch(epoch);
        let mut sha256 = Sha256::new();
        for position in 0..order.len() {
            if position.is_multiple_of(HASHED_AT_ONCE) && self.stop.is_asked() {
                return Err(LoaderError::Stopped);
            }
            sha256.update(order.index(position).to_le_bytes());
        }
        Ok(sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// How well the batches of an epoch are mixed: the mean distance in the data set between two
    /// samples of a batch, over that of two samples drawn at random. 1 for a full shuffle, near
    /// zero in file order; looks at 256 batches at most.
    pub fn shuffle_quality(&self, epoch: u64) -> f64 {
        self.maker.order.in_epoch(epoch).quality(self.config().batch_size as u64)
    }
}

/// The batches of one epoch, in order whatever worker made them. After an error it ends. Dropping
/// it stops the workers.
///
/// A window without any two-sided bin has no mid and so no image. It is left out of its batch and
/// counted in [`Batch::skipped`] and [`LoaderStats::skipped`](crate::LoaderStats::skipped); a batch
/// of such windows alone is not delivered.
#[derive(Debug)]
pub struct Epoch {
    /// Where it began.
    start: LoaderState,
    batches: Batches<DepthImages>,
}

impl Epoch {
    /// Where the epoch stands: after the last batch delivered, and those without a sample before
    /// it.
    pub fn state(&self) -> LoaderState {
        LoaderState { position: self.start.position + self.batches.passed(), ..self.start }
    }

    /// Batches still to come; fewer if one of them has no window that can be drawn.
    pub fn n_left(&self) -> u64 {
        self.batches.n_left()
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch, LoaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.batches.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use lob_depth::RenderSpec;
    use lob_fixtures::stores as made;

    use super::*;
    use crate::WindowSpec;

    #[test]
    fn a_panic_in_a_worker_reaches_the_consumer_with_file_and_row() {
        let folder = tempfile::tempdir().unwrap();
        made::store(folder.path());
        let window = WindowSpec { n_bins: 8, stride: 1 };
        let render = RenderSpec { n_bins: 8, ..RenderSpec::default() };
        for workers in [0, 1, 3] {
            let mut dataset = Dataset::open(folder.path(), window, render.clone()).unwrap();
            dataset.panic_at = Some(37);
            let config = LoaderConfig { workers, batch_size: 4, ..LoaderConfig::default() };
            let loader = Loader::new(Arc::new(dataset), config).unwrap();
            let served: Vec<_> = loader.epoch(0).collect();
            let order = loader.maker.order.in_epoch(0);
            let at = (0..order.len()).position(|at| order.index(at) == 37).unwrap();
            assert_eq!(served.len(), at / 4 + 1, "all batches before the fault are served");
            let message = served.last().unwrap().as_ref().unwrap_err().to_string();
            let (path, row) = loader.maker.dataset.place(37);
            assert!(message.contains(&path.display().to_string()), "{message}");
            assert!(message.contains(&format!("row `{row}`")), "{message}");
            assert!(message.contains("a made-up fault"), "{message}");
            // The workers survive their panic.
            let again: Vec<_> = loader.epoch(0).collect();
            assert_eq!(again.len(), served.len());
        }
    }
}
