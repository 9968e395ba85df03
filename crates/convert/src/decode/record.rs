//! What a record header may say.

use dbn::{MboMsg, Mbp10Msg, RType, rtype};

use super::BookSchema;

/// Bytes a capture time adds to each record of a live stream.
const TS_OUT_BYTES: usize = 8;

/// A record by its header alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// Ten levels, of the right length.
    Mbp10,
    /// One order, of the right length.
    Mbo,
    /// Prices of another schema: does not belong into a file of books.
    Market,
    /// Mappings, status, definitions and the like, which may accompany any schema.
    Other,
    /// No record at all: an unknown type or a length that contradicts it.
    Damaged,
}

/// Classifies a header.
#[inline]
pub(crate) fn classify_header(rtype: u8, bytes: usize, ts_out: bool) -> RecordKind {
    let extra = if ts_out { TS_OUT_BYTES } else { 0 };
    match rtype {
        rtype::MBP_10 if bytes == size_of::<Mbp10Msg>() + extra => RecordKind::Mbp10,
        rtype::MBO if bytes == size_of::<MboMsg>() + extra => RecordKind::Mbo,
        rtype::MBP_10 | rtype::MBO => RecordKind::Damaged,
        _ => classify_other(rtype),
    }
}

#[cold]
fn classify_other(rtype: u8) -> RecordKind {
    match RType::try_from(rtype) {
        Err(_) => RecordKind::Damaged,
        Ok(
            RType::Status
            | RType::InstrumentDef
            | RType::Imbalance
            | RType::Error
            | RType::SymbolMapping
            | RType::System
            | RType::Statistics,
        ) => RecordKind::Other,
        Ok(_) => RecordKind::Market,
    }
}

/// What a header should have said, in words.
pub(crate) fn expected_bytes(rtype: u8, schema: Option<BookSchema>, ts_out: bool) -> String {
    let extra = if ts_out { TS_OUT_BYTES } else { 0 };
    let mbp10 = format!("{} bytes for `mbp-10` (0x0a)", size_of::<Mbp10Msg>() + extra);
    let mbo = format!("{} bytes for `mbo` (0xa0)", size_of::<MboMsg>() + extra);
    match (rtype, schema) {
        (rtype::MBP_10, None | Some(BookSchema::Mbp10)) | (_, Some(BookSchema::Mbp10)) => mbp10,
        (rtype::MBO, None) | (_, Some(BookSchema::Mbo)) => mbo,
        _ => format!("{mbp10} or {mbo}"),
    }
}

/// A record type by name where it has one, such as `symbol_mapping`.
pub(crate) fn rtype_name(rtype: u8) -> String {
    RType::try_from(rtype)
        .map_or_else(|_| format!("{rtype:#04x}"), |rtype| rtype.as_str().replace('-', "_"))
}
