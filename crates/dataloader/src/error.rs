use std::path::PathBuf;

use lob_metrics::shown;
use lob_store::StoreFingerprint;

/// What can go wrong while loading windows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoaderError {
    /// The store could not be opened or read.
    #[error(transparent)]
    Store(#[from] lob_store::StoreError),
    /// One sample could not be loaded.
    #[error(
        "cannot load the window at row `{row}` of `{path}`: {source}",
        path = shown(.path.display())
    )]
    Sample {
        /// Store file.
        path: PathBuf,
        /// First row of the window.
        row: u64,
        /// Cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A worker thread panicked while it loaded a sample.
    #[error(
        "a loader worker panicked at row `{row}` of `{path}`: {message}",
        path = shown(.path.display()), message = shown(.message)
    )]
    WorkerPanic {
        /// Store file.
        path: PathBuf,
        /// First row of the window.
        row: u64,
        /// Text of the panic.
        message: String,
    },
    /// The store has no window of the length asked for.
    #[error(
        "`{path}` has no window of `{n_bins}` bins: its longest run has `{longest}`\nhint: ask for at most `{longest}` bins, or convert with fewer updates per bin",
        path = shown(.path.display())
    )]
    NoWindow {
        /// Store.
        path: PathBuf,
        /// Bins asked for.
        n_bins: usize,
        /// Longest run without a break.
        longest: u64,
    },
    /// An option is out of range.
    #[error(
        "option `{option}` is `{found}`, expected {expected}",
        found = shown(.found), expected = shown(.expected)
    )]
    Config {
        /// Name of the option.
        option: &'static str,
        /// Its value.
        found: String,
        /// What is allowed.
        expected: String,
    },
    /// A sample beyond the data set was asked for.
    #[error("sample `{index}` asked of a data set of `{len}`")]
    OutOfRange {
        /// Sample asked for.
        index: u64,
        /// Samples there are.
        len: u64,
    },
    /// A saved state does not belong to this loader.
    #[error("the saved state has {field} `{found}`, this loader has `{expected}`")]
    State {
        /// Field that differs.
        field: &'static str,
        /// Value in the state.
        found: u64,
        /// Value of this loader.
        expected: u64,
    },
    /// A saved state is of other data.
    #[error(
        "the saved state is of other data ({found}) than `{path}` ({expected}): other records, settings or rows",
        path = shown(.path.display())
    )]
    OtherData {
        /// The store to be served.
        path: PathBuf,
        /// The data of the state.
        found: StoreFingerprint,
        /// The data of the store.
        expected: StoreFingerprint,
    },
    /// All workers ended before the last batch was made: a defect of this crate.
    #[error("the loader workers ended before batch `{batch}` was made")]
    WorkersGone {
        /// The batch waited for.
        batch: u64,
    },
    /// A clean end was asked for, see [`Stop`](crate::Stop).
    #[error("stopped before the next batch was made")]
    Stopped,
    /// There was no memory of the kind wanted for a batch.
    #[error(
        "cannot get `{n_bytes}` bytes for a batch: {source}\nhint: use smaller batches; for locked memory raise the limit (`ulimit -l`)"
    )]
    Staging {
        /// Bytes asked for.
        n_bytes: usize,
        /// Cause.
        source: std::io::Error,
    },
    /// The operating system refused a thread.
    #[error("cannot start loader worker `{worker}`: {source}")]
    Spawn {
        /// Number of the worker.
        worker: usize,
        /// Cause.
        source: std::io::Error,
    },
}

impl LoaderError {
    /// Whether a window has no bin with a bid and an ask, and so nothing to centre an image on.
    pub fn is_empty_book(&self) -> bool {
        use lob_depth::DepthError::EmptyBook;
        let Self::Sample { source, .. } = self else { return false };
        source.downcast_ref().is_some_and(|error| matches!(error, EmptyBook))
    }
}
