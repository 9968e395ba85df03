//! The truth of a synthetic market: the hidden state behind each of its records, in a table of its own.

mod read;
mod write;

use serde::{Deserialize, Serialize};

pub use self::{
    read::{TruthFile, TruthReader},
    write::TruthWriter,
};
use crate::schema;
use parquet::basic::Type as Physical;

/// Version of the format of truth files that this build writes and reads.
pub const TRUTH_FORMAT_VERSION: u32 = 1;

/// Key of the description in the footer.
const TRUTH_KEY: &str = "loblab:truth";

/// The columns, their types, and whether they have a dictionary.
const COLUMNS: [(&str, Physical, bool); 7] = [
    ("instrument_id", Physical::INT64, true),
    ("symbol", Physical::BYTE_ARRAY, true),
    ("ts_event", Physical::INT64, false),
    ("ts_recv", Physical::INT64, false),
    ("sequence", Physical::INT64, false),
    ("regime", Physical::INT64, true),
    ("pressure", Physical::DOUBLE, true),
];

/// What a truth file says about itself; JSON in the Parquet footer under `loblab:truth`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct TruthMeta {
    version: u32,
    /// Names of the regimes 0 to 3.
    regimes: Vec<String>,
    /// What the pressure is, in words.
    pressure: String,
}

/// What tells one event of a market from all others: the fields of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TruthKey {
    /// Id of the instrument.
    pub instrument_id: u32,
    /// Sequence number.
    pub sequence: u32,
    /// Exchange time, ns since the Unix epoch.
    pub ts_event: u64,
    /// Capture time, ns since the Unix epoch.
    pub ts_recv: u64,
}

/// The hidden state behind a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth {
    /// Number of the regime, 0 to 3, see [`NamedLabel::REGIMES`](crate::NamedLabel::REGIMES).
    pub regime: u8,
    /// Pressure in per cent: above 0 buyers are at work.
    pub pressure: f64,
}

fn columns() -> Vec<schema::Column> {
    let column =
        |(name, physical, dictionary)| schema::Column::optional(name, physical, dictionary);
    COLUMNS.map(column).to_vec()
}
