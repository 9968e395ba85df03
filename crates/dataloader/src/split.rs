use crate::{Dataset, LoaderError};

/// Shares of a split by time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SplitSpec {
    /// Part of the windows for training, in (0, 1).
    pub train: f64,
    /// Part for validation; the rest is for testing.
    pub validation: f64,
    /// Windows that begin less than this after a boundary are left out, ns.
    pub embargo_ns: u64,
}

/// A data set cut in three by time.
#[derive(Debug, Clone)]
pub struct Splits {
    /// The earliest windows.
    pub train: Dataset,
    /// The windows after them.
    pub validation: Dataset,
    /// The latest windows.
    pub test: Dataset,
}

impl Dataset {
    /// Cuts the windows at two moments, the same for all instruments, so that no update is on
    /// both sides of a cut.
    ///
    /// # Errors
    /// The shares are out of range, a page is damaged, or a part would be empty.
    pub fn split(&self, spec: SplitSpec) -> Result<Splits, LoaderError> {
        let _ = spec;
        todo!()
    }
}
