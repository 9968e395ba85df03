//! Finding the next sound record behind a damaged one.

use super::scan::HEADER_BYTES;
use crate::decode::{BookSchema, RecordKind, classify_header};

/// Records that must follow one another for a place to count as a record boundary; fewer at the
/// end of the data.
const CHAIN: usize = 3;

/// How many bytes further a sound record starts, at least one.
///
/// The place where the record would have ended had it been sound is tried first: a single flipped
/// byte leaves the framing of the rest as it was.
pub(super) fn find_record(bytes: &[u8], schema: Option<BookSchema>, ts_out: bool) -> Option<usize> {
    let extra = if ts_out { 8 } else { 0 };
    let usual = match schema {
        Some(BookSchema::Mbo) => 56 + extra,
        _ => 368 + extra,
    };
    std::iter::once(usual)
        .chain(1..bytes.len())
        .find(|&at| at < bytes.len() && is_boundary(&bytes[at..], schema, ts_out))
}

/// Whether sound book records start here, one behind the other.
fn is_boundary(mut bytes: &[u8], schema: Option<BookSchema>, ts_out: bool) -> bool {
    for n in 0..CHAIN {
        if bytes.len() < HEADER_BYTES {
            // The end of the data: one record before it is enough.
            return n > 0;
        }
        let length = usize::from(bytes[0]) * 4;
        let is_sound = match (classify_header(bytes[1], length, ts_out), schema) {
            (RecordKind::Mbp10, Some(schema)) => schema == BookSchema::Mbp10,
            (RecordKind::Mbo, Some(schema)) => schema == BookSchema::Mbo,
            (RecordKind::Mbp10 | RecordKind::Mbo, None) => true,
            _ => false,
        };
        if !is_sound || length > bytes.len() {
            return false;
        }
        bytes = &bytes[length..];
    }
    true
}
