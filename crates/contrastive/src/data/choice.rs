//! Which files of a store are used, and what they say of themselves.

use std::collections::BTreeSet;
use std::path::Path;

use lob_metrics::shown;
use lob_store::{NamedLabel, Store, StoreMeta};
use serde::{Deserialize, Serialize};

use super::cuts::TimeRange;
use crate::ContrastiveError;

/// Files of a store by instrument and day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// Instruments by symbol, id or `SYMBOL@ID`; empty for all.
    pub symbols: Vec<String>,
    /// First and last day, `YYYY-MM-DD`, both belong to it; `None` for all.
    pub days: Option<(String, String)>,
}

impl Choice {
    /// All files.
    pub const ALL: Self = Self { symbols: Vec::new(), days: None };

    /// Whether it is all files.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::ALL
    }

    /// Whether a file is chosen.
    pub(super) fn takes(&self, meta: &StoreMeta) -> bool {
        let days = self.days.as_ref();
        (self.symbols.is_empty() || self.symbols.iter().any(|name| answers_to(meta, name)))
            && days.is_none_or(|(first, last)| (first..=last).contains(&&meta.day))
    }
}

fn answers_to(meta: &StoreMeta, name: &str) -> bool {
    let id = meta.instrument_id.to_string();
    name == meta.symbol
        || name == id
        || name.rsplit_once('@').is_some_and(|(symbol, of)| symbol == meta.symbol && of == id)
}

/// Opens the chosen files of a store.
///
/// # Errors
/// [`ContrastiveError::Open`] when it cannot be opened, [`ContrastiveError::NotInStore`] for a
/// symbol that no file has, or days without one.
pub fn open_store(path: &Path, choice: &Choice) -> Result<Store, ContrastiveError> {
    let store = Store::open(path).map_err(|source| ContrastiveError::Open {
        path: path.to_owned(),
        source: source.into(),
    })?;
    let missing = |wanted: String, found: BTreeSet<&str>| {
        let found: Vec<String> = found.into_iter().map(|name| shown(name).to_string()).collect();
        let (path, found) = (path.to_owned(), found.join(", "));
        ContrastiveError::NotInStore { path, wanted: shown(wanted).to_string(), found }
    };
    let metas = || store.files().iter().map(|file| file.meta());
    for name in &choice.symbols {
        if !metas().any(|meta| answers_to(meta, name)) {
            let wanted = format!("the symbol `{name}`");
            return Err(missing(wanted, metas().map(|meta| meta.symbol.as_str()).collect()));
        }
    }
    if !metas().any(|meta| choice.takes(meta)) {
        let of = choice.days.as_ref().map_or(String::new(), |(a, b)| format!("{a} to {b}"));
        let wanted = match choice.symbols.as_slice() {
            [] => format!("days of {of}"),
            symbols => format!("days of {of} of `{}`", symbols.join("`, `")),
        };
        return Err(missing(wanted, metas().map(|meta| meta.day.as_str()).collect()));
    }
    Ok(store.retained(|meta| choice.takes(meta)))
}

/// What a store's files say of themselves, as far as a model made of them has to know.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StoreFacts {
    /// Symbols of its instruments, ascending.
    pub symbols: Vec<String>,
    /// Days of its partitions, ascending.
    pub days: Vec<String>,
    /// What closes a bin; `None` where files differ.
    pub bin_rule: Option<String>,
    /// How sizes inside a bin become one number; `None` where files differ.
    pub size_aggregate: Option<String>,
    /// Symbol, id and price step (1e-9) of each instrument, where all its files agree.
    pub price_steps: Vec<(String, u32, i64)>,
    /// The labels that every file has, as the first one says them.
    pub labels: Vec<NamedLabel>,
}

