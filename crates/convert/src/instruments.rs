//! Which instrument a record belongs to.

use std::{fmt, sync::Arc};

use dbn::{FlagSet, UNDEF_TIMESTAMP};
use rustc_hash::FxHashMap;

use crate::{
    increments::Increments,
    symbols::{BadMapping, Found, SymbolMap},
};

/// An instrument of a file: what an id of a publisher means as long as its symbol stays the same.
/// An id that gets another symbol is another instrument from that record on; the same symbol under
/// another id, as after a roll, is another one too.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instrument {
    /// Publisher of its records: the same id of two publishers means two books.
    pub publisher_id: u16,
    /// Its id.
    pub instrument_id: u32,
    /// Its symbol; `None` where the file maps none.
    pub symbol: Option<Arc<str>>,
    /// How many instruments of the same publisher and id were seen before it.
    pub nth: u32,
    /// Stretches of records so far: one more each time its id comes back to it.
    stretches: u32,
}

impl Instrument {
    /// The symbol, or the id as text where there is none.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.symbol {
            Some(symbol) => symbol.as_ref().to_owned(),
            None => self.instrument_id.to_string(),
        }
    }

    /// Whether a user means it by this symbol, instrument id, or both as `SYMBOL@ID`: where ids are
    /// dealt anew, a symbol may have had two ids and each id two symbols.
    #[must_use]
    pub fn answers_to(&self, name: &str) -> bool {
        let is_symbol = |name| self.symbol.as_deref() == Some(name);
        let is_id = |name: &str| name.parse() == Ok(self.instrument_id);
        is_symbol(name)
            || is_id(name)
            || name.rsplit_once('@').is_some_and(|(symbol, id)| is_symbol(symbol) && is_id(id))
    }

    /// Whether a name, as [`answers_to`](Self::answers_to) takes it, may mean an instrument of this
    /// symbol whose id is not known.
    #[must_use]
    pub fn may_be_named(symbol: &str, name: &str) -> bool {
        let is_id = |name: &str| name.parse::<u32>().is_ok();
        name == symbol
            || is_id(name)
            || name.rsplit_once('@').is_some_and(|(part, id)| part == symbol && is_id(id))
    }
}

impl fmt::Display for Instrument {
    /// Symbol in backticks and id, for sentences.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.symbol {
            Some(symbol) => write!(f, "`{}` (id {})", symbol.escape_debug(), self.instrument_id),
            None => write!(f, "`{}`", self.instrument_id),
        }
    }
}

/// The instrument of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Position in the order of first appearance, from 0.
    pub index: u32,
    /// Number of the stretch, from 1: the id meant something else before each but the first.
    pub stretch: u32,
}

/// What an input and the files beside it say about its instruments, and those seen so far: the one
/// place that decides which symbol an id has at an instant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Instruments {
    /// Of the header and of mapping records in the stream.
    pub(crate) symbols: SymbolMap,
    /// Of the batch folder: asked where the file itself says nothing.
    pub(crate) batch: Option<Arc<SymbolMap>>,
    /// Of definition records in the stream.
    pub(crate) increments: Increments,
    seen: Vec<Instrument>,
    index: FxHashMap<(u16, u32, Option<Arc<str>>), u32>,
    current: FxHashMap<(u16, u32), Current>,
    /// That of the last record: instruments come in runs.
    last: Option<Current>,
    /// Raised by every mapping record: what was found before it is looked up again.
    generation: u32,
    /// Whether the last record's id means another symbol than it did before.
    has_new_meaning: bool,
}

/// What an id of a publisher means at the moment, and for how long.
#[derive(Debug, Clone, Copy)]
struct Current {
    publisher_id: u16,
    instrument_id: u32,
    at: At,
    /// Nothing is said otherwise from here, for so many nanoseconds; 0 if only this once.
    from: u64,
    length: u64,
    generation: u32,
    /// Position of the last instrument of the id that has a symbol, and how many were seen.
    named: Option<u32>,
    n_seen: u32,
}

/// The time that tells what an id means, and the other one, if there are any: the capture time, as
/// by the vendor's daily files. Exchange times may lie days back, in snapshots; they count where
/// the capture time is missing or said to be wrong, and where no mapping covers it.
#[inline]
fn instants(ts_recv: u64, ts_event: u64, flags: FlagSet) -> (u64, u64) {
    let is_doubtful = flags.is_bad_ts_recv() && !flags.is_snapshot();
    if ts_recv == UNDEF_TIMESTAMP || ts_recv == 0 || (is_doubtful && ts_event != UNDEF_TIMESTAMP) {
        return (ts_event, ts_recv);
    }
    (ts_recv, ts_event)
}

