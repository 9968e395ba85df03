use std::collections::BTreeMap;

use lob_depth::{BinRule, SizeAggregate};
use serde::{Deserialize, Serialize};

use crate::{LabelKind, LabelMeta, NamedLabel};

/// Version of the format of bins this build writes and the newest it reads; it reads all before.
pub const FORMAT_VERSION: u32 = 2;

/// What [`StoreMeta::unknown`] says of a file without order flow.
pub const UNKNOWN_ORDER_FLOW: &str = "order_flow";
/// What [`StoreMeta::unknown`] says of a file in which a snapshot of the book may have made rows.
pub const UNKNOWN_SNAPSHOT_ROWS: &str = "snapshot_rows";

/// What a store file says about itself; JSON in the Parquet footer under `loblab:meta`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StoreMeta {
    /// Format version, [`FORMAT_VERSION`] when written by this build.
    pub format_version: u32,
    /// Dataset code of the source, for example `GLBX.MDP3`.
    pub dataset: String,
    /// Schema the bins were made from: `mbp-10` or `mbo`.
    pub source_schema: String,
    /// Publisher, when the source names a single one.
    pub publisher_id: Option<u16>,
    /// Instrument the file is about.
    pub instrument_id: u32,
    /// Its symbol on that day; the instrument id as text when the source maps none.
    pub symbol: String,
    /// Day of the partition, `YYYY-MM-DD`.
    pub day: String,
    /// One price step in units of 1e-9: the scale of the `bid_px_*` and `ask_px_*` columns.
    pub price_step: i64,
    /// What closes a bin.
    #[serde(with = "as_text")]
    pub bin_rule: BinRule,
    /// How the sizes inside a bin become one number.
    #[serde(with = "as_text")]
    pub size_aggregate: SizeAggregate,
    /// How movements and classes were made.
    pub label: LabelMeta,
    /// The labels of each row, by name. The first is [`label`](Self::label), which files of version
    /// 1 have alone. Filled by the writer.
    #[serde(default)]
    pub labels: Vec<NamedLabel>,
    /// Input files the bins came from, in reading order.
    pub sources: Vec<SourceMeta>,
    /// Book updates that went into the bins.
    pub updates: u64,
    /// Records left out, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Runs of rows a window may lie in, in row order. Filled by the writer.
    #[serde(default)]
    pub segments: Vec<SegmentMeta>,
    /// What nobody knows of the rows, of [`UNKNOWN_ORDER_FLOW`] and [`UNKNOWN_SNAPSHOT_ROWS`]: for
    /// files of version 1, and those written anew from them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

impl StoreMeta {
    /// What a file of version 1 leaves unsaid.
    pub(crate) fn of_version_1(mut self) -> Self {
        self.labels = vec![NamedLabel::reversal(&self.label)];
        self.unknown = [UNKNOWN_ORDER_FLOW, UNKNOWN_SNAPSHOT_ROWS].map(str::to_owned).to_vec();
        self
    }

    /// The first label under its present name, which the first files of version 2 do not have.
    pub(crate) fn with_names(mut self) -> Self {
        if let Some(first) = self.labels.first_mut()
            && first.kind == LabelKind::Reversal
            && first.name == NamedLabel::PRICE_MOVEMENT
        {
            NamedLabel::REVERSAL.clone_into(&mut first.name);
        }
        self
    }
}

/// One input file. Where it lay is not said: a store is the same wherever it was made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SourceMeta {
    /// Name of the file without its folder; in files of version 1 the path as it was given.
    #[serde(alias = "path")]
    pub name: String,
    /// XXH3-128 of the decompressed records, lower-case hex; empty in files of version 1.
    #[serde(default)]
    pub fingerprint: String,
    /// SHA-256 of the file, which files of version 1 have in place of the fingerprint.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// Records read from it.
    pub records: u64,
    /// Times of the first and last record that were placed, nanoseconds since the Unix epoch; not
    /// known of files of version 1.
    #[serde(default)]
    pub span: Option<(u64, u64)>,
}

impl SourceMeta {
    /// What the content is known by: the fingerprint, in version 1 the SHA-256. Empty where
    /// neither was taken.
    #[must_use]
    pub fn content(&self) -> &str {
        if self.fingerprint.is_empty() { &self.sha256 } else { &self.fingerprint }
    }
}

/// A run of rows without a break: windows never cross its ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentMeta {
    /// Value of the `segment` column.
    pub segment: u32,
    /// First row of the run in the file.
    pub first_row: u64,
    /// Number of rows.
    pub rows: u64,
    /// `ts_event` of the first row's last update, ns since 1970.
    pub ts_first: u64,
    /// `ts_event` of the last row's last update, ns since 1970.
    pub ts_last: u64,
}

/// A value as the text its `Display` writes and its `FromStr` reads.
mod as_text {
    use std::{fmt::Display, str::FromStr};

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
