//! What is known about instruments beside their books: symbols and price increments.

use std::{collections::BTreeMap, sync::Arc};

use dbn::{RecordRef, TsSymbolMap, UNDEF_PRICE, v1, v2, v3};
use rustc_hash::FxHashMap;
use serde::Deserialize;

use crate::day::{DAY_NS, days_of_date};

/// What an input and the files beside it say about its instruments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Instruments {
    /// Of the header and of mapping records in the stream.
    pub(crate) symbols: TsSymbolMap,
    /// Of the batch folder: asked where the file itself says nothing.
    pub(crate) batch: Option<Arc<TsSymbolMap>>,
    /// Of definition records in the stream.
    pub(crate) increments: Increments,
}

impl Instruments {
    /// The symbol of an instrument at a time.
    pub(crate) fn symbol(&self, ts: u64, instrument_id: u32) -> Option<&str> {
        let own = self.symbols.get_for_ts(ts, instrument_id);
        let batch = || self.batch.as_ref().and_then(|map| map.get_for_ts(ts, instrument_id));
        own.or_else(batch).map(String::as_str)
    }
}

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

/// `symbology.json` of a batch download.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Symbology {
    #[serde(default)]
    result: BTreeMap<String, Vec<Interval>>,
    #[serde(default)]
    stype_in: Option<String>,
    #[serde(default)]
    stype_out: Option<String>,
}

/// `s` is what the key stands for from day `d0` to before day `d1`.
#[derive(Debug, Deserialize)]
struct Interval {
    d0: String,
    d1: String,
    s: String,
}

impl Symbology {
    /// The symbols by instrument id; `None` if it maps none.
    ///
    /// # Errors
    /// A date or an id that is none, in words.
    pub(crate) fn map(self) -> Result<Option<TsSymbolMap>, String> {
        const ID: &str = "instrument_id";
        let is_id = |stype: &Option<String>| stype.as_deref() == Some(ID);
        let (by_key, by_value) = (is_id(&self.stype_in), is_id(&self.stype_out));
        if by_key == by_value {
            // Nothing in it says what an id means.
            return Ok(None);
        }
        let mut map = TsSymbolMap::new();
        for (key, intervals) in &self.result {
            // An empty value stands for "not resolved on these days".
            for interval in intervals.iter().filter(|interval| !interval.s.is_empty()) {
                let (id, symbol) = if by_key { (key, &interval.s) } else { (&interval.s, key) };
                let id: u32 = id.parse().map_err(|_| format!("`{id}` is no instrument id"))?;
                let day = |text: &str| {
                    days_of_date(text)
                        .and_then(|days| days.checked_mul(DAY_NS))
                        .ok_or_else(|| format!("`{text}` is no date such as `2024-01-31`"))
                };
                let (start, end) = (day(&interval.d0)?, day(&interval.d1)?);
                map.insert(id, start, end, symbol.as_str()).map_err(|error| error.to_string())?;
            }
        }
        Ok((!map.is_empty()).then_some(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Result<Option<TsSymbolMap>, String> {
        serde_json::from_str::<Symbology>(text).unwrap().map()
    }

    #[test]
    fn both_directions_map_ids() {
        let day = |days: u64| days * DAY_NS + 5;
        for text in [
            r#"{"result":{"ESM4":[{"d0":"2024-04-01","d1":"2024-04-03","s":"17"}],
                "ESU4":[{"d0":"2024-04-03","d1":"2024-04-04","s":"17"},
                        {"d0":"2024-04-01","d1":"2024-04-02","s":""}]},
                "stype_in":"raw_symbol","stype_out":"instrument_id"}"#,
            r#"{"result":{"17":[{"d0":"2024-04-01","d1":"2024-04-03","s":"ESM4"},
                {"d0":"2024-04-03","d1":"2024-04-04","s":"ESU4"}]},
                "stype_in":"instrument_id","stype_out":"raw_symbol"}"#,
        ] {
            let map = map(text).unwrap().unwrap();
            let get = |days| map.get_for_ts(day(days), 17).map(String::as_str);
            // 2024-04-01 is day 19,814.
            assert_eq!(get(19_813), None);
            assert_eq!((get(19_814), get(19_815)), (Some("ESM4"), Some("ESM4")));
            assert_eq!((get(19_816), get(19_817)), (Some("ESU4"), None));
        }
        assert!(
            map(r#"{"result":{},"stype_in":"continuous","stype_out":"raw_symbol"}"#)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn nonsense_is_named() {
        let text = |d0: &str, s: &str| {
            format!(
                r#"{{"result":{{"A":[{{"d0":"{d0}","d1":"2024-04-02","s":"{s}"}}]}},
                "stype_in":"raw_symbol","stype_out":"instrument_id"}}"#
            )
        };
        assert!(map(&text("2024-04-01", "x")).unwrap_err().contains("`x`"));
        assert!(map(&text("2024-13-01", "1")).unwrap_err().contains("2024-13-01"));
        assert!(map(&text("2024-04-03", "1")).is_err(), "starts after its end");
    }
}