impl Instruments {
    /// Those of a file that states these symbols.
    pub(crate) fn new(symbols: SymbolMap, batch: Option<Arc<SymbolMap>>) -> Self {
        Self { symbols, batch, ..Self::default() }
    }

    /// The symbol of an instrument at a time, by all that was read so far.
    pub(crate) fn symbol(&self, ts: u64, instrument_id: u32) -> Option<&str> {
        self.find(instrument_id, ts).symbol.map(|symbol| &**symbol)
    }

    /// What the file says, or where it says nothing, its batch folder.
    fn find(&self, id: u32, ts: u64) -> Found<'_> {
        let own = self.symbols.find(id, ts);
        match &self.batch {
            Some(batch) if own.symbol.is_none() => {
                let found = batch.find(id, ts);
                let (from, until) = (found.from.max(own.from), found.until.min(own.until));
                Found { from, until, symbol: found.symbol }
            }
            _ => own,
        }
    }

    /// Those seen so far, in order of first appearance.
    pub(crate) fn seen(&self) -> &[Instrument] {
        &self.seen
    }

    /// Takes in a mapping record of a file of this DBN version; others are passed over.
    ///
    /// # Errors
    /// It cannot be used; what was known before stays.
    pub(crate) fn on_mapping(&mut self, record: &[u8], version: u8) -> Result<(), BadMapping> {
        if self.symbols.on_record(record, version)? {
            self.generation = self.generation.wrapping_add(1);
            self.last = None;
        }
        Ok(())
    }

    /// The instrument of a book record of this publisher and id.
    #[inline]
    pub(crate) fn locate(
        &mut self,
        key: (u16, u32),
        ts_event: u64,
        ts_recv: u64,
        flags: FlagSet,
    ) -> At {
        let (ts, other) = instants(ts_recv, ts_event, flags);
        if let Some(last) = &self.last
            && (last.publisher_id, last.instrument_id) == key
            && ts.wrapping_sub(last.from) < last.length
        {
            return last.at;
        }
        self.look_up(key, ts, other)
    }

    /// Whether the record just located was the first since its id had another symbol: nothing of
    /// the book before it belongs to it. True once.
    #[inline]
    pub(crate) fn take_new_meaning(&mut self) -> bool {
        std::mem::take(&mut self.has_new_meaning)
    }

    fn look_up(&mut self, key: (u16, u32), ts: u64, other: u64) -> At {
        let known = self.current.get(&key).copied();
        // A record of no time at all belongs where its id was last.
        let ts = match known {
            Some(known) if ts == UNDEF_TIMESTAMP => known.from,
            _ => ts,
        };
        let current = match known {
            Some(known)
                if known.generation == self.generation
                    && ts.wrapping_sub(known.from) < known.length =>
            {
                known
            }
            _ => {
                let current = self.resolve(key, ts, other, known);
                self.current.insert(key, current);
                current
            }
        };
        self.last = Some(current);
        current.at
    }

    /// Decides what the id means at this time.
    #[cold]
    fn resolve(
        &mut self,
        (publisher_id, instrument_id): (u16, u32),
        ts: u64,
        other: u64,
        before: Option<Current>,
    ) -> Current {
        let found = self.find(instrument_id, ts);
        let (mut from, mut length) = (found.from, found.until - found.from);
        let mut symbol = found.symbol.cloned();
        if symbol.is_none() && !(found.from == 0 && found.until == u64::MAX) {
            // No mapping covers this time; the record's other time may tell, for it alone.
            symbol = self.find(instrument_id, other).symbol.cloned();
            (from, length) = (if symbol.is_some() { other } else { ts }, 0);
        }
        let mut n_seen = before.map_or(0, |before| before.n_seen);
        let is_named = symbol.is_some();
        let key = (publisher_id, instrument_id, symbol);
        let index = match self.index.get(&key) {
            Some(index) => *index,
            None => {
                let index = u32::try_from(self.seen.len()).unwrap_or(u32::MAX);
                self.seen.push(Instrument {
                    publisher_id,
                    instrument_id,
                    symbol: key.2.clone(),
                    nth: n_seen,
                    stretches: 0,
                });
                n_seen += 1;
                self.index.insert(key, index);
                index
            }
        };
        let instrument = &mut self.seen[index as usize];
        if before.is_none_or(|before| before.at.index != index) {
            instrument.stretches += 1;
        }
        let mut named = before.and_then(|before| before.named);
        if is_named {
            self.has_new_meaning |= named.is_some_and(|named| named != index);
            named = Some(index);
        }
        let at = At { index, stretch: instrument.stretches };
        let generation = self.generation;
        Current { publisher_id, instrument_id, at, from, length, generation, named, n_seen }
    }
}

#[cfg(test)]
mod tests;
