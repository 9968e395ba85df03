//! Which symbol an instrument id has at an instant.

mod header;
mod live;
mod symbology;

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Included},
    sync::Arc,
};

pub(crate) use self::{header::of_header, live::BadMapping, symbology::Symbology};
use crate::{ConvertError, day::Day};

/// Intervals taken between two questions whether to go on.
const POLL_INTERVALS: usize = 1 << 12;
/// Symbols whose unusable mappings are told one by one; the rest is only counted.
const FAULTS_LISTED_MAX: usize = 20;

/// The symbols of instrument ids over time: disjoint intervals, of which a later statement
/// overrides what it covers. Taking in and looking up are O(log n).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SymbolMap {
    /// By instrument id and start.
    spans: BTreeMap<(u32, u64), Span>,
    pub(crate) faults: Faults,
}

/// To before `end`, the id means this symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    end: u64,
    symbol: Arc<str>,
}

/// What holds around an instant: from `from` to before `until` an id has this symbol, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    pub(crate) from: u64,
    pub(crate) until: u64,
    pub(crate) symbol: Option<&'a Arc<str>>,
}

/// One interval of a header or a `symbology.json`.
#[derive(Debug)]
struct Stated {
    id: u32,
    start: u64,
    end: u64,
    symbol: Arc<str>,
}

/// What taking in an interval did.
#[derive(Debug, Default, PartialEq, Eq)]
struct Taken {
    /// Earlier intervals shortened, split or replaced.
    touched: usize,
    /// The symbol of one of them, if it is another one.
    overrode: Option<Arc<str>>,
}

impl SymbolMap {
    /// Whether no id has a symbol.
    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// What the map says of an id at an instant.
    pub(crate) fn find(&self, id: u32, ts: u64) -> Found<'_> {
        // What has no end holds at an undefined time too.
        let ts = ts.min(u64::MAX - 1);
        let before = self.spans.range((id, 0)..=(id, ts)).next_back();
        if let Some((&(_, from), span)) = before
            && ts < span.end
        {
            return Found { from, until: span.end, symbol: Some(&span.symbol) };
        }
        let from = before.map_or(0, |(_, span)| span.end);
        let after = (Excluded((id, ts)), Included((id, u64::MAX)));
        let until = self.spans.range(after).next().map_or(u64::MAX, |(&(_, start), _)| start);
        Found { from, until, symbol: None }
    }

    /// From `start` to before `end`, the id means this symbol, whatever was said before. Each call
    /// leaves at most two intervals more, and takes away what it covers, so that n of them are
    /// O(n log n) in any order.
    fn insert(&mut self, id: u32, start: u64, end: u64, symbol: Arc<str>) -> Taken {
        let mut taken = Taken::default();
        let mut note = |old: &Span| {
            taken.touched += 1;
            if old.symbol != symbol {
                taken.overrode.get_or_insert_with(|| Arc::clone(&old.symbol));
            }
        };
        let mut rest = None;
        if let Some((_, old)) = self.spans.range_mut((id, 0)..(id, start)).next_back()
            && old.end > start
        {
            note(old);
            if old.end > end {
                rest = Some(old.clone());
            }
            old.end = start;
        }
        while let Some((&key, _)) = self.spans.range((id, start)..(id, end)).next() {
            let Some(old) = self.spans.remove(&key) else { break };
            note(&old);
            if old.end > end {
                rest = Some(old);
            }
        }
        if let Some(rest) = rest {
            self.spans.insert((id, end), rest);
        }
        self.spans.insert((id, start), Span { end, symbol });
        taken
    }

    /// The map of intervals stated all at once. Where those of one id overlap, the one with the
    /// later start holds, and of two with the same start the one listed later; a fault says so.
    ///
    /// # Errors
    /// `is_cancelled` said so.
    fn of_stated(
        mut stated: Vec<Stated>,
        faults: Faults,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, ConvertError> {
        let mut map = Self { faults, ..Self::default() };
        stated.sort_by_key(|stated| (stated.id, stated.start));
        for (n, Stated { id, start, end, symbol }) in stated.into_iter().enumerate() {
            poll(n, is_cancelled)?;
            let taken = map.insert(id, start, end, Arc::clone(&symbol));
            if let Some(other) = taken.overrode {
                map.faults.note(&symbol, Some(&other), || {
                    format!(
                        "its interval from {} overlaps one of `{}`, both for instrument id {id}; \
                         from there on `{}` was taken",
                        date(start),
                        other.escape_debug(),
                        symbol.escape_debug(),
                    )
                });
            }
        }
        Ok(map)
    }
}

/// Asks now and then whether to go on.
fn poll(n: usize, is_cancelled: &dyn Fn() -> bool) -> Result<(), ConvertError> {
    if n.is_multiple_of(POLL_INTERVALS) && is_cancelled() {
        return Err(ConvertError::Interrupted);
    }
    Ok(())
}

/// The date of an instant, as mappings are written.
fn date(ts: u64) -> Day {
    Day::of(ts, 0)
}

/// An id as text; the fault otherwise.
fn parse_id(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{}` is not an instrument id", text.escape_debug()))
}

/// Mappings that cannot be used, by symbol: each costs its own symbol and no other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    by_symbol: BTreeMap<Box<str>, Fault>,
    /// Faults of symbols beyond the listed ones.
    unlisted: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    what: String,
    other: Option<Arc<str>>,
    /// Faults of the symbol beyond the first.
    more: u64,
}

impl Faults {
    /// Notes a fault of a mapping of `symbol`; where it concerns another one too, of that as well.
    pub(crate) fn note(
        &mut self,
        symbol: &str,
        other: Option<&Arc<str>>,
        what: impl FnOnce() -> String,
    ) {
        if let Some(fault) = self.by_symbol.get_mut(symbol) {
            fault.more += 1;
        } else if self.by_symbol.len() < FAULTS_LISTED_MAX {
            let fault = Fault { what: what(), other: other.cloned(), more: 0 };
            self.by_symbol.insert(symbol.into(), fault);
        } else {
            self.unlisted += 1;
        }
    }

    /// Whether every mapping can be used.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_symbol.is_empty() && self.unlisted == 0
    }

    /// The faults in words, of the symbols that are wanted.
    pub(crate) fn lines(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        for (symbol, Fault { what, other, more }) in &self.by_symbol {
            if !is_wanted(symbol) && !other.as_deref().is_some_and(&is_wanted) {
                continue;
            }
            let more = match more {
                0 => String::new(),
                n => format!(" (and {n} more of this symbol)"),
            };
            lines.push(format!("mapping of `{}`: {what}{more}", symbol.escape_debug()));
        }
        if self.unlisted > 0 {
            lines.push(format!("{} more faults in mappings of other symbols", self.unlisted));
        }
        lines
    }
}

#[cfg(test)]
mod tests;
