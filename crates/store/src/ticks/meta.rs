use std::{collections::BTreeMap, fs::File, path::Path};

use serde::{Deserialize, Serialize};

use crate::{LabelMeta, SourceMeta, StoreError, footer};

/// Key of the metadata in the Parquet footer.
pub(super) const TICKS_KEY: &str = "loblab:ticks";

/// Version of the layout of ticks that this build writes, and the newest that it reads.
pub const TICKS_FORMAT_VERSION: u32 = 2;

/// What a tick file says about itself; JSON in the Parquet footer under `loblab:ticks`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TickMeta {
    /// Format version, [`TICKS_FORMAT_VERSION`] when written by this build.
    pub format_version: u32,
    /// Dataset code of the source, for example `GLBX.MDP3`.
    pub dataset: String,
    /// Schema of the source: `mbp-10` or `mbo`.
    pub source_schema: String,
    /// Publisher of the updates.
    pub publisher_id: u16,
    /// Instrument the file is about.
    pub instrument_id: u32,
    /// Its symbol on that day; the instrument id as text when the source maps none.
    pub symbol: String,
    /// Day of the partition, `YYYY-MM-DD`.
    pub day: String,
    /// Price units in one: prices are fixed-point numbers of 1e-9.
    pub price_units: i64,
    /// How movements and classes were made.
    pub label: LabelMeta,
    /// Rows of each class, lowest class first; empty without labels.
    pub class_counts: Vec<u64>,
    /// Input files, in reading order.
    pub sources: Vec<SourceMeta>,
    /// Rows.
    pub rows: u64,
    /// First and last exchange time, nanoseconds since the Unix epoch.
    pub ts_event_range: Option<(u64, u64)>,
    /// Records of the sources left out, by reason.
    pub skipped: BTreeMap<String, u64>,
}

/// The part of [`TickMeta`] that every version has.
#[derive(Deserialize)]
struct VersionOnly {
    format_version: u32,
}

/// What the tick file at `path` says about itself; `None` for any other Parquet file.
///
/// # Errors
/// The file cannot be read, is not Parquet, its metadata cannot be understood, or its version is
/// newer than [`TICKS_FORMAT_VERSION`].
pub fn read_tick_meta(path: impl AsRef<Path>) -> Result<Option<TickMeta>, StoreError> {
    let path = path.as_ref();
    let io = |source| StoreError::Io { path: path.to_owned(), action: "open", source };
    let damaged = |found: String| StoreError::Damaged {
        path: path.to_owned(),
        what: "footer".to_owned(),
        expected: "Parquet metadata of a tick file".to_owned(),
        found,
    };
    let mut file = File::open(path).map_err(io)?;
    let parquet = footer::read(&mut file).map_err(io)?.map_err(damaged)?;
    let entries = parquet.file_metadata().key_value_metadata();
    let entry = entries.and_then(|entries| entries.iter().find(|entry| entry.key == TICKS_KEY));
    let Some(text) = entry.and_then(|entry| entry.value.as_deref()) else { return Ok(None) };
    // Of another version nothing else is known.
    if let Ok(VersionOnly { format_version: found }) = serde_json::from_str(text)
        && !(1..=TICKS_FORMAT_VERSION).contains(&found)
    {
        let (path, supported) = (path.to_owned(), TICKS_FORMAT_VERSION);
        return Err(StoreError::Version { path, found, supported });
    }
    serde_json::from_str(text).map(Some).map_err(|error| damaged(error.to_string()))
}
