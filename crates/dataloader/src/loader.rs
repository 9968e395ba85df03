mod batch;
mod staging;
mod stats;
mod worker;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use sha2::{Digest, Sha256};

use self::{
    batch::Maker,
    staging::Pool,
    stats::Counters,
    worker::{Job, Workers},
};
pub use self::{
    batch::{Batch, Cells},
    staging::{PageStaging, Staging, StagingBuffer},
    stats::{LoaderStats, RecentStats},
};
use crate::{
    Dataset, LoaderConfig, LoaderError, LoaderState, Scratch,
    order::{Order, Pick},
};

/// Serves a data set in batches.
#[derive(Debug)]
pub struct Loader {
    dataset: Arc<Dataset>,
    config: LoaderConfig,
    pick: Pick,
    pool: Arc<Pool>,
    counters: Arc<Counters>,
    /// Worker threads between two epochs.
    idle: Arc<Mutex<Option<Workers>>>,
    bytes_before: u64,
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
        let slots = config.prefetch_batches(dataset.sample_len());
        let bytes_before = dataset.store().bytes_read();
        Ok(Self {
            // One more than is made ahead: the batch in the consumer's hands comes back too.
            pool: Arc::new(Pool::new(staging, slots + 1, config.batch_bytes(dataset.sample_len()))),
            counters: Arc::default(),
            idle: Arc::default(),
            dataset,
            config,
            pick,
            bytes_before,
        })
    }

    /// The data set served.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.dataset
    }

    /// The options.
    pub fn config(&self) -> &LoaderConfig {
        &self.config
    }

    /// Samples of this rank in an epoch, before a last batch is dropped.
    pub fn n_samples(&self) -> u64 {
        self.order(0).len()
    }

    /// Batches in an epoch.
    pub fn n_batches(&self) -> u64 {
        self.batches_of(self.n_samples())
    }

    fn batches_of(&self, samples: u64) -> u64 {
        let batch_size = self.config.batch_size as u64;
        if self.config.drop_last { samples / batch_size } else { samples.div_ceil(batch_size) }
    }

    fn order(&self, epoch: u64) -> Order {
        Order::of(self.pick.clone(), &self.config, epoch)
    }

    /// Serves an epoch from its start. The order depends on the seed and the number of the epoch
    /// alone.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        self.serve(LoaderState { epoch, position: 0, seed: self.config.seed })
    }

    /// Continues an epoch where a state was taken: exactly the samples that were still to come.
    ///
    /// # Errors
    /// The state has another seed or lies beyond the epoch.
    pub fn resume(&self, state: LoaderState) -> Result<Epoch, LoaderError> {
        if state.seed != self.config.seed {
            let (found, expected) = (state.seed, self.config.seed);
            return Err(LoaderError::State { field: "seed", found, expected });
        }
        let expected = self.n_samples();
        if state.position > expected {
            return Err(LoaderError::State { field: "position", found: state.position, expected });
        }
        Ok(self.serve(state))
    }

    fn serve(&self, state: LoaderState) -> Epoch {
        let order = self.order(state.epoch);
        let n_batches = self.batches_of(order.len() - state.position);
        let maker = Maker {
            dataset: Arc::clone(&self.dataset),
            order,
            batch_size: self.config.batch_size as u64,
            dtype: self.config.dtype,
            position: state.position,
            pool: Arc::clone(&self.pool),
        };
        let mut epoch = Epoch {
            state,
            delivered: 0,
            n_batches,
            pending: BTreeMap::new(),
            counters: Arc::clone(&self.counters),
            watch: Watch(Arc::clone(&self.dataset)),
            source: Source::Nothing,
        };
        if n_batches > 0 {
            match self.source(maker, n_batches) {
                Ok(source) => epoch.source = source,
                Err(error) => {
                    epoch.pending.insert(0, Err(error));
                }
            }
        }
        epoch
    }

    fn source(&self, maker: Maker, n_batches: u64) -> Result<Source, LoaderError> {
        if self.config.workers == 0 {
            return Ok(Source::Here(Box::new((maker, Scratch::default()))));
        }
        // An epoch that is still being served keeps its workers: this one then gets its own.
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let workers = match idle {
            Some(workers) => workers,
            None => Workers::start(self.config.workers)?,
        };
        let slots = self.config.prefetch_batches(self.dataset.sample_len());
        let (give, permits) = bounded(slots);
        let (results, receive) = bounded(slots);
        for _ in 0..slots {
            // The channel holds as many: sending never waits.
            let _ = give.try_send(());
        }
        let stop = Arc::new(AtomicBool::new(false));
        workers.give(&Arc::new(Job {
            maker,
            n_batches,
            next: AtomicU64::new(0),
            stop: Arc::clone(&stop),
            permits,
            results,
        }));
        Ok(Source::Workers(Running {
            workers: Some(workers),
            idle: self.config.persistent_workers.then(|| Arc::clone(&self.idle)),
            give: Some(give),
            receive,
            stop,
        }))
    }

    /// SHA-256 over this rank's sample indices of an epoch in order (u64, little endian), before
    /// a last batch is dropped; lower-case hex.
    pub fn order_sha256(&self, epoch: u64) -> String {
        let order = self.order(epoch);
        let mut sha256 = Sha256::new();
        for position in 0..order.len() {
            sha256.update(order.index(position).to_le_bytes());
        }
        sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// How well the batches of an epoch are mixed: the mean distance in the data set between two
    /// samples of a batch, over that of two samples drawn at random. 1 for a full shuffle, near
    /// zero in file order; looks at 256 batches at most.
    pub fn shuffle_quality(&self, epoch: u64) -> f64 {
        self.order(epoch).quality(self.config.batch_size as u64)
    }

    /// Figures since the loader was made. Cache and byte counts are those of the data set's store
    /// and include other users of it.
    pub fn stats(&self) -> LoaderStats {
        let (cache_hits, cache_misses) = self.dataset.cache_hits_and_misses();
        LoaderStats {
            bytes_read: self.dataset.store().bytes_read() - self.bytes_before,
            cache_hits,
            cache_misses,
            buffers: self.pool.allocated(),
            ..self.counters.stats()
        }
    }
}

