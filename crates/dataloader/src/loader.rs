mod batch;
mod batches;
mod depth;
mod make;
mod prefetch;
mod staging;
mod stats;
mod stop;
mod worker;

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool, atomic::AtomicU64, atomic::Ordering},
};

use crossbeam_channel::bounded;

pub use self::{
    batch::{Batch, Cells},
    batches::Batches,
    depth::{DepthImages, Epoch},
    make::{Counts, Make, Reads},
    prefetch::Prefetch,
    staging::{Buffer, PageStaging, Staging, StagingBuffer},
    stats::{LoaderStats, RecentStats},
    stop::Stop,
};
use self::{
    batches::{Running, Source},
    staging::Pool,
    stats::Counters,
    worker::{Job, Workers},
};
use crate::LoaderError;

/// Serves the batches of a maker from worker threads: depth images of a data set, unless another
/// maker is named.
pub struct Loader<M: Make = DepthImages> {
    maker: Arc<M>,
    prefetch: Prefetch,
    /// Batches made ahead, at most.
    slots: usize,
    pool: Arc<Pool>,
    counters: Arc<Counters>,
    /// Worker threads between two runs of batches.
    idle: Arc<Mutex<Option<Workers<M>>>>,
    stop: Stop,
    /// What had been read before.
    before: Reads,
}

impl<M: Make> fmt::Debug for Loader<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader").field("prefetch", &self.prefetch).finish_non_exhaustive()
    }
}

impl<M: Make> Loader<M> {
    /// A loader of anything.
    ///
    /// # Errors
    /// An option is out of range.
    pub fn of(maker: M, prefetch: Prefetch) -> Result<Self, LoaderError> {
        let staging = PageStaging { lock: prefetch.pin_memory };
        Self::of_staged(maker, prefetch, Box::new(staging))
    }

    fn of_staged(
        maker: M,
        prefetch: Prefetch,
        staging: Box<dyn Staging>,
    ) -> Result<Self, LoaderError> {
        prefetch.check()?;
        let batch_bytes = maker.batch_bytes();
        let slots = prefetch.batches(batch_bytes);
        Ok(Self {
            // One more than is made ahead: the batch in the consumer's hands comes back too.
            pool: Arc::new(Pool::new(staging, slots + 1, batch_bytes)),
            before: maker.reads().unwrap_or_default(),
            maker: Arc::new(maker),
            prefetch,
            slots,
            counters: Arc::default(),
            idle: Arc::default(),
            stop: Stop::default(),
        })
    }

    /// The same, which ends with [`LoaderError::Stopped`] once it is asked to.
    #[must_use]
    pub fn with_stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// The batches of these numbers, in order whatever worker made them. No thread is started for
    /// an empty range.
    pub fn batches(&self, numbers: Range<u64>) -> Batches<M> {
        self.serve(Arc::clone(&self.maker), numbers)
    }

    /// Batches of a maker whose batches are as large as those of the loader's own.
    fn serve(&self, maker: Arc<M>, numbers: Range<u64>) -> Batches<M> {
        let source = if numbers.is_empty() {
            Ok(Source::Nothing)
        } else if self.prefetch.workers == 0 {
            Ok(Source::Here { pool: Arc::clone(&self.pool), scratch: Box::default() })
        } else {
            self.start(Arc::clone(&maker), &numbers).map(Source::Workers)
        };
        let (stop, counters) = (self.stop.clone(), Arc::clone(&self.counters));
        Batches::new(maker, numbers, source, stop, counters)
    }

    /// Sets the workers to work.
    fn start(&self, maker: Arc<M>, numbers: &Range<u64>) -> Result<Running<M>, LoaderError> {
        // Batches that are still being served keep their workers: these then get their own.
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let workers = match idle {
            Some(workers) => workers,
            None => Workers::start(self.prefetch.workers)?,
        };
        let (give, permits) = bounded(self.slots);
        let (results, receive) = bounded(self.slots);
        for _ in 0..self.slots {
            // The channel holds as many: sending never waits.
            let _ = give.try_send(());
        }
        let left = Arc::new(AtomicBool::new(false));
        let (is_left, asked) = (Arc::clone(&left), self.stop.clone());
        workers.give(&Arc::new(Job {
            maker,
            pool: Arc::clone(&self.pool),
            end: numbers.end,
            next: AtomicU64::new(numbers.start),
            stop: Stop::when(move || is_left.load(Ordering::Relaxed) || asked.is_asked()),
            permits,
            results,
        }));
        let idle = self.prefetch.persistent_workers.then(|| Arc::clone(&self.idle));
        Ok(Running { workers: Some(workers), idle, give: Some(give), receive, left })
    }

    /// Figures since the loader was made. Cache and byte counts are those of the data set's store
    /// and include other users of it.
    pub fn stats(&self) -> LoaderStats {
        let mut reads = self.maker.reads().unwrap_or_default();
        reads.bytes -= self.before.bytes;
        self.counters.stats(reads, self.pool.allocated())
    }
}
