/// How samples are ordered within an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shuffle {
    /// In file and row order.
    Sequential,
    /// A new permutation each epoch, set by the seed and the epoch alone.
    Full,
    /// Blocks of this many neighbouring samples are permuted, and the samples inside each.
    Blocks(u64),
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
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self {
            batch_size: 32,
            workers: 2,
            prefetch_bytes: 256 << 20,
            shuffle: Shuffle::Full,
            seed: 0,
            drop_last: false,
            sample_fraction: 1.0,
            rank: 0,
            world_size: 1,
            shard_tail: ShardTail::Pad,
            persistent_workers: true,
        }
    }
}

impl LoaderConfig {
    /// For a machine with 8 GB: batches of 32, 4 workers, a tenth of the samples.
    pub fn optimal_8gb() -> Self {
        Self { workers: 4, sample_fraction: 0.1, ..Self::default() }
    }

    /// For speed: batches of 64, 8 workers, four batches ahead for each, full batches only.
    pub fn throughput() -> Self {
        Self {
            batch_size: 64,
            workers: 8,
            prefetch_bytes: 2 << 30,
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
    /// Samples of this rank already delivered.
    pub position: u64,
    /// Seed of the loader.
    pub seed: u64,
}
