use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::{
    make::{Make, make},
    staging::Pool,
    stop::Stop,
};
use crate::LoaderError;

/// A batch's number, and what became of it.
pub(super) type Numbered<M> = (u64, Result<<M as Make>::Batch, <M as Make>::Error>);

/// A range of batches to make, shared by the workers.
pub(super) struct Job<M: Make> {
    pub(super) maker: Arc<M>,
    pub(super) pool: Arc<Pool>,
    /// The end of the range.
    pub(super) end: u64,
    /// The next batch nobody has begun.
    pub(super) next: AtomicU64,
    /// Asked for by the user, or nobody takes these batches any more.
    pub(super) stop: Stop,
    /// Leave to begin a batch: as many as the prefetch budget holds. Taken before a batch number
    /// is, so the lowest unfinished batch always has one and nobody waits in a circle.
    pub(super) permits: Receiver<()>,
    pub(super) results: Sender<Numbered<M>>,
}

impl<M: Make> Job<M> {
    fn work(&self, scratch: &mut M::Scratch) {
        while self.permits.recv().is_ok() {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.end || self.stop.is_asked() {
                return;
            }
            let made = make(&*self.maker, number, &self.pool, scratch, &self.stop);
            // Room for as many results as there are permits; an error means nobody listens.
            if self.results.send((number, made)).is_err() {
                return;
            }
        }
    }
}

/// One thread and the way to hand it work; both are taken out to end it.
struct Worker<M: Make> {
    give: Option<Sender<Arc<Job<M>>>>,
    thread: Option<JoinHandle<()>>,
}

/// Worker threads; they end when this is dropped.
pub(super) struct Workers<M: Make> {
    threads: Vec<Worker<M>>,
}

impl<M: Make> Workers<M> {
    pub(super) fn start(n: usize) -> Result<Self, LoaderError> {
        let mut workers = Self { threads: Vec::with_capacity(n) };
        for worker in 0..n {
            let (give, jobs) = unbounded::<Arc<Job<M>>>();
            let run = move || {
                let mut scratch = M::Scratch::default();
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
    pub(super) fn give(&self, job: &Arc<Job<M>>) {
        for give in self.threads.iter().filter_map(|worker| worker.give.as_ref()) {
            // Fails only if the thread is gone; the consumer then hears of missing batches.
            drop(give.send(Arc::clone(job)));
        }
    }
}

impl<M: Make> Drop for Workers<M> {
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
