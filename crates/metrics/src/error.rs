//! What can go wrong with a Run document.

use crate::shown;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The text is not JSON, or a field is missing or of the wrong type.
    #[error("not a Run document: {source}; `lob schema` prints the expected layout")]
    NotARun {
        /// What the JSON reader found, with line and column.
        #[source]
        source: serde_json::Error,
    },
    /// The document has no `schema_version` to decide by.
    #[error("not a Run document: `schema_version` is {found}, expected a whole number")]
    NoSchemaVersion {
        /// What stands in its place.
        found: String,
    },
    /// The document is of a layout this version does not read.
    #[error(
        "Run document of schema version `{found}`, this version reads `1` to `{expected}`; render it with the version of `lob` that wrote it"
    )]
    SchemaVersion {
        /// Version found.
        found: u64,
        /// Newest version read here.
        expected: u32,
    },
    /// The document cannot be written as JSON.
    #[error("the Run document cannot be written as JSON: {source}")]
    NotWritten {
        /// What the JSON writer reports.
        #[source]
        source: serde_json::Error,
    },
    /// The two runs come from different machines.
    #[error(
        "the runs come from different machines: base `{base}`, current `{current}`; pass `--force` to compare them all the same"
    )]
    DifferentHosts {
        /// Fingerprint of the base run.
        base: String,
        /// Fingerprint of the current run.
        current: String,
    },
    /// The two runs read different records.
    #[error(
        "the runs read different inputs: base {base}, current {current}; run both over the same files, or pass `--force` to compare them all the same",
        base = shown(.base), current = shown(.current)
    )]
    DifferentInputs {
        /// Paths of the base run's inputs.
        base: String,
        /// Paths of the current run's inputs.
        current: String,
    },
    /// A line of a history file is not an entry.
    #[error("line {line} of the history is no entry: {problem}; remove the line or the file")]
    HistoryLine {
        /// Number of the line, from one.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// The threshold is not a share.
    #[error("threshold `{found}` is not a share above 0; 0.1 means 10 %")]
    Threshold {
        /// Value given.
        found: f64,
    },
}
