use std::io;
use std::path::PathBuf;

use lob_metrics::{MetricsError, shown};

/// What can go wrong between a document and the disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunsError {
    /// A file cannot be read or written.
    #[error("cannot {action} `{path}`", path = shown(.path.display()))]
    Io {
        /// `read`, `write`, `make` or `append to`.
        action: &'static str,
        /// The file, or the folder to be made.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file is no Run document that this version reads.
    #[error("`{path}` is no Run document", path = shown(.path.display()))]
    NotARun {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: MetricsError,
    },
    /// A file in the folder of a training run is not what a training writes.
    #[error("`{path}` is not of a training run: {reason}", path = shown(.path.display()))]
    NotATraining {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A folder has no training run in it.
    #[error(
        "`{path}` has no training run; give a folder that `lob train --checkpoint` wrote, or one above it",
        path = shown(.path.display())
    )]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// A line of a history file is no entry.
    #[error("in `{path}`", path = shown(.path.display()))]
    History {
        /// The file.
        path: PathBuf,
        /// Which line, and why.
        source: MetricsError,
    },
    /// A run has no line in a history, since a value of it has no JSON form.
    #[error(transparent)]
    Line(MetricsError),
    /// A report cannot be drawn.
    #[error(transparent)]
    Report(#[from] lob_report::ReportError),
}

impl RunsError {
    /// Shorthand for [`RunsError::Io`].
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
