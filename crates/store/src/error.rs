use std::{io, ops::Range, path::PathBuf};

use lob_metrics::shown;

/// What can go wrong while writing or reading a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused an operation.
    #[error(
        "cannot {action} `{path}`: {source}",
        path = shown(.path.display())
    )]
    Io {
        /// File or folder concerned.
        path: PathBuf,
        /// What was attempted, as a verb.
        action: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// The file is not Parquet at all.
    #[error(
        "`{path}` is not a Parquet file: expected {expected}, found {found}",
        path = shown(.path.display()), found = shown(.found)
    )]
    NotParquet {
        /// File concerned.
        path: PathBuf,
        /// What a Parquet file has there.
        expected: &'static str,
        /// What the file has there.
        found: String,
    },
    /// The file is Parquet, but was not written by this crate.
    #[error(
        "`{path}` is not a loblab store file: {found}\nhint: make one from DBN files with `lob convert`",
        path = shown(.path.display()), found = shown(.found)
    )]
    Foreign {
        /// File concerned.
        path: PathBuf,
        /// What is missing or different.
        found: String,
    },
    /// The file is Parquet, but holds no truth that this build reads.
    #[error(
        "`{path}` is not a truth file: {found}\nhint: `lob synth --truth FILE.parquet` writes one beside its market",
        path = shown(.path.display()), found = shown(.found)
    )]
    NotTruth {
        /// File concerned.
        path: PathBuf,
        /// What is missing or different.
        found: String,
    },
    /// The file was written by a format version this build does not know.
    #[error(
        "`{path}` has store format version `{found}`, this build reads `1` to `{supported}`\nhint: update loblab or convert the inputs again",
        path = shown(.path.display())
    )]
    Version {
        /// File concerned.
        path: PathBuf,
        /// Version in the file.
        found: u32,
        /// Newest version this build reads.
        supported: u32,
    },
    /// The file is ours, but its content contradicts itself.
    #[error(
        "`{path}` is damaged: {what}: expected {expected}, found {found}",
        path = shown(.path.display()), what = shown(.what), expected = shown(.expected), found = shown(.found)
    )]
    Damaged {
        /// File concerned.
        path: PathBuf,
        /// Place of the damage: a column and its first row, or a part of the footer.
        what: String,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The file changed after it was opened.
    #[error(
        "`{path}` changed while it was open: expected {expected}, found {found}\nhint: open the store again",
        path = shown(.path.display()), expected = shown(.expected), found = shown(.found)
    )]
    Changed {
        /// File concerned.
        path: PathBuf,
        /// Length and modification time at opening.
        expected: String,
        /// Length and modification time now.
        found: String,
    },
    /// Rows outside the file were asked for.
    #[error(
        "rows `{}..{}` asked of `{path}`, which has `{rows}`", range.start, range.end,
        path = shown(.path.display())
    )]
    OutOfRange {
        /// File concerned.
        path: PathBuf,
        /// Rows asked for.
        range: Range<u64>,
        /// Rows in the file.
        rows: u64,
    },
    /// The file has no label of this name.
    #[error(
        "`{path}` has no label `{name}`: its labels are {found}",
        path = shown(.path.display()), name = shown(.name), found = shown(.found)
    )]
    NoLabel {
        /// File concerned.
        path: PathBuf,
        /// The name asked for.
        name: String,
        /// The names there are.
        found: String,
    },
    /// The folder holds no store file.
    #[error(
        "no store under `{path}`: {found}\nhint: make one with `lob convert`",
        path = shown(.path.display()), found = shown(.found)
    )]
    NoStore {
        /// Folder concerned.
        path: PathBuf,
        /// What was found instead.
        found: String,
    },
    /// The rows or options given to the writer contradict the format.
    #[error(
        "cannot write row `{row}` of `{path}`: {reason}",
        path = shown(.path.display()), reason = shown(.reason)
    )]
    Invalid {
        /// File being written.
        path: PathBuf,
        /// Row, counted from zero.
        row: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The Parquet encoder failed.
    #[error(
        "cannot encode `{path}`: {source}",
        path = shown(.path.display())
    )]
    Encode {
        /// File being written.
        path: PathBuf,
        /// Cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
