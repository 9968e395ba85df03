//! The layout of ticks: rows go into encoded row groups, which wait for their labels in the spool.

mod encoding;
mod rows;

use std::{collections::VecDeque, path::Path};

use dbn::Mbp10Msg;
use lob_depth::{DepthError, LEVELS, Levels, MovementStream};
use lob_store::{TickMeta, TickRow, TickWriter};

use super::{
    segment::Segment,
    spool::{Block, Spool},
    touch::Touch,
    track::{Part, part_of},
    write::{Edges, InputMeta, count_class},
};
use crate::{
    ConvertConfig, ConvertError, Instrument, OutputSummary, clock::event_near, levels::Mbp10Levels,
};

use encoding::Ticket;
pub(super) use {encoding::Encoding, rows::LogPool};

use rows::Rows;

/// Rows of an instrument and day that make a row group: about 8 MiB before encoding.
const GROUP_ROWS: usize = 1 << 17;
/// Rows that make one where memory is short. What a footer says about a row group takes memory
/// until the end, and smaller ones would take more of it than their rows.
const GROUP_ROWS_MIN: usize = GROUP_ROWS / 8;
/// Bytes of the rows of all instruments together that may wait to be encoded.
const HELD_BYTES_MAX: usize = 48 << 20;
/// Movements of an instrument that its classes are fitted on, at most.
const FIT_MAX: usize = 1 << 18;
/// The same of all instruments together: 32 MiB.
pub(super) const FIT_ALL_MAX: usize = 1 << 22;

/// The rows of one instrument on one day.
#[derive(Debug, Default)]
pub(super) struct TickPart {
    rows: Rows,
    groups: Vec<Ticket>,
    /// Movement of each row, in order, not a number where it has none; the ones in the spool
    /// first.
    spooled: Vec<Block>,
    movements: Vec<f64>,
    symbol: String,
    ts_event_range: Option<(u64, u64)>,
}

/// An instrument whose updates become rows.
#[derive(Debug)]
pub(super) struct Ticking {
    movements: MovementStream,
    open: Segment,
    /// Position of the open part.
    part: usize,
    fit: Fit,
    pub(super) touch: Touch,
    /// Updates whose event time is far from their own.
    pub(super) odd_events: u64,
}

/// Every `stride`th movement of an instrument: all of them up to [`FIT_MAX`], and an even
/// selection beyond, so that memory stays bounded.
#[derive(Debug)]
struct Fit {
    movements: Vec<f64>,
    stride: u64,
    n: u64,
}

impl Fit {
    /// Keeps every other one.
    fn thin(&mut self) {
        let mut is_kept = false;
        self.movements.retain(|_| {
            is_kept = !is_kept;
            is_kept
        });
        self.movements.shrink_to_fit();
        self.stride *= 2;
    }

    #[inline]
    fn push(&mut self, movement: f64) {
        if self.n.is_multiple_of(self.stride) {
            if self.movements.len() == FIT_MAX {
                self.thin();
            }
            if self.n.is_multiple_of(self.stride) {
                self.movements.push(movement);
            }
        }
        self.n += 1;
    }
}

impl Ticking {
    pub(super) fn new(config: &ConvertConfig) -> Result<Self, DepthError> {
        Ok(Self {
            movements: MovementStream::new(config.label)?,
            part: 0,
            open: Segment::default(),
            fit: Fit { movements: Vec::new(), stride: 1, n: 0 },
            touch: Touch::default(),
            odd_events: 0,
        })
    }

    #[inline]
    pub(super) fn push(
        &mut self,
        record: &Mbp10Msg,
        ts: u64,
        config: &ConvertConfig,
        parts: &mut Vec<Part>,
    ) -> Result<(), DepthError> {
        if record.flags.is_snapshot() {
            // The book is put together: a state without a history, and no event.
            self.end_segment(parts);
            return Ok(());
        }
        if let Some(day) = self.open.advance(record, ts, config) {
            self.end_segment(parts);
            self.part = part_of(day, parts);
            self.open.begin(day);
            self.movements = MovementStream::new(config.label)?;
        }
        self.touch.take(record.levels[0].bid_px, record.levels[0].ask_px);
        let mid = self.touch.twice_mid();
        let part = &mut parts[self.part];
        part.updates += 1;
        part.ticks.rows.push(&tick_row(record));
        let ts_event = event_near(record.hd.ts_event, ts);
        self.odd_events += u64::from(ts_event != record.hd.ts_event);
        let (first, last) = part.ticks.ts_event_range.unwrap_or((ts_event, ts_event));
        part.ticks.ts_event_range = Some((first.min(ts_event), last.max(ts_event)));
        if let Some(movement) = self.movements.push(mid) {
            part.ticks.movements.push(movement.value.unwrap_or(f64::NAN));
            if let Some(value) = movement.value {
                self.fit.push(value);
            }
        }
        Ok(())
    }

    /// The rows that wait for a movement get none: nothing after the segment may complete them.
    pub(super) fn end_segment(&mut self, parts: &mut [Part]) {
        if self.open.is_open() {
            let pending = (0..self.movements.n_pending()).map(|_| f64::NAN);
            parts[self.part].ticks.movements.extend(pending);
            self.open.end();
        }
    }

    pub(super) fn edges(
        &self,
        config: &ConvertConfig,
        of: (&str, &Instrument),
    ) -> Result<Edges, DepthError> {
        Edges::fit(&self.fit.movements, self.fit.stride, config, of)
    }

    /// Movements kept for the fit.
    pub(super) fn n_fit(&self) -> usize {
        self.fit.movements.len()
    }

