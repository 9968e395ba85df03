//! `symbology.json` of a batch download.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, de::IgnoredAny};

use super::{Faults, Stated, SymbolMap, parse_id, poll};
use crate::{
    ConvertError,
    day::{DAY_NS, days_of_date},
};

/// `symbology.json` of a batch download.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Symbology {
    #[serde(default)]
    result: BTreeMap<String, Vec<Entry>>,
    #[serde(default)]
    stype_in: Option<String>,
    #[serde(default)]
    stype_out: Option<String>,
}

/// What the key stands for, if it can be told.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Entry {
    Interval(Interval),
    Other(IgnoredAny),
}

/// `s` is what the key stands for from day `d0` to before day `d1`.
#[derive(Debug, Deserialize)]
struct Interval {
    d0: String,
    d1: String,
    s: String,
}

impl Symbology {
    /// The symbols by instrument id; `None` if it says nothing about ids. A mapping that cannot be
    /// used is a fault of its symbol alone.
    ///
    /// # Errors
    /// `is_cancelled`, which is asked every few thousand intervals, said so.
    pub(crate) fn map(
        self,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<SymbolMap>, ConvertError> {
        const ID: &str = "instrument_id";
        let is_id = |stype: &Option<String>| stype.as_deref() == Some(ID);
        let (by_key, by_value) = (is_id(&self.stype_in), is_id(&self.stype_out));
        if by_key == by_value {
            // Nothing in it says what an id means.
            return Ok(None);
        }
        let (mut stated, mut faults, mut n) = (Vec::new(), Faults::default(), 0);
        for (key, entries) in &self.result {
            let key_symbol: Arc<str> = key.as_str().into();
            for entry in entries {
                poll(n, is_cancelled)?;
                n += 1;
                let interval = match entry {
                    // An empty value stands for "not resolved on these days".
                    Entry::Interval(interval) if interval.s.is_empty() => continue,
                    Entry::Interval(interval) => interval,
                    Entry::Other(_) => {
                        let what = || "an entry without texts `d0`, `d1` and `s`".to_owned();
                        faults.note(key, None, what);
                        continue;
                    }
                };
                let (id, symbol) = match by_key {
                    true => (key, interval.s.as_str().into()),
                    false => (&interval.s, Arc::clone(&key_symbol)),
                };
                match interval.state(id, &symbol) {
                    Ok(one) if one.start < one.end => stated.push(one),
                    Ok(_) => {}
                    Err(what) => faults.note(&symbol, None, || what),
                }
            }
        }
        let map = SymbolMap::of_stated(stated, faults, is_cancelled)?;
        Ok((!map.is_empty() || !map.faults.is_empty()).then_some(map))
    }
}

impl Interval {
    /// That an id means a symbol for its time.
    ///
    /// # Errors
    /// What contradicts itself, in words.
    fn state(&self, id: &str, symbol: &Arc<str>) -> Result<Stated, String> {
        let day = |text: &str| {
            days_of_date(text).and_then(|days| days.checked_mul(DAY_NS)).ok_or_else(|| {
                format!("`{}` is not a date such as `2024-01-31`", text.escape_debug())
            })
        };
        let (start, end) = (day(&self.d0)?, day(&self.d1)?);
        if start > end {
            return Err(format!("it starts on {}, after its end on {}", self.d0, self.d1));
        }
        Ok(Stated { id: parse_id(id)?, start, end, symbol: Arc::clone(symbol) })
    }
}
