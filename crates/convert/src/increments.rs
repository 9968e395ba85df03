//! Smallest price increments from definition records.

use dbn::{RecordRef, UNDEF_PRICE, v1, v2, v3};
use rustc_hash::FxHashMap;

/// Smallest price increments by publisher and instrument, in 1e-9 units.
#[derive(Debug, Clone, Default)]
pub(crate) struct Increments {
    /// Times of definition and increments.
    of: FxHashMap<(u16, u32), Vec<(u64, i64)>>,
}

impl Increments {
    /// Notes a definition record of a file of this DBN version; others are passed over.
    pub(crate) fn note(&mut self, record: RecordRef<'_>, version: u8) {
        let found = match version {
            1 => record
                .try_get::<v1::InstrumentDefMsg>()
                .map(|d| (d.hd.publisher_id, d.hd.instrument_id, d.ts_recv, d.min_price_increment)),
            2 => record
                .try_get::<v2::InstrumentDefMsg>()
                .map(|d| (d.hd.publisher_id, d.hd.instrument_id, d.ts_recv, d.min_price_increment)),
            _ => record
                .try_get::<v3::InstrumentDefMsg>()
                .map(|d| (d.hd.publisher_id, d.hd.instrument_id, d.ts_recv, d.min_price_increment)),
        };
        if let Ok((publisher_id, instrument_id, ts, increment)) = found
            && increment > 0
            && increment != UNDEF_PRICE
        {
            let times = self.of.entry((publisher_id, instrument_id)).or_default();
            // Files repeat the same definition all day.
            if times.last().is_none_or(|last| last.1 != increment) {
                times.push((ts, increment));
            }
        }
    }

    /// Takes in all of another file.
    pub(crate) fn extend(&mut self, more: Self) {
        for (key, times) in more.of {
            let all = self.of.entry(key).or_default();
            all.extend(times);
            all.sort_unstable();
        }
    }

    /// The increment of an instrument at a time: of the last definition before it, or of the first
    /// where all are later.
    pub(crate) fn get(&self, publisher_id: u16, instrument_id: u32, ts: u64) -> Option<i64> {
        let times = self.of.get(&(publisher_id, instrument_id))?;
        let before = times.iter().rev().find(|(from, _)| *from <= ts);
        before.or(times.first()).map(|(_, increment)| *increment)
    }
}
