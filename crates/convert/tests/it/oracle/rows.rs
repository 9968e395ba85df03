//! From the records of a file to the rows it should become.

use std::{collections::BTreeMap, path::Path};

use dbn::{
    MboMsg, Mbp10Msg, Metadata, RecordHeader, SymbolMappingMsg, UNDEF_PRICE, UNDEF_TIMESTAMP,
    decode::{DbnMetadata, DecodeRecordRef, DynDecoder},
};
use lob_convert::ConvertConfig;

use super::book::{Book, Levels, NO_LEVELS};
use crate::made::DAY_NS;

/// An instrument on a day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Who {
    pub(crate) publisher_id: u16,
    pub(crate) instrument_id: u32,
    pub(crate) symbol: String,
    /// Days since 1970-01-01, as text like `2024-04-01` of the folder.
    pub(crate) day: String,
}

/// One row of a file of ticks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) ts_recv: Option<u64>,
    pub(crate) ts_event: Option<u64>,
    pub(crate) action: char,
    pub(crate) side: char,
    pub(crate) depth: u8,
    pub(crate) price: i64,
    pub(crate) size: u32,
    pub(crate) flags: u8,
    pub(crate) ts_in_delta: i32,
    pub(crate) sequence: u32,
    pub(crate) levels: Levels,
    /// (after - before) / before, over the label's windows of mids in the segment.
    pub(crate) movement: Option<f64>,
}

/// What a file should become.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) files: BTreeMap<Who, Vec<Row>>,
    /// Updates that are part of a snapshot.
    pub(crate) in_snapshots: u64,
    /// Updates without a sound time.
    pub(crate) untimed: u64,
    /// Segments with a row.
    pub(crate) segments: u64,
}

/// One instrument while the file is read.
#[derive(Debug, Default)]
struct State {
    book: Book,
    levels: Option<Levels>,
    /// Between a clear without the flag `SNAPSHOT` and the next `LAST`.
    after_clear: bool,
    /// Time and day of the last row; `None` where a segment begins.
    last: Option<(u64, u64)>,
    /// Twice the mids of the open segment, and where its rows are.
    mids: Vec<Option<i64>>,
    open_day: u64,
}

pub(crate) fn expected(path: &Path, config: &ConvertConfig) -> Expected {
    let mut decoder = DynDecoder::from_file(path, dbn::VersionUpgradePolicy::default()).unwrap();
    let mut symbols = Symbols::of(decoder.metadata());
    let mut expected = Expected::default();
    let mut states: BTreeMap<(u16, u32, String), State> = BTreeMap::new();
    while let Some(record) = decoder.decode_record_ref().unwrap() {
        if let Some(mapping) = record.get::<SymbolMappingMsg>() {
            symbols.on_mapping(mapping);
        }
        let (update, order) = if let Some(order) = record.get::<MboMsg>() {
            (shown(order), Some(order.clone()))
        } else if let Some(update) = record.get::<Mbp10Msg>() {
            (update.clone(), None)
        } else {
            continue;
        };
        let (publisher_id, instrument_id) = (update.hd.publisher_id, update.hd.instrument_id);
        let symbol = symbols.of_record(&update);
        let who = (publisher_id, instrument_id, symbol);
        let state = states.entry(who.clone()).or_default();
        if let Some(row) = take(state, update, order.as_ref(), &mut expected) {
            push(state, &who, row, config, &mut expected);
        }
    }
    for (who, state) in &mut states {
        finish(state, who, config, &mut expected);
    }
    expected
}

/// An order as the update it may cause.
fn shown(order: &MboMsg) -> Mbp10Msg {
    Mbp10Msg {
        hd: RecordHeader::new::<Mbp10Msg>(
            10,
            order.hd.publisher_id,
            order.hd.instrument_id,
            order.hd.ts_event,
        ),
        price: order.price,
        size: order.size,
        action: order.action,
        side: order.side,
        flags: order.flags,
        depth: 0,
        ts_recv: order.ts_recv,
        ts_in_delta: order.ts_in_delta,
        sequence: order.sequence,
        ..Mbp10Msg::default()
    }
}

