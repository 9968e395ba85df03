use std::collections::BTreeMap;

use lob_depth::{BinRule, SizeAggregate};
use serde::{Deserialize, Serialize};

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
}

/// How price movements and class labels were made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LabelMeta {
    /// Updates averaged before the anchor.
    pub lookback: u64,
    /// Updates averaged after the anchor.
    pub lookforward: u64,
    /// Updates between the anchor and the look-forward window.
    pub offset: u64,
    /// Number of classes, 0 when the file has no labels.
    pub classes: u32,
    /// Ascending class edges, `classes - 1` of them.
    pub edges: Vec<f64>,
    /// What the edges were fitted on, in words.
    pub fitted_on: String,
}

/// What a label compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LabelKind {
    /// The mean mid after a row with the mean mid before it, as a fraction of the latter: it says
    /// whether the market turned, and half of it is known at the row.
    Reversal,
    /// The mid `horizon` rows later less the row's own, in half price steps.
    Forward,
}

/// What a label's horizon counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LabelUnit {
    /// Book updates.
    Updates,
    /// Rows of a store of bins.
    Bins,
}

/// A label that every row has, `None` where it is undefined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedLabel {
    /// What readers ask for it by, and the name of the column of values.
    pub name: String,
    /// What it compares.
    pub kind: LabelKind,
    /// How far it looks forward.
    pub horizon: u64,
    /// In what.
    pub unit: LabelUnit,
    /// Number of classes, 0 where values are not put into any.
    pub classes: u32,
    /// Ascending class edges, `classes - 1` of them, in the unit of the values.
    pub edges: Vec<f64>,
    /// What the edges were fitted on, in words.
    pub fitted_on: String,
}

impl NamedLabel {
    /// Name of the label that files of every version have.
    pub const REVERSAL: &str = "price_movement";

    /// The label of [`StoreMeta::label`].
    pub fn reversal(label: &LabelMeta) -> Self {
        Self {
            name: Self::REVERSAL.to_owned(),
            kind: LabelKind::Reversal,
            horizon: label.lookforward,
            unit: LabelUnit::Updates,
            classes: label.classes,
            edges: label.edges.clone(),
            fitted_on: label.fitted_on.clone(),
        }
    }

    /// The label that compares the mid of a row with that so many rows of bins later, without
    /// classes.
    pub fn forward(horizon: u32) -> Self {
        Self {
            name: format!("forward_{horizon}"),
            kind: LabelKind::Forward,
            horizon: horizon.into(),
            unit: LabelUnit::Bins,
            classes: 0,
            edges: Vec::new(),
            fitted_on: String::new(),
        }
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
