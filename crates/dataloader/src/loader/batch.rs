use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::{Dataset, LoaderError, Scratch, order::Order};

/// One batch. Its buffer returns to the loader when it is dropped.
#[derive(Debug)]
pub struct Batch {
    /// Number of samples.
    pub n: usize,
    /// Windows of this batch that were left out: none of their bins has a bid and an ask.
    pub skipped: usize,
    /// Class of each sample.
    pub labels: Vec<Option<i32>>,
    /// Price movement of each sample.
    pub movements: Vec<Option<f64>>,
    /// Index of each sample in the data set.
    pub indices: Vec<u64>,
    /// How long the consumer waited for it.
    pub wait: Duration,
    images: Vec<f32>,
    pool: Arc<Pool>,
}

impl Batch {
    /// The images one after the other, `n × features × 402 × bins`, in one recycled buffer: the
    /// place to copy to a device from. It is ordinary memory; pinning it needs a CUDA driver and
    /// is up to the backend that is built with one.
    pub fn images(&self) -> &[f32] {
        &self.images
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.images));
    }
}

/// Buffers that wait for their next batch. Fresh memory of this size would be mapped and zeroed
/// page by page each time, which costs more than rendering into it.
#[derive(Debug)]
pub(super) struct Pool {
    give: Sender<Vec<f32>>,
    take: Receiver<Vec<f32>>,
    allocated: AtomicU64,
}

impl Pool {
    /// Keeps at most `capacity` idle buffers.
    pub(super) fn new(capacity: usize) -> Self {
        let (give, take) = bounded(capacity);
        Self { give, take, allocated: AtomicU64::new(0) }
    }

    /// Buffers made since the start.
    pub(super) fn allocated(&self) -> u64 {
        self.allocated.load(Ordering::Relaxed)
    }

    /// A buffer of this length with any content, able to hold `capacity` values.
    fn take(&self, len: usize, capacity: usize) -> Vec<f32> {
        let mut buffer = self.take.try_recv().unwrap_or_else(|_| {
            self.allocated.fetch_add(1, Ordering::Relaxed);
            vec![0.0; capacity]
        });
        buffer.resize(len, 0.0);
        buffer
    }

    fn give_back(&self, buffer: Vec<f32>) {
        // One too many, after the consumer held several: it is freed.
        drop(self.give.try_send(buffer));
    }
}

/// Makes any batch of an epoch.
#[derive(Debug)]
pub(super) struct Maker {
    pub(super) dataset: Arc<Dataset>,
    pub(super) order: Order,
    pub(super) batch_size: u64,
    /// Samples of the epoch that were served before.
    pub(super) position: u64,
    pub(super) pool: Arc<Pool>,
}

impl Maker {
    /// Makes batch `number`; a panic becomes an error.
    pub(super) fn make(&self, number: u64, scratch: &mut Scratch) -> Result<Batch, LoaderError> {
        let current = Cell::new(0);
        // After a panic the scratch is thrown away; nothing else is written to.
        catch_unwind(AssertUnwindSafe(|| self.fill(number, scratch, &current))).unwrap_or_else(
            |cause| {
                *scratch = Scratch::default();
                let (path, row) = self.dataset.place(current.get());
                let message = cause
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| cause.downcast_ref::<&str>().copied())
                    .unwrap_or("without a message");
                Err(LoaderError::WorkerPanic { path, row, message: message.to_owned() })
            },
        )
    }

    fn fill(
        &self,
        number: u64,
        scratch: &mut Scratch,
        current: &Cell<u64>,
    ) -> Result<Batch, LoaderError> {
        let start = self.position + number * self.batch_size;
        let end = self.order.len().min(start + self.batch_size);
        // At most the batch size, which is a usize.
        let n = usize::try_from(end - start).unwrap_or(0);
        let sample_len = self.dataset.sample_len();
        let full = usize::try_from(self.batch_size).unwrap_or(0);
        let mut batch = Batch {
            n: 0,
            skipped: 0,
            labels: Vec::with_capacity(n),
            movements: Vec::with_capacity(n),
            indices: Vec::with_capacity(n),
            wait: Duration::ZERO,
            images: self.pool.take(n * sample_len, full * sample_len),
            pool: Arc::clone(&self.pool),
        };
        for index in (start..end).map(|position| self.order.index(position)) {
            current.set(index);
            let image = &mut batch.images[batch.n * sample_len..][..sample_len];
            let sample = match self.dataset.get(index, scratch, image) {
                Err(error) if error.is_empty_book() => {
                    batch.skipped += 1;
                    continue;
                }
                sample => sample?,
            };
            batch.n += 1;
            batch.labels.push(sample.label);
            batch.movements.push(sample.movement);
            batch.indices.push(index);
        }
        batch.images.truncate(batch.n * sample_len);
        Ok(batch)
    }
}