/// The record with the levels behind it, if it is an update that becomes a row.
fn take(
    state: &mut State,
    update: Mbp10Msg,
    order: Option<&MboMsg>,
    expected: &mut Expected,
) -> Option<(Mbp10Msg, Levels)> {
    let action = update.action.cast_unsigned();
    let is_last = update.flags.is_last();
    let is_flagged = update.flags.is_snapshot();
    let is_snapshot = match action {
        b'R' => is_flagged || !is_last,
        b'A' => is_flagged || state.after_clear,
        _ => is_flagged,
    };
    // Where the flag is set, it alone tells; an update that ends the event may not be there.
    state.after_clear = is_snapshot && !is_last && !is_flagged;
    if action == b'R' || is_snapshot {
        state.end();
    }
    let (mut update, mut levels) = (update, NO_LEVELS);
    if let Some(order) = order {
        let before = state.levels.unwrap_or(NO_LEVELS);
        state.book.apply(order);
        levels = state.book.levels();
        state.levels = Some(levels);
        let changed =
            (0..10).find(|i| (before[0][*i], before[1][*i]) != (levels[0][*i], levels[1][*i]));
        match action {
            b'R' => {}
            b'T' if update.size > 0 => {}
            b'A' | b'C' | b'M' => update.depth = changed? as u8,
            _ => return None,
        }
    } else {
        for (i, pair) in update.levels.iter().enumerate() {
            levels[0][i] = (pair.bid_px, pair.bid_sz, pair.bid_ct);
            levels[1][i] = (pair.ask_px, pair.ask_sz, pair.ask_ct);
        }
    }
    if is_snapshot {
        expected.in_snapshots += 1;
        return None;
    }
    Some((update, levels))
}

impl State {
    /// The next row begins a segment.
    fn end(&mut self) {
        self.last = None;
    }
}

fn push(
    state: &mut State,
    who: &(u16, u32, String),
    (update, levels): (Mbp10Msg, Levels),
    config: &ConvertConfig,
    expected: &mut Expected,
) {
    let Some(ts) = order_time(&update) else {
        expected.untimed += 1;
        return;
    };
    let day = day_number(ts, config.day_start_ns);
    let goes_on = state.last.is_some_and(|(last, last_day)| {
        ts.saturating_sub(last) <= config.gap_ns && day == last_day
    });
    if !goes_on {
        finish(state, who, config, expected);
        expected.segments += 1;
    }
    state.last = Some((ts, day));
    let (bid, ask) = (levels[0][0].0, levels[1][0].0);
    state.mids.push((bid != UNDEF_PRICE && ask != UNDEF_PRICE).then(|| bid + ask));
    // No column holds a time beyond the year 2262.
    let time = |ts: u64| (ts <= i64::MAX as u64).then_some(ts);
    let row = Row {
        ts_recv: time(update.ts_recv),
        ts_event: time(update.hd.ts_event),
        action: char::from(update.action.cast_unsigned()),
        side: char::from(update.side.cast_unsigned()),
        depth: update.depth,
        price: update.price,
        size: update.size,
        flags: update.flags.raw(),
        ts_in_delta: update.ts_in_delta,
        sequence: update.sequence,
        levels,
        movement: None,
    };
    expected.files.entry(key(who, day)).or_default().push(row);
    state.open_day = day;
}

/// Gives the rows of the open segment their movements.
fn finish(
    state: &mut State,
    who: &(u16, u32, String),
    config: &ConvertConfig,
    expected: &mut Expected,
) {
    let mids = std::mem::take(&mut state.mids);
    let (back, ahead) = (config.label.lookback as usize, config.label.lookforward as usize);
    let offset = config.label.offset as usize;
    let Some(rows) = expected.files.get_mut(&key(who, state.open_day)) else { return };
    let first = rows.len() - mids.len();
    let mean = |mids: &[Option<i64>]| {
        let known: Vec<i64> = mids.iter().flatten().copied().collect();
        let sum: i128 = known.iter().map(|mid| i128::from(*mid)).sum();
        (!known.is_empty()).then_some((sum, known.len() as i128))
    };
    for at in back..mids.len().saturating_sub(ahead + offset) {
        let before = mean(&mids[at - back..at]);
        let after = mean(&mids[at + 1 + offset..at + 1 + offset + ahead]);
        if let (Some((before, n_before)), Some((after, n_after))) = (before, after)
            && before != 0
        {
            let change = after * n_before - before * n_after;
            rows[first + at].movement = Some(change as f64 / (before * n_after).abs() as f64);
        }
    }
}

