use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{
    staging::{Buffer, Pool},
    stop::Stop,
};
use crate::LoaderError;

/// Makes the batches of a [`Loader`](crate::Loader), on whatever thread it is called.
///
/// A batch may depend on nothing but its number, so that the number of workers changes none.
pub trait Make: Send + Sync + 'static {
    /// What the consumer gets. It keeps its [`Buffer`] until the consumer drops it.
    type Batch: Send + 'static;
    /// Memory of one thread, used for all batches made there.
    type Scratch: Default + Send + 'static;
    /// What can go wrong.
    type Error: From<LoaderError> + Send + 'static;

    /// Bytes of the largest batch: the size of every buffer, and what the prefetch budget counts.
    fn batch_bytes(&self) -> usize;

    /// Makes batch `number` in `buffer`, whose content is that of an earlier batch. A maker looks at
    /// `stop` between samples.
    ///
    /// # Errors
    /// The batch cannot be made, or [`LoaderError::Stopped`].
    fn make(
        &self,
        number: u64,
        buffer: Buffer,
        scratch: &mut Self::Scratch,
        stop: &Stop,
    ) -> Result<Self::Batch, Self::Error>;

    /// What to report when making batch `number` panicked with `message`.
    fn panicked(&self, number: u64, scratch: &Self::Scratch, message: String) -> Self::Error;

    /// What is in a batch. One without samples is counted and not handed out.
    fn counts(batch: &Self::Batch) -> Counts;

    /// What has been read so far, where batches are read from a store.
    fn reads(&self) -> Option<Reads> {
        None
    }
}

/// Samples of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Those in it.
    pub samples: usize,
    /// Those that belong to it and were left out.
    pub skipped: usize,
}

/// What a maker has read since its store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reads {
    /// Bytes of pages.
    pub bytes: u64,
    /// Blocks of bins found decoded.
    pub cache_hits: u64,
    /// Blocks of bins that had to be read.
    pub cache_misses: u64,
}

/// Makes a batch in a buffer of the pool; a panic becomes an error.
pub(super) fn make<M: Make>(
    maker: &M,
    number: u64,
    pool: &Arc<Pool>,
    scratch: &mut M::Scratch,
    stop: &Stop,
) -> Result<M::Batch, M::Error> {
    let buffer = pool.take()?;
    // After a panic the scratch is thrown away; the buffer may hold anything anyway.
    let made = catch_unwind(AssertUnwindSafe(|| maker.make(number, buffer, scratch, stop)));
    made.unwrap_or_else(|cause| {
        let error = maker.panicked(number, scratch, message(&*cause));
        *scratch = M::Scratch::default();
        Err(error)
    })
}

fn message(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| cause.downcast_ref::<&str>().copied());
    text.unwrap_or("without a message").to_owned()
}