impl StoreFacts {
    /// Price step of an instrument, in 1e-9: its own, or that of its symbol under other ids where
    /// they have the same.
    #[must_use]
    pub fn price_step(&self, symbol: &str, instrument_id: u32) -> Option<i64> {
        let of_symbol = self.price_steps.iter().filter(|step| step.0 == symbol);
        let own = of_symbol.clone().find(|step| step.1 == instrument_id).map(|step| step.2);
        own.or_else(|| {
            let steps: BTreeSet<i64> = of_symbol.map(|step| step.2).collect();
            steps.first().copied().filter(|_| steps.len() == 1)
        })
    }

    /// Of all files of `store`.
    #[must_use]
    pub fn of(store: &Store) -> Self {
        let metas: Vec<&StoreMeta> = store.files().iter().map(|file| file.meta()).collect();
        let all = |of: fn(&StoreMeta) -> &str| -> Vec<String> {
            let names: BTreeSet<&str> = metas.iter().map(|meta| of(meta)).collect();
            names.into_iter().map(str::to_owned).collect()
        };
        let only = |of: fn(&StoreMeta) -> String| {
            let found: BTreeSet<String> = metas.iter().map(|meta| of(meta)).collect();
            found.first().filter(|_| found.len() == 1).cloned()
        };
        let steps: BTreeSet<(&str, u32, i64)> = metas
            .iter()
            .map(|meta| (meta.symbol.as_str(), meta.instrument_id, meta.price_step))
            .collect();
        let is_agreed = |symbol: &str, id: u32| {
            steps.iter().filter(|step| (step.0, step.1) == (symbol, id)).count() == 1
        };
        let has = |meta: &StoreMeta, name: &str| meta.labels.iter().any(|l| l.name == name);
        let first = metas.first().map(|meta| meta.labels.as_slice()).unwrap_or_default();
        Self {
            symbols: all(|meta| &meta.symbol),
            days: all(|meta| &meta.day),
            bin_rule: only(|meta| meta.bin_rule.to_string()),
            size_aggregate: only(|meta| meta.size_aggregate.to_string()),
            price_steps: steps
                .iter()
                .filter(|(symbol, id, _)| is_agreed(symbol, *id))
                .map(|(symbol, id, step)| ((*symbol).to_owned(), *id, *step))
                .collect(),
            labels: first
                .iter()
                .filter(|label| metas.iter().all(|meta| has(meta, &label.name)))
                .cloned()
                .collect(),
        }
    }
}

/// The symbols whose files begin at or before a moment, and the time of all bins of theirs.
pub(crate) fn begun_by(
    store: &Store,
    symbols: &[String],
    moment: u64,
) -> Option<(Vec<String>, TimeRange)> {
    let files = store.files().iter().filter(|file| symbols.contains(&file.meta().symbol));
    let ranges: Vec<(&str, TimeRange)> = files
        .filter_map(|file| {
            let meta = file.meta();
            let times = meta.segments.iter().flat_map(|s| [s.ts_first, s.ts_last]);
            let range = TimeRange::of(times.filter(|&ts| ts != u64::MAX))?;
            (range.first <= moment).then_some((meta.symbol.as_str(), range))
        })
        .collect();
    let range = TimeRange::of(ranges.iter().flat_map(|(_, r)| [r.first, r.last]))?;
    let symbols: BTreeSet<&str> = ranges.iter().map(|(symbol, _)| *symbol).collect();
    Some((symbols.into_iter().map(str::to_owned).collect(), range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instrument_has_its_own_step_or_that_of_its_symbol() {
        let step = |symbol: &str, id: u32, step: i64| (symbol.to_owned(), id, step);
        let price_steps = vec![step("A", 1, 5), step("A", 2, 7), step("B", 3, 9), step("B", 4, 9)];
        let facts = StoreFacts { price_steps, ..StoreFacts::default() };
        assert_eq!((facts.price_step("A", 1), facts.price_step("A", 2)), (Some(5), Some(7)));
        assert_eq!((facts.price_step("A", 3), facts.price_step("B", 8)), (None, Some(9)));
        assert_eq!(facts.price_step("C", 1), None);
    }
}