fn key((publisher_id, instrument_id, symbol): &(u16, u32, String), day: u64) -> Who {
    let date = time::OffsetDateTime::UNIX_EPOCH + time::Duration::days(day as i64);
    Who {
        publisher_id: *publisher_id,
        instrument_id: *instrument_id,
        symbol: symbol.clone(),
        day: date.date().to_string(),
    }
}

fn day_number(ts: u64, start_ns: i64) -> u64 {
    ts.checked_add_signed(-start_ns).unwrap() / DAY_NS
}

/// Whether a clock can have said this: from 1980 to 2200.
fn is_sound(ts: u64) -> bool {
    const YEAR_NS: u64 = 365 * DAY_NS;
    (10 * YEAR_NS..230 * YEAR_NS).contains(&ts)
}

/// What orders a record.
fn order_time(update: &Mbp10Msg) -> Option<u64> {
    let (recv, event) = (update.ts_recv, update.hd.ts_event);
    if is_sound(recv) && !update.flags.is_bad_ts_recv() {
        Some(recv)
    } else {
        is_sound(event).then_some(event)
    }
}

/// What ids mean.
#[derive(Debug, Default)]
struct Symbols {
    /// First and last day (excluded), as times, and symbol, by id.
    by_day: BTreeMap<u32, Vec<(u64, u64, String)>>,
    /// Of live mappings: from the record on.
    live: BTreeMap<u32, String>,
    /// What the last record of a publisher and id was.
    last: BTreeMap<(u16, u32), String>,
}

impl Symbols {
    fn of(metadata: &Metadata) -> Self {
        let mut symbols = Self::default();
        for mapping in &metadata.mappings {
            for interval in &mapping.intervals {
                let Ok(id) = interval.symbol.parse() else { continue };
                let midnight = |date: time::Date| {
                    u64::try_from(date.midnight().assume_utc().unix_timestamp_nanos()).unwrap()
                };
                let (from, to) = (midnight(interval.start_date), midnight(interval.end_date));
                let intervals = symbols.by_day.entry(id).or_default();
                intervals.push((from, to, mapping.raw_symbol.clone()));
            }
        }
        symbols
    }

    fn on_mapping(&mut self, mapping: &SymbolMappingMsg) {
        let symbol = mapping.stype_out_symbol().unwrap().to_owned();
        let id = mapping.hd.instrument_id;
        if (mapping.start_ts, mapping.end_ts) == (UNDEF_TIMESTAMP, UNDEF_TIMESTAMP) {
            self.live.insert(id, symbol);
        } else {
            let interval = (mapping.start_ts, mapping.end_ts, symbol);
            self.by_day.entry(id).or_default().push(interval);
        }
    }

    /// By the capture time, as snapshots carry the times of their orders. A record without any
    /// sound time belongs where its id was last.
    fn of_record(&mut self, update: &Mbp10Msg) -> String {
        let id = update.hd.instrument_id;
        if let Some(symbol) = self.live.get(&id) {
            return symbol.clone();
        }
        let is_flagged = update.flags.is_bad_ts_recv() && !update.flags.is_snapshot();
        let (recv, event) = (update.ts_recv, update.hd.ts_event);
        let ts = if is_sound(recv) && !is_flagged { recv } else { event };
        let key = (update.hd.publisher_id, id);
        if !is_sound(ts)
            && let Some(last) = self.last.get(&key)
        {
            return last.clone();
        }
        let mut intervals = self.by_day.get(&id).into_iter().flatten();
        let found = intervals.find(|(from, to, _)| (*from..*to).contains(&ts));
        let symbol = found.map_or_else(|| id.to_string(), |(_, _, symbol)| symbol.clone());
        self.last.insert(key, symbol.clone());
        symbol
    }
}
