use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::{
    make::{Make, make},
    staging::Pool,
    stats::Counters,
    stop::Stop,
    worker::{Numbered, Workers},
};
use crate::LoaderError;

/// How long to wait for a batch before asking again whether to stop.
const POLL: Duration = Duration::from_millis(20);

/// A range of batches, in order whatever worker made them. After an error it ends. Dropping it
/// stops the workers.
pub struct Batches<M: Make> {
    maker: Arc<M>,
    /// Those to come.
    numbers: Range<u64>,
    /// Batches that came before their turn.
    pending: BTreeMap<u64, Result<M::Batch, M::Error>>,
    source: Source<M>,
    stop: Stop,
    counters: Arc<Counters>,
    /// Samples handed out or left out.
    passed: u64,
    wait: Duration,
}

impl<M: Make> fmt::Debug for Batches<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").field("numbers", &self.numbers).finish_non_exhaustive()
    }
}

pub(super) enum Source<M: Make> {
    /// No batch is left to make.
    Nothing,
    /// Batches are made on the calling thread.
    Here {
        pool: Arc<Pool>,
        scratch: Box<M::Scratch>,
    },
    Workers(Running<M>),
}

/// Workers at work for one range of batches.
pub(super) struct Running<M: Make> {
    pub(super) workers: Option<Workers<M>>,
    /// Where the workers go afterwards if they are kept.
    pub(super) idle: Option<Arc<Mutex<Option<Workers<M>>>>>,
    pub(super) give: Option<Sender<()>>,
    pub(super) receive: Receiver<Numbered<M>>,
    /// Tells the workers that nobody takes these batches any more.
    pub(super) left: Arc<AtomicBool>,
}

impl<M: Make> Drop for Running<M> {
    fn drop(&mut self) {
        self.left.store(true, Ordering::Relaxed);
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

impl<M: Make> Batches<M> {
    /// Where the batches come from may have failed: the first batch says so then.
    pub(super) fn new(
        maker: Arc<M>,
        numbers: Range<u64>,
        source: Result<Source<M>, LoaderError>,
        stop: Stop,
        counters: Arc<Counters>,
    ) -> Self {
        let mut pending = BTreeMap::new();
        let source = source.unwrap_or_else(|error| {
            pending.insert(numbers.start, Err(error.into()));
            Source::Nothing
        });
        let wait = Duration::ZERO;
        Self { maker, numbers, pending, source, stop, counters, passed: 0, wait }
    }

    /// Batches still to come; fewer if one of them has no sample.
    pub fn n_left(&self) -> u64 {
        self.numbers.end.saturating_sub(self.numbers.start)
    }

    /// How long the consumer waited for the last batch.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// Samples handed out, and those left out of their batches.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// The next batch, and how many others were ready when it was asked for.
    fn take(&mut self) -> (Result<M::Batch, M::Error>, usize) {
        let number = self.numbers.start;
        let gone = || Err(LoaderError::WorkersGone { batch: number }.into());
        let stopped = || Err(LoaderError::Stopped.into());
        if self.stop.is_asked() {
            return (stopped(), 0);
        }
        match &mut self.source {
            Source::Here { pool, scratch } => {
                (make(&*self.maker, number, pool, scratch, &self.stop), 0)
            }
            Source::Nothing => (self.pending.remove(&number).unwrap_or_else(gone), 0),
            Source::Workers(running) => {
                let depth = self.pending.len() + running.receive.len();
                let found = loop {
                    if let Some(found) = self.pending.remove(&number) {
                        break found;
                    }
                    match running.receive.recv_timeout(POLL) {
                        Ok((at, made)) => drop(self.pending.insert(at, made)),
                        // Workers that are asked to stop make no further batch.
                        Err(_) if self.stop.is_asked() => break stopped(),
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => break gone(),
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

    /// Tells the profiler's trace about a batch.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn tell(&self, depth: usize) {
        lob_scope::scope_field("queue_depth", depth as f64);
        if let Some(reads) = self.maker.reads() {
            lob_scope::scope_field("cache_hits", reads.cache_hits as f64);
            lob_scope::scope_field("cache_misses", reads.cache_misses as f64);
            lob_scope::scope_field("bytes_read", reads.bytes as f64);
        }
    }
}

impl<M: Make> Iterator for Batches<M> {
    type Item = Result<M::Batch, M::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.numbers.is_empty() {
            return None;
        }
        let _scope = lob_scope::scope!("wait_for_batch");
        let asked = Instant::now();
        while !self.numbers.is_empty() {
            let (made, depth) = self.take();
            let mut is_empty = false;
            match &made {
                Ok(batch) => {
                    let counts = M::counts(batch);
                    is_empty = counts.samples == 0;
                    self.numbers.start += 1;
                    self.passed += (counts.samples + counts.skipped) as u64;
                    self.wait = asked.elapsed();
                    self.counters.count(counts, self.wait, depth);
                    self.tell(depth);
                }
                Err(_) => self.numbers.start = self.numbers.end,
            }
            if self.numbers.is_empty() {
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
        // An error ends it early, and batches without a sample are not handed out.
        (0, usize::try_from(self.n_left()).ok())
    }
}
