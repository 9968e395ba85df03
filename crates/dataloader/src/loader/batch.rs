use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use lob_depth::Dtype;

use super::staging::{Pool, StagingBuffer};
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
    dtype: Dtype,
    /// Bytes of the images in the buffer.
    n_bytes: usize,
    /// Taken out only when the batch is dropped.
    buffer: Option<Box<dyn StagingBuffer>>,
    pool: Arc<Pool>,
}

/// The images of a batch in their number format. Half-precision numbers are given as their bits.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Cells<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// IEEE half precision, bits.
    F16(&'a [u16]),
    /// bfloat16, bits.
    Bf16(&'a [u16]),
    /// Eight bits: 128 + 127 x.
    U8(&'a [u8]),
}

impl Batch {
    /// The images one after the other, `n × features × 402 × bins`, in one recycled buffer.
    ///
    /// # Panics
    /// If the loader's format is not `f32`: [`cells`](Self::cells) has all formats.
    pub fn images(&self) -> &[f32] {
        match self.cells() {
            Cells::F32(images) => images,
            _ => panic!("these images are `{}`, not `f32`: see `Batch::cells`", self.dtype),
        }
    }

    /// The images one after the other, in the format of [`LoaderConfig::dtype`](crate::LoaderConfig).
    pub fn cells(&self) -> Cells<'_> {
        let bytes = self.bytes();
        // The pool has checked that its buffers are aligned for any of them.
        match self.dtype {
            Dtype::F32 => Cells::F32(bytemuck::cast_slice(bytes)),
            Dtype::F16 => Cells::F16(bytemuck::cast_slice(bytes)),
            Dtype::Bf16 => Cells::Bf16(bytemuck::cast_slice(bytes)),
            Dtype::U8 => Cells::U8(bytes),
        }
    }

    /// The images as bytes: what is copied to a device.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer.bytes()[..self.n_bytes])
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.pool.give_back(buffer);
        }
    }
}

/// Makes any batch of an epoch.
#[derive(Debug)]
pub(super) struct Maker {
    pub(super) dataset: Arc<Dataset>,
    pub(super) order: Order,
    pub(super) batch_size: u64,
    pub(super) dtype: Dtype,
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
        let sample_bytes = self.dataset.sample_len() * self.dtype.size_bytes();
        let mut buffer = self.pool.take()?;
        let mut batch = Batch {
            n: 0,
            skipped: 0,
            labels: Vec::with_capacity(n),
            movements: Vec::with_capacity(n),
            indices: Vec::with_capacity(n),
            wait: Duration::ZERO,
            dtype: self.dtype,
            n_bytes: 0,
            buffer: None,
            pool: Arc::clone(&self.pool),
        };
        for index in (start..end).map(|position| self.order.index(position)) {
            current.set(index);
            let image = &mut buffer.bytes_mut()[batch.n_bytes..][..sample_bytes];
            let sample = match self.dataset.get_bytes(index, scratch, self.dtype, image) {
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
        batch.buffer = Some(buffer);
        Ok(batch)
    }
}
