use crate::LoaderError;

/// Most worker threads accepted.
const MAX_WORKERS: usize = 1024;
/// Most batches made ahead, however small they are.
const MAX_PREFETCH_BATCHES: usize = 4096;

/// Who makes batches, and how far ahead. The default makes each on the calling thread, when it is
/// asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefetch {
    /// Worker threads; 0 makes batches on the calling thread.
    pub workers: usize,
    /// Limit in bytes of finished or half-made batches waiting for the consumer; at least one
    /// batch is always allowed.
    pub bytes: usize,
    /// Limit of the same in batches for each worker, at least 1; `None` for the bytes alone.
    pub factor: Option<usize>,
    /// Keep the worker threads from one run of batches to the next.
    pub persistent_workers: bool,
    /// Lock the batch buffers in physical memory, see [`PageStaging`](crate::PageStaging).
    pub pin_memory: bool,
}

impl Prefetch {
    /// The usual limit of bytes.
    pub const BYTES: usize = 256 << 20;

    /// For training: two workers, four batches ahead for each, as steps all take about as long.
    #[must_use]
    pub fn for_training() -> Self {
        Self { workers: 2, factor: Some(4), ..Self::default() }
    }

    /// Batches of this size that may be made ahead: as many as the budget holds and the factor
    /// allows, at least 1.
    pub fn batches(&self, batch_bytes: usize) -> usize {
        let by_factor = self.factor.unwrap_or(MAX_PREFETCH_BATCHES);
        let most = by_factor.saturating_mul(self.workers.max(1)).clamp(1, MAX_PREFETCH_BATCHES);
        (self.bytes / batch_bytes.max(1)).clamp(1, most)
    }

    /// Bytes of all buffers for batches of this size: those made ahead, and the one in the
    /// consumer's hands.
    pub fn buffer_bytes(&self, batch_bytes: usize) -> usize {
        let ahead = if self.workers == 0 { 0 } else { self.batches(batch_bytes) };
        batch_bytes.saturating_mul(ahead + 1)
    }

    /// # Errors
    /// An option is out of range.
    pub fn check(&self) -> Result<(), LoaderError> {
        let refuse = |option, found: usize, expected: String| {
            Err(LoaderError::Config { option, found: found.to_string(), expected })
        };
        if self.factor == Some(0) {
            return refuse("prefetch_factor", 0, "at least 1".to_owned());
        }
        if self.workers > MAX_WORKERS {
            return refuse("workers", self.workers, format!("at most `{MAX_WORKERS}`"));
        }
        Ok(())
    }
}

impl Default for Prefetch {
    fn default() -> Self {
        Self {
            workers: 0,
            bytes: Self::BYTES,
            factor: None,
            persistent_workers: true,
            pin_memory: false,
        }
    }
}