    /// Halves them.
    pub(super) fn thin_fit(&mut self) {
        self.fit.thin();
    }
}

#[inline]
fn tick_row(record: &Mbp10Msg) -> TickRow {
    let book = Mbp10Levels(record);
    // Past the year 2262 no column can hold them.
    let time = |ts: u64| if ts > i64::MAX.cast_unsigned() { u64::MAX } else { ts };
    TickRow {
        ts_recv: time(record.ts_recv),
        ts_event: time(record.hd.ts_event),
        rtype: record.hd.rtype,
        publisher_id: record.hd.publisher_id,
        action: record.action.cast_unsigned(),
        side: record.side.cast_unsigned(),
        depth: record.depth,
        price: record.price,
        size: record.size,
        flags: record.flags.raw(),
        ts_in_delta: record.ts_in_delta,
        sequence: record.sequence,
        levels: std::array::from_fn::<_, LEVELS, _>(|i| book.level(i)),
    }
}

impl TickPart {
    /// Bytes of the rows in memory.
    pub(super) fn held_bytes(&self) -> usize {
        self.rows.held_bytes()
    }

    /// Whether something should be done about the rows, where those of `n_parts` parts take `all`
    /// bytes of memory together.
    pub(super) fn is_due(&self, all: usize, n_parts: usize) -> bool {
        let held = self.held_bytes();
        // Beyond the limit the larger half goes, so that row groups stay as large as they can.
        self.rows.n() >= GROUP_ROWS || (all > HELD_BYTES_MAX && held * n_parts >= all && held > 0)
    }

    /// Relieves memory of the rows held: a row group of them is encoded, or if they are too few for
    /// one, they go to the spool as they are. With `all`, what is left is a row group whatever its
    /// size.
    pub(super) fn flush(
        &mut self,
        encoding: &mut Encoding,
        symbol: impl FnOnce() -> String,
        spool: &mut Spool,
        all: bool,
    ) -> Result<(), ConvertError> {
        if self.symbol.is_empty() {
            self.symbol = symbol();
        }
        if self.rows.n() >= if all { 1 } else { GROUP_ROWS_MIN } {
            let rows = self.rows.take(spool)?;
            self.groups.push(encoding.give(rows, &self.symbol, spool)?);
        } else if self.held_bytes() > 0 {
            self.rows.spill(spool)?;
        }
        let movements = std::mem::take(&mut self.movements);
        if !movements.is_empty() {
            let bytes: Vec<u8> = movements.into_iter().flat_map(f64::to_le_bytes).collect();
            self.spooled.push(spool.put(&bytes)?);
        }
        Ok(())
    }
}

/// Writes the file of one instrument and day below `folder`; the summary's path is relative to it.
/// All rows have been flushed.
pub(super) fn write_ticks(
    folder: &Path,
    input: &InputMeta,
    config: &ConvertConfig,
    instrument: &Instrument,
    part: Part,
    edges: &Edges,
    (encoding, spool): (&mut Encoding, &mut Spool),
) -> Result<OutputSummary, ConvertError> {
    let _scope = lob_scope::scope("write");
    let day = part.day.to_string();
    let ticks = part.ticks;
    let relative = input.file_path("ticks", &day, instrument);
    let mut writer =
        TickWriter::create_staged(spool.fs(), folder.join(&relative), config.tick_writer)?;
    let mut class_counts = edges.counters(config);
    let mut blocks = ticks.spooled.into_iter();
    let mut movements = VecDeque::new();
    for ticket in ticks.groups {
        let (group, block) = encoding.take(ticket, spool)?;
        while movements.len() < group.rows() {
            let Some(block) = blocks.next() else { break };
            let bytes = spool.get(block)?;
            let (numbers, _) = bytes.as_chunks();
            movements.extend(numbers.iter().map(|number| f64::from_le_bytes(*number)));
        }
        let known = group.rows().min(movements.len());
        let labels: Vec<_> = movements
            .drain(..known)
            .map(|movement| {
                let label = edges.class(movement);
                count_class(&mut class_counts, label);
                let movement = movement.is_finite().then(|| edges.shortened(movement, label));
                (movement, label)
            })
            .collect();
        let bytes = spool.get(block)?;
        writer.push(group, bytes.into(), &labels)?;
    }
    let file = writer.finish(TickMeta {
        dataset: input.dataset.clone(),
        source_schema: input.schema.to_owned(),
        publisher_id: instrument.publisher_id,
        instrument_id: instrument.instrument_id,
        symbol: ticks.symbol.clone(),
        day: day.clone(),
        label: edges.meta(config),
        class_counts: class_counts.clone(),
        sources: vec![input.source.clone()],
        ts_event_range: ticks.ts_event_range,
        skipped: input.skipped.clone(),
        ..TickMeta::default()
    })?;
    Ok(OutputSummary {
        path: relative,
        instrument_id: instrument.instrument_id,
        symbol: ticks.symbol,
        day,
        price_step: 1,
        price_step_from: None,
        rows: file.rows,
        samples: class_counts.iter().sum(),
        bytes: file.bytes,
        sha256: file.sha256,
        edges: edges.id(),
        class_counts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selection_stays_even_and_bounded() {
        let n_all = 3 * u32::try_from(FIT_MAX).expect("small");
        let mut fit = Fit { movements: Vec::new(), stride: 1, n: 0 };
        for n in 0..n_all {
            fit.push(f64::from(n));
        }
        assert_eq!(fit.stride, 4);
        assert!(fit.movements.len() <= FIT_MAX);
        let expected: Vec<_> = (0..n_all).step_by(4).map(f64::from).collect();
        assert_eq!(fit.movements, expected);
    }
}
