use std::{sync::Arc, time::Duration};

use crate::{Dataset, LoaderConfig, LoaderError, LoaderState};

/// One batch. Its buffer returns to the loader when it is dropped.
#[derive(Debug)]
pub struct Batch {
    /// Number of samples.
    pub n: usize,
    /// Class of each sample.
    pub labels: Vec<Option<i32>>,
    /// Price movement of each sample.
    pub movements: Vec<Option<f64>>,
    /// Index of each sample in the data set.
    pub indices: Vec<u64>,
    /// How long the consumer waited for it.
    pub wait: Duration,
    images: Vec<f32>,
}

impl Batch {
    /// The images one after the other, `n × features × 402 × bins`.
    pub fn images(&self) -> &[f32] {
        &self.images
    }
}

/// Figures of a loader since it was made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoaderStats {
    /// Samples delivered.
    pub samples: u64,
    /// Batches delivered.
    pub batches: u64,
    /// Time the consumer waited for data, seconds.
    pub wait_s: f64,
    /// Bytes of pages read from the map.
    pub bytes_read: u64,
    /// Blocks found decoded in the cache.
    pub cache_hits: u64,
    /// Blocks that had to be decoded.
    pub cache_misses: u64,
    /// Mean number of finished batches waiting when the consumer asked.
    pub queue_depth_mean: f64,
}

/// Serves a data set in batches.
#[derive(Debug)]
pub struct Loader {
    dataset: Arc<Dataset>,
    config: LoaderConfig,
}

impl Loader {
    /// Checks the options.
    ///
    /// # Errors
    /// An option is out of range.
    pub fn new(dataset: Arc<Dataset>, config: LoaderConfig) -> Result<Self, LoaderError> {
        Ok(Self { dataset, config })
    }
    /// The data set served.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.dataset
    }
    /// The options.
    pub fn config(&self) -> &LoaderConfig {
        &self.config
    }
    /// Samples of this rank in an epoch, before a last batch is dropped.
    pub fn n_samples(&self) -> u64 {
        todo!()
    }
    /// Batches in an epoch.
    pub fn n_batches(&self) -> u64 {
        todo!()
    }
    /// Serves an epoch from its start.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        let _ = epoch;
        todo!()
    }
    /// Continues an epoch where a state was taken.
    ///
    /// # Errors
    /// The state has another seed or lies beyond the epoch.
    pub fn resume(&self, state: LoaderState) -> Result<Epoch, LoaderError> {
        let _ = state;
        todo!()
    }
    /// SHA-256 over the sample indices of an epoch in order (u64, little endian), lower-case hex.
    pub fn order_sha256(&self, epoch: u64) -> String {
        let _ = epoch;
        todo!()
    }
    /// Figures since the loader was made.
    pub fn stats(&self) -> LoaderStats {
        todo!()
    }
}

/// The batches of one epoch, in order. Dropping it stops the workers.
#[derive(Debug)]
pub struct Epoch {}

impl Epoch {
    /// Where the epoch stands: after the last batch delivered.
    pub fn state(&self) -> LoaderState {
        todo!()
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch, LoaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}
