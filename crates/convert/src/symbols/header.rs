//! The symbols in a DBN header.

use std::sync::Arc;

use dbn::{Metadata, SType};

use super::{Faults, Stated, SymbolMap, parse_id, poll};
use crate::ConvertError;

/// The symbols of the header. A request whose symbology has no instrument ids maps nothing, and a
/// mapping that contradicts itself is a fault of its symbol alone.
///
/// # Errors
/// `is_cancelled`, which is asked every few thousand intervals, said so.
pub(crate) fn of_header(
    metadata: &Metadata,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<SymbolMap, ConvertError> {
    let by_key = metadata.stype_in == Some(SType::InstrumentId);
    if !by_key && metadata.stype_out != SType::InstrumentId {
        return Ok(SymbolMap::default());
    }
    let (mut stated, mut faults, mut n) = (Vec::new(), Faults::default(), 0);
    for mapping in &metadata.mappings {
        let key: Arc<str> = mapping.raw_symbol.as_str().into();
        // An empty value stands for "not resolved on these days".
        for interval in mapping.intervals.iter().filter(|interval| !interval.symbol.is_empty()) {
            poll(n, is_cancelled)?;
            n += 1;
            let (id, symbol) = match by_key {
                true => (&*mapping.raw_symbol, interval.symbol.as_str().into()),
                false => (&*interval.symbol, Arc::clone(&key)),
            };
            let days = (interval.start_date, interval.end_date);
            if days.0 > days.1 {
                let what = || format!("it starts on {}, after its end on {}", days.0, days.1);
                faults.note(&symbol, None, what);
                continue;
            }
            let start = ns_of(days.0.midnight().assume_utc().unix_timestamp_nanos());
            let end = ns_of(days.1.midnight().assume_utc().unix_timestamp_nanos());
            match parse_id(id) {
                Ok(id) if start < end => stated.push(Stated { id, start, end, symbol }),
                // No time at all, as vendors state for a request of no length.
                Ok(_) => {}
                Err(what) => faults.note(&symbol, None, || what),
            }
        }
    }
    SymbolMap::of_stated(stated, faults, is_cancelled)
}

/// Nanoseconds since the Unix epoch, as near as they can be told.
fn ns_of(ns: i128) -> u64 {
    u64::try_from(ns).unwrap_or(if ns < 0 { 0 } else { u64::MAX })
}
