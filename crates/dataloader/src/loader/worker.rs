use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::batch::{Batch, Maker};
use crate::{LoaderError, Scratch};

/// One epoch's work, shared by the workers.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) maker: Maker,
    pub(super) n_batches: u64,
    /// The next batch nobody has begun.
    pub(super) next: AtomicU64,
    pub(super) stop: Arc<AtomicBool>,
    /// Leave to begin a batch: as many as the prefetch budget holds. Taken before a batch number
    /// is, so the lowest unfinished batch always has one and nobody waits in a circle.
    pub(super) permits: Receiver<()>,
    pub(super) results: Sender<(u64, Result<Batch, LoaderError>)>,
}

impl Job {
    fn work(&self, scratch: &mut Scratch) {
        while self.permits.recv().is_ok() {
            let batch = self.next.fetch_add(1, Ordering::Relaxed);
            if batch >= self.n_batches || self.stop.load(Ordering::Relaxed) {
                return;
            }
            let made = self.maker.make(batch, scratch);
            // Room for as many results as there are permits; an error means nobody listens.
            if self.results.send((batch, made)).is_err() {
                return;
            }
        }
    }
}

/// One thread and the way to hand it work; both are taken out to end it.
#[derive(Debug)]
struct Worker {
    give: Option<Sender<Arc<Job>>>,
    thread: Option<JoinHandle<()>>,
}

/// Worker threads; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Workers {
    threads: Vec<Worker>,
}

impl Workers {
    pub(super) fn start(n: usize) -> Result<Self, LoaderError> {
        let mut workers = Self { threads: Vec::with_capacity(n) };
        for worker in 0..n {
            let (give, jobs) = unbounded::<Arc<Job>>();
            let run = move || {
                let mut scratch = Scratch::default();
                for job in jobs {
                    job.work(&mut scratch);
                }
            };
            let thread = thread::Builder::new().name(format!("lob-loader-{worker}")).spawn(run);
            let thread = thread.map_err(|source| LoaderError::Spawn { worker, source })?;
            workers.threads.push(Worker { give: Some(give), thread: Some(thread) });
        }
        Ok(workers)
    }

    /// Hands a job to all of them.
    pub(super) fn give(&self, job: &Arc<Job>) {
        for give in self.threads.iter().filter_map(|worker| worker.give.as_ref()) {
            // Fails only if the thread is gone; the consumer then hears of missing batches.
            drop(give.send(Arc::clone(job)));
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.threads {
            worker.give = None;
        }
        for thread in self.threads.iter_mut().filter_map(|worker| worker.thread.take()) {
            // Panics while loading are caught and reported as errors of their batch.
            drop(thread.join());
        }
    }
}
