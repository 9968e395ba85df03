use std::{fmt, str::FromStr, sync::Arc};

use lob_depth::{Dtype, RenderSpec};
use lob_store::StoreFingerprint;

use crate::{LoaderError, Prefetch};

/// How samples are ordered within an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shuffle {
    /// In file and row order.
    Sequential,
    /// A new permutation each epoch, set by the seed and the epoch alone.
    Full,
    /// Blocks of this many neighbouring samples are permuted, and the samples inside each. A
    /// batch of `b` samples comes from at most `b / block + 2` places of the data set: cheaper to
    /// read, poorer to learn from; [`Loader::shuffle_quality`](crate::Loader::shuffle_quality)
    /// says how much.
    Blocks(u64),
}

/// Which samples make an epoch, before fraction, order and ranks are applied.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Sampler {
    /// Every sample once.
    #[default]
    All,
    /// The samples of these indices of the data set; one that is listed twice comes twice.
    Subset(Arc<[u64]>),
    /// As many draws with replacement as the data set has samples, anew in each epoch, each in
    /// proportion to its weight: one a sample, not negative.
    Weighted(Arc<[f64]>),
    /// Every class equally often: as often as the largest one has samples. Those of the others
    /// come again, each as often as any other of its class, give or take one. Samples without a
    /// label are left out. Making the loader reads all labels; it keeps eight bytes a sample.
    Balanced,
}

/// What to do when the samples do not divide by the number of ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardTail {
    /// Repeat samples from the start of the epoch's order, fewer than `world_size` of them.
    Pad,
    /// Leave the last samples of the order out, fewer than `world_size` of them.
    Drop,
}

/// Options of a [`Loader`](crate::Loader).
#[derive(Debug, Clone, PartialEq)]
pub struct LoaderConfig {
    /// Samples in a batch, at least 1.
    pub batch_size: usize,
    /// Worker threads; 0 loads on the calling thread.
    pub workers: usize,
    /// Limit in bytes of finished or half-made batches waiting for the consumer; at least one
    /// batch is always allowed.
    pub prefetch_bytes: usize,
    /// Limit of the same in batches for each worker, at least 1; `None` for the bytes alone.
    pub prefetch_factor: Option<usize>,
    /// Which samples make an epoch.
    pub sampler: Sampler,
    /// Order of the samples.
    pub shuffle: Shuffle,
    /// Seed of every random choice.
    pub seed: u64,
    /// Leave out a last batch that is not full.
    pub drop_last: bool,
    /// Part of the data set to use, in (0, 1]; at least one sample is always used. The same
    /// samples in every epoch, spread evenly over the data set.
    pub sample_fraction: f64,
    /// Number of this process among those that train together, below `world_size`.
    pub rank: u64,
    /// Number of such processes, at least 1.
    pub world_size: u64,
    /// How the shards of the ranks are made equally long.
    pub shard_tail: ShardTail,
    /// Keep the worker threads from one epoch to the next.
    pub persistent_workers: bool,
    /// Number format of the images in a batch.
    pub dtype: Dtype,
    /// Lock the batch buffers in physical memory, see [`PageStaging`](crate::PageStaging).
    pub pin_memory: bool,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self {
            batch_size: 32,
            workers: 2,
            prefetch_bytes: Prefetch::BYTES,
            prefetch_factor: None,
            sampler: Sampler::All,
            shuffle: Shuffle::Full,
            seed: 0,
            drop_last: false,
            sample_fraction: 1.0,
            rank: 0,
            world_size: 1,
            shard_tail: ShardTail::Pad,
            persistent_workers: true,
            dtype: Dtype::F32,
            pin_memory: false,
        }
    }
}

impl LoaderConfig {
    /// Checks that the images' values fit the number format.
    pub(crate) fn check_dtype(&self, render: &RenderSpec) -> Result<(), LoaderError> {
        let Err(source) = render.check_bounded() else { return Ok(()) };
        match self.dtype {
            Dtype::U8 => Err(LoaderError::Config {
                option: "dtype",
                found: Dtype::U8.to_string(),
                expected: format!("another format: {source}"),
            }),
            _ => Ok(()),
        }
    }

    /// Bytes of a full batch of `sample_len` values a sample.
    pub fn batch_bytes(&self, sample_len: usize) -> usize {
        let sample_bytes = sample_len.saturating_mul(self.dtype.size_bytes());
        self.batch_size.saturating_mul(sample_bytes)
    }

    /// Batches of `sample_len` values a sample that may be made ahead, see
    /// [`Prefetch::batches`].
    pub fn prefetch_batches(&self, sample_len: usize) -> usize {
        self.prefetch().batches(self.batch_bytes(sample_len))
    }

    /// Who makes the batches, and how far ahead.
    pub(crate) fn prefetch(&self) -> Prefetch {
        Prefetch {
            workers: self.workers,
            bytes: self.prefetch_bytes,
            factor: self.prefetch_factor,
            persistent_workers: self.persistent_workers,
            pin_memory: self.pin_memory,
        }
    }

    /// For a machine with 8 GB: batches of 32, 4 workers, a tenth of the samples. Seed document 000
    /// also pins memory there; set `pin_memory` where `RLIMIT_MEMLOCK` allows it.
    pub fn optimal_8gb() -> Self {
        Self { workers: 4, sample_fraction: 0.1, ..Self::default() }
    }

    /// For speed: batches of 64, 8 workers, four batches ahead for each, full batches only.
    pub fn throughput() -> Self {
        Self {
            batch_size: 64,
            workers: 8,
            prefetch_bytes: 2 << 30,
            prefetch_factor: Some(4),
            drop_last: true,
            ..Self::default()
        }
    }

    /// For little memory: batches of 16, 2 workers, a twentieth of the samples.
    pub fn low_memory() -> Self {
        Self {
            batch_size: 16,
            prefetch_bytes: 64 << 20,
            sample_fraction: 0.05,
            persistent_workers: false,
            ..Self::default()
        }
    }
}

/// Where a loader stands: enough to continue an epoch exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoaderState {
    /// Epoch being served.
    pub epoch: u64,
    /// Samples of this rank already delivered or skipped.
    pub position: u64,
    /// Seed of the loader.
    pub seed: u64,
    /// The data that were served; `None` in states of before 0.2 and where that is not to matter.
    pub data: Option<StoreFingerprint>,
}

impl fmt::Display for LoaderState {
    /// As text for a checkpoint: `epoch=3,position=640,seed=42,data=` and 32 digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch={},position={},seed={}", self.epoch, self.position, self.seed)?;
        self.data.map_or(Ok(()), |data| write!(f, ",data={data}"))
    }
}

impl FromStr for LoaderState {
    type Err = LoaderError;

    fn from_str(text: &str) -> Result<Self, LoaderError> {
        let parse = || {
            let mut fields = text.split(',');
            let mut field = |name: &str| {
                let (found, value) = fields.next()?.split_once('=')?;
                (found == name).then(|| value.parse().ok())?
            };
            let (epoch, position, seed) = (field("epoch")?, field("position")?, field("seed")?);
            let data = match fields.next() {
                None => None,
                Some(field) => Some(field.strip_prefix("data=")?.parse().ok()?),
            };
            fields.next().is_none().then_some(Self { epoch, position, seed, data })
        };
        parse().ok_or_else(|| LoaderError::Config {
            option: "state",
            found: text.to_owned(),
            expected: "`epoch=N,position=N,seed=N` and perhaps `,data=` with 32 digits".to_owned(),
        })
    }
}
