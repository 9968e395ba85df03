//! A deterministic market simulator that writes valid DBN files.
mod config;
mod error;

pub use config::{Schema, SynthConfig};
pub use error::SynthError;

use std::{io::Write, path::Path};

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SynthSummary {
    /// Number of records written, over all instruments.
    pub records: u64,
    /// `(instrument_id, symbol)` of each instrument, by id.
    pub instruments: Vec<(u32, String)>,
    /// `ts_recv` of the first record, in ns since the UNIX epoch.
    pub first_ts: u64,
    /// `ts_recv` of the last record, in ns since the UNIX epoch.
    pub last_ts: u64,
}

/// Writes the market as DBN version 3 compressed with Zstandard.
///
/// # Errors
/// A bad configuration, or a failure of the writer.
pub fn write_dbn_zst(config: &SynthConfig, _writer: impl Write) -> Result<SynthSummary, SynthError> {
    Err(SynthError::BadConfig { field: "records", value: config.records, rule: "not yet written" })
}

/// Writes the market into `path`, atomically: uncompressed if it ends in `.dbn`, else `.dbn.zst`.
///
/// # Errors
/// A bad configuration, or a failure of the file system.
pub fn write_file(config: &SynthConfig, _path: &Path) -> Result<SynthSummary, SynthError> {
    Err(SynthError::BadConfig { field: "records", value: config.records, rule: "not yet written" })
}
