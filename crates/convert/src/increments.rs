//! Smallest price increments from definition records.

use dbn::{RecordRef, UNDEF_PRICE, v1, v2, v3};
use rustc_hash::FxHashMap;

/// Smallest price increments by publisher and instrument, in 1e-9 units.
#[derive(Debug, Clone, Default)]
pub(crate) struct Increments {
    of: FxHashMap<(u16, u32), Vec<Defined>>,
}

/// What a definition record says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Defined {
    ts: u64,
    increment: i64,
    /// Empty where it cannot be read.
    symbol: Box<str>,
}

impl Increments {
    /// Notes a definition record of a file of this DBN version; others are passed over.
    pub(crate) fn note(&mut self, record: RecordRef<'_>, version: u8) {
        macro_rules! read {
            ($version:ident) => {
                record.try_get::<$version::InstrumentDefMsg>().map(|d| {
                    let symbol = d.raw_symbol().unwrap_or_default();
                    (
                        d.hd.publisher_id,
                        d.hd.instrument_id,
                        d.ts_recv,
                        d.min_price_increment,
                        symbol,
                    )
                })
            };
        }
        let found = match version {
            1 => read!(v1),
            2 => read!(v2),
            _ => read!(v3),
        };
        if let Ok((publisher_id, instrument_id, ts, increment, symbol)) = found
            && increment > 0
            && increment != UNDEF_PRICE
        {
            let all = self.of.entry((publisher_id, instrument_id)).or_default();
            // Files repeat the same definition all day.
            if all.last().is_none_or(|last| (last.increment, &*last.symbol) != (increment, symbol))
            {
                all.push(Defined { ts, increment, symbol: symbol.into() });
            }
        }
    }

    /// Takes in all of another file.
    pub(crate) fn extend(&mut self, more: Self) {
        for (key, times) in more.of {
            let all = self.of.entry(key).or_default();
            all.extend(times);
            all.sort_by_key(|defined| (defined.ts, defined.increment));
        }
    }

    /// The increment of an instrument at a time, by the definitions of a publisher's id whose
    /// symbol counts: of the last one before it, or of the first where all are later.
    pub(crate) fn get(
        &self,
        (publisher_id, instrument_id): (u16, u32),
        ts: u64,
        counts: impl Fn(&str) -> bool,
    ) -> Option<i64> {
        let all = self.of.get(&(publisher_id, instrument_id))?;
        let mut counted = all.iter().filter(|defined| counts(&defined.symbol));
        let before = counted.clone().rev().find(|defined| defined.ts <= ts);
        before.or_else(|| counted.next()).map(|defined| defined.increment)
    }
}