/// The batches of one epoch, in order whatever worker made them. After an error it ends. Dropping
/// it stops the workers.
///
/// A window without any two-sided bin has no mid and so no image. It is left out of its batch and
/// counted in [`Batch::skipped`] and [`LoaderStats::skipped`]; a batch of such windows alone is
/// not delivered.
#[derive(Debug)]
pub struct Epoch {
    state: LoaderState,
    delivered: u64,
    n_batches: u64,
    /// Batches that came before their turn.
    pending: BTreeMap<u64, Result<Batch, LoaderError>>,
    counters: Arc<Counters>,
    watch: Watch,
    source: Source,
}

/// Tells the profiler's trace about each batch.
#[derive(Debug)]
struct Watch(Arc<Dataset>);

impl Watch {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn tell(&self, depth: usize) {
        let (hits, misses) = self.0.cache_hits_and_misses();
        lob_scope::scope_field("queue_depth", depth as f64);
        lob_scope::scope_field("cache_hits", hits as f64);
        lob_scope::scope_field("cache_misses", misses as f64);
        lob_scope::scope_field("bytes_read", self.0.store().bytes_read() as f64);
    }
}

#[derive(Debug)]
enum Source {
    /// No batch is left to make.
    Nothing,
    /// Batches are made on the calling thread.
    Here(Box<(Maker, Scratch)>),
    Workers(Running),
}

/// Workers at work for one epoch.
#[derive(Debug)]
struct Running {
    workers: Option<Workers>,
    /// Where the workers go afterwards if they are kept.
    idle: Option<Arc<Mutex<Option<Workers>>>>,
    give: Option<Sender<()>>,
    receive: Receiver<(u64, Result<Batch, LoaderError>)>,
    stop: Arc<AtomicBool>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the workers that wait for leave to make another batch.
        self.give = None;
        if let Some(idle) = &self.idle {
            let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.is_none() {
                *idle = self.workers.take();
            }
        }
    }
}

impl Epoch {
    /// Where the epoch stands: after the last batch delivered.
    pub fn state(&self) -> LoaderState {
        self.state
    }

    /// Batches still to come; fewer if one of them has no window that can be drawn.
    pub fn n_left(&self) -> u64 {
        self.n_batches - self.delivered
    }

    /// Batch number `delivered`, and how many batches were ready when it was asked for.
    fn take(&mut self) -> (Result<Batch, LoaderError>, usize) {
        let batch = self.delivered;
        match &mut self.source {
            Source::Here(here) => (here.0.make(batch, &mut here.1), 0),
            Source::Nothing => {
                let gone = Err(LoaderError::WorkersGone { batch });
                (self.pending.remove(&batch).unwrap_or(gone), 0)
            }
            Source::Workers(running) => {
                let depth = self.pending.len() + running.receive.len();
                let found = loop {
                    if let Some(found) = self.pending.remove(&batch) {
                        break found;
                    }
                    match running.receive.recv() {
                        Ok((at, made)) => drop(self.pending.insert(at, made)),
                        Err(_) => break Err(LoaderError::WorkersGone { batch }),
                    }
                };
                // This batch no longer counts as made ahead: another one may be begun.
                if let Some(give) = &running.give {
                    let _ = give.try_send(());
                }
                (found, depth)
            }
        }
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch, LoaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.delivered == self.n_batches {
            return None;
        }
        let _scope = lob_scope::scope!("wait_for_batch");
        let asked = Instant::now();
        while self.delivered < self.n_batches {
            let (mut made, depth) = self.take();
            let is_empty = made.as_ref().is_ok_and(|batch| batch.n == 0);
            match &mut made {
                Ok(batch) => {
                    batch.wait = asked.elapsed();
                    self.delivered += 1;
                    self.state.position += (batch.n + batch.skipped) as u64;
                    self.counters.count(batch, depth);
                    self.watch.tell(depth);
                }
                Err(_) => self.delivered = self.n_batches,
            }
            if self.delivered == self.n_batches {
                self.source = Source::Nothing;
                self.pending.clear();
            }
            if !is_empty {
                return Some(made);
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // An error ends the epoch early, and batches without a drawable window are left out.
        (0, usize::try_from(self.n_left()).ok())
    }
}

#[cfg(test)]
mod tests {
    use lob_depth::RenderSpec;

    use super::*;
    use crate::{WindowSpec, made};

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
            let order = loader.order(0);
            let at = (0..order.len()).position(|at| order.index(at) == 37).unwrap();
            assert_eq!(served.len(), at / 4 + 1, "all batches before the fault are served");
            let message = served.last().unwrap().as_ref().unwrap_err().to_string();
            let (path, row) = loader.dataset.place(37);
            assert!(message.contains(&path.display().to_string()), "{message}");
            assert!(message.contains(&format!("row `{row}`")), "{message}");
            assert!(message.contains("a made-up fault"), "{message}");
            // The workers survive their panic.
            let again: Vec<_> = loader.epoch(0).collect();
            assert_eq!(again.len(), served.len());
        }
    }
}
