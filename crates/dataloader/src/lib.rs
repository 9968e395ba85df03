//! Windows over stores, rendered into depth images by a bounded pool of workers.
//!
//! [`Dataset`] turns a store of tick bins into windows that never cross a segment and renders one
//! at a time; [`Loader`] serves them in batches from worker threads, in an order that depends on
//! the seed and the epoch only, with a prefetch budget in bytes and recycled buffers. What it makes
//! is a [`Make`]: depth images here, pairs of windows in `lob-contrastive`.
//!
//! A [`Sampler`] chooses what an epoch is made of: all windows, a list, draws by weight, or equal
//! classes. A position of an epoch is saved as a [`LoaderState`] and resumed exactly.
//!
//! ```
//! let config = lob_dataloader::LoaderConfig::low_memory();
//! assert_eq!((config.batch_size, config.workers), (16, 2));
//! ```

mod cache;
mod check;
mod config;
mod dataset;
mod error;
mod loader;
mod order;
mod split;

pub use crate::{
    config::{LoaderConfig, LoaderState, Sampler, ShardTail, Shuffle},
    dataset::{Dataset, SampleMeta, Scratch, WindowSpec},
    error::LoaderError,
    loader::{
        Batch, Batches, Buffer, Cells, Counts, DepthImages, Epoch, Loader, LoaderStats, Make,
        PageStaging, Prefetch, Reads, RecentStats, Staging, StagingBuffer, Stop,
    },
    split::{SplitSpec, Splits},
};
