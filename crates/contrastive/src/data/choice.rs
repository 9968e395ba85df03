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
    /// Symbol and price step (1e-9) of each instrument, where all its files agree.
    pub price_steps: Vec<(String, i64)>,
    /// The labels that every file has, as the first one says them.
    pub labels: Vec<NamedLabel>,
}

impl StoreFacts {
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
        let steps: BTreeSet<(&str, i64)> =
            metas.iter().map(|meta| (meta.symbol.as_str(), meta.price_step)).collect();
        let is_agreed = |symbol: &str| steps.iter().filter(|step| step.0 == symbol).count() == 1;
        let has = |meta: &StoreMeta, name: &str| meta.labels.iter().any(|l| l.name == name);
        let first = metas.first().map(|meta| meta.labels.as_slice()).unwrap_or_default();
        Self {
            symbols: all(|meta| &meta.symbol),
            days: all(|meta| &meta.day),
            bin_rule: only(|meta| meta.bin_rule.to_string()),
            size_aggregate: only(|meta| meta.size_aggregate.to_string()),
            price_steps: steps
                .iter()
                .filter(|(symbol, _)| is_agreed(symbol))
                .map(|(symbol, step)| ((*symbol).to_owned(), *step))
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
