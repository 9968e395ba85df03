//! Symbols from mapping records in the stream.

use std::sync::Arc;

use dbn::{UNDEF_TIMESTAMP, rtype};

use super::SymbolMap;

/// Why a mapping record cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadMapping {
    /// The symbol it names, or the id as text where it names none.
    pub(crate) symbol: String,
    pub(crate) what: String,
}

/// Places in a mapping record.
struct Layout {
    /// The output symbol, ended by a zero byte.
    symbol: std::ops::Range<usize>,
    start_ts: usize,
    end_ts: usize,
}

const V1: Layout = Layout { symbol: 38..60, start_ts: 64, end_ts: 72 };
/// From version 2 on.
const V2: Layout = Layout { symbol: 89..160, start_ts: 160, end_ts: 168 };

impl SymbolMap {
    /// Takes in a mapping record of a file of this DBN version: whether it is one, so that what was
    /// looked up may change. What it says holds for the records behind it: between its times, from
    /// here on if it has no start, and for good if it has no end.
    ///
    /// # Errors
    /// It says nothing that can be used; what was known before stays.
    pub(crate) fn on_record(&mut self, record: &[u8], version: u8) -> Result<bool, BadMapping> {
        if record.get(1) != Some(&rtype::SYMBOL_MAPPING) {
            return Ok(false);
        }
        let id = word(record, 4).map_or(0, u32::from_le_bytes);
        let bad = |symbol: &str, what: String| {
            Err(BadMapping { symbol: symbol.to_owned(), what: format!("{what} (id {id})") })
        };
        let layout = if version == 1 { V1 } else { V2 };
        let (Some(text), Some(start), Some(end)) = (
            record.get(layout.symbol),
            word(record, layout.start_ts).map(u64::from_le_bytes),
            word(record, layout.end_ts).map(u64::from_le_bytes),
        ) else {
            return bad(&id.to_string(), format!("the record ends after {} bytes", record.len()));
        };
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        let symbol = match std::str::from_utf8(text) {
            Ok("") => return bad(&id.to_string(), "the record names no symbol".to_owned()),
            Ok(symbol) => symbol,
            Err(_) => {
                let what = format!("`{}` is not a symbol", text.escape_ascii());
                return bad(&id.to_string(), what);
            }
        };
        let start = if start == UNDEF_TIMESTAMP { 0 } else { start };
        if start >= end {
            let what = format!("it starts at {start} ns, not before its end at {end} ns");
            return bad(symbol, what);
        }
        self.insert(id, start, end, Arc::from(symbol));
        Ok(true)
    }
}

/// The bytes of a number.
fn word<const N: usize>(record: &[u8], at: usize) -> Option<[u8; N]> {
    record.get(at..)?.first_chunk().copied()
}
