//! Record after record, over damaged ones where a sound one can be found behind them.

use std::collections::HashMap;

use dbn::{
    Action, FlagSet, HasRType, MboMsg, OhlcvMsg, RecordHeader, UNDEF_PRICE, UNDEF_TIMESTAMP, rtype,
};
use lob_book::Replayer;

use super::{Defect, DefectKind, InstrumentCount, OffsetIn, VerifyReport, window::Window};
use crate::decode::{BookSchema, Header, RecordKind, RecordLengths, Source, bar_fault, rtype_name};
use crate::instruments::{At, Instruments};
use crate::{Clock, ConvertError, Progress, event_near};

/// Length byte, type byte, publisher, instrument, exchange time.
pub(super) const HEADER_BYTES: usize = 16;

/// What was seen last, to tell what goes backwards.
#[derive(Default)]
struct Seen {
    ts_recv: u64,
    /// In the order in which `Scan::instruments` numbers them.
    instruments: Vec<Counts>,
    sequence: HashMap<u16, u32>,
}

/// The records of one instrument.
#[derive(Default)]
struct Counts {
    records: u64,
    /// Latest exchange time, to tell what goes backwards.
    ts_event: u64,
    ts_event_range: Option<(u64, u64)>,
}

pub(super) struct Scan<'a> {
    pub(super) report: &'a mut VerifyReport,
    /// A damaged place behind which no sound record was found yet, and the bytes passed over.
    pub(super) lost: Option<(Defect, u64)>,
    /// Bytes to pass over before the next record.
    pub(super) ahead: u64,
    pub(super) schema: Option<BookSchema>,
    /// Whether the header names the schema, so that others do not belong.
    is_pure: bool,
    pub(super) lengths: RecordLengths,
    version: u8,
    instruments: Instruments,
    replayer: Replayer,
    clock: Clock,
    seen: Seen,
}

/// Checks all records behind the header.
pub(super) fn scan_records(
    source: &mut Source,
    header: &Header,
    schema: Option<BookSchema>,
    instruments: Instruments,
    report: &mut VerifyReport,
    progress: &dyn Progress,
) -> Result<(), ConvertError> {
    let mut window = Window::new(source, header.bytes);
    let mut scan = Scan {
        report,
        lost: None,
        ahead: 0,
        schema,
        is_pure: schema.is_some(),
        lengths: RecordLengths::of(&header.metadata),
        version: header.metadata.version,
        instruments,
        replayer: Replayer::new(),
        clock: Clock::new(&header.metadata),
        seen: Seen::default(),
    };
    loop {
        let offset = window.offset;
        let (bytes, is_all) = window.fill(progress)?;
        if bytes.is_empty() {
            break;
        }
        let step = scan.step(bytes, is_all, offset);
        window.skip(step);
    }
    scan.settle(None);
    scan.count_replay();
    scan.report.oddities.untimed = scan.clock.n_unplaced();
    scan.report.instruments = scan.counts();
    if let Some(Err(error)) = window.end {
        let at = window.source.file_bytes();
        let is_cut = error.kind() == std::io::ErrorKind::UnexpectedEof;
        let kind = if is_cut { DefectKind::FrameTruncated } else { DefectKind::FrameDamaged };
        let records = scan.report.records;
        // The walk over the frames has said where a cut frame starts.
        if !report_has(scan.report, kind) {
            scan.report.add(Defect {
                kind,
                byte_offset: at,
                offset_in: OffsetIn::File,
                record_index: Some(records),
                message: format!("cannot be decompressed near here: {error}"),
                fatal: true,
            });
        } else if let Some(defect) = scan.report.defects.iter_mut().find(|d| d.kind == kind) {
            defect.record_index = Some(records);
        }
    }
    Ok(())
}

fn report_has(report: &VerifyReport, kind: DefectKind) -> bool {
    report.defects.iter().any(|defect| defect.kind == kind)
}

impl Scan<'_> {
    /// The instruments seen, by publisher, id, and order of appearance.
    fn counts(&self) -> Vec<InstrumentCount> {
        let pairs = self.instruments.seen().iter().zip(&self.seen.instruments);
        let mut counts: Vec<_> = pairs
            .filter(|(_, counts)| counts.records > 0)
            .map(|(instrument, counts)| InstrumentCount {
                publisher_id: instrument.publisher_id,
                instrument_id: instrument.instrument_id,
                symbol: instrument.symbol.as_deref().map(str::to_owned),
                records: counts.records,
                ts_event_range: counts.ts_event_range,
            })
            .collect();
        counts.sort_by_key(|count| (count.publisher_id, count.instrument_id));
        counts
    }

    /// Looks at what starts at `bytes[0]` and returns how far to move on. `is_all` says that nothing
    /// follows these bytes.
    fn step(&mut self, bytes: &[u8], is_all: bool, offset: u64) -> usize {
        if self.ahead > 0 {
            let skipped = bytes.len().min(usize::try_from(self.ahead).unwrap_or(usize::MAX));
            self.ahead -= skipped as u64;
            return skipped;
        }
        if self.lost.is_some() {
            return self.search(bytes, is_all, 0);
        }
        let length = usize::from(bytes[0]) * 4;
        if bytes.len() >= 4 && &bytes[..3] == b"DBN" {
            return self.second_file(bytes, offset);
        }
        if length < HEADER_BYTES && bytes.len() >= HEADER_BYTES {
            let found = format!("a length of {length} bytes, expected at least {HEADER_BYTES}");
            return self.damaged(DefectKind::RecordLength, found, bytes, offset);
        }
        if bytes.len() < length.max(HEADER_BYTES) {
            let whole = length.max(HEADER_BYTES);
            let message = format!("the data ends {} of {whole} bytes into a record", bytes.len());
            self.defect(DefectKind::RecordTruncated, offset, message);
            return bytes.len();
        }
        let rtype = bytes[1];
        let record = &bytes[..length];
        match (self.lengths.classify(rtype, length), self.schema) {
            (RecordKind::Mbp10, None | Some(BookSchema::Mbp10)) => self.mbp10(record),
            (RecordKind::Mbo, None | Some(BookSchema::Mbo)) => self.mbo(record, offset),
            (RecordKind::Other, _) => self.companion(rtype, record, offset),
            (RecordKind::Mbp10 | RecordKind::Mbo | RecordKind::Market, _) if !self.is_pure => {
                if let Some(found) = bar(record) {
                    let found = format!("rtype `{rtype:#04x}` with {found}");
                    return self.damaged(DefectKind::RecordField, found, bytes, offset);
                }
                self.skipped(rtype);
            }
            _ => {
                let expected = self.lengths.expected(rtype, self.schema);
                let found =
                    format!("rtype `{rtype:#04x}` with {length} bytes, expected {expected}");
                return self.damaged(self.kind_of(rtype, length), found, bytes, offset);
            }
        }
        length
    }

    /// What the replay met that the records alone do not show.
    fn count_replay(&mut self) {
        let met = self.replayer.stats();
        let odd = &mut self.report.oddities;
        odd.unknown_cancels = met.unknown_cancels;
        odd.unknown_modifies = met.unknown_modifies;
        odd.duplicate_adds = met.duplicate_adds;
        odd.oversized_cancels = met.oversized_cancels;
    }

    fn skipped(&mut self, rtype: u8) {
        self.report.records += 1;
        *self.report.skipped.entry(format!("rtype_{}", rtype_name(rtype))).or_default() += 1;
    }

    /// A record beside the books, which may tell about instruments.
    fn companion(&mut self, rtype: u8, record: &[u8], offset: u64) {
        if let Err(bad) = self.instruments.on_mapping(record, self.version) {
            self.report.add(Defect {
                kind: DefectKind::Mapping,
                byte_offset: offset,
                offset_in: OffsetIn::Decoded,
                record_index: Some(self.report.records),
                message: format!("mapping of `{}`: {}", bad.symbol.escape_debug(), bad.what),
                fatal: false,
            });
        }
        self.skipped(rtype);
    }

    fn mbp10(&mut self, record: &[u8]) {
        self.schema = Some(BookSchema::Mbp10);
        let (flags, ts_recv) = (FlagSet::new(record[30]), u64_at(record, 32));
        let at = self.instruments.locate(key_of(record), u64_at(record, 8), ts_recv, flags);
        self.common(record, at, flags, record[28], ts_recv, u32_at(record, 44));
        self.touch(i64_at(record, 48), i64_at(record, 56));
    }

    fn mbo(&mut self, record: &[u8], offset: u64) {
        self.schema = Some(BookSchema::Mbo);
        let msg = mbo_msg(record);
        let (publisher_id, instrument_id) = key_of(record);
        let at = self.instruments.locate(key_of(record), msg.hd.ts_event, msg.ts_recv, msg.flags);
        if self.instruments.take_new_meaning() {
            self.replayer.forget(publisher_id, instrument_id);
        }
        match self.replayer.push(&msg) {
            Err(error) => {
                self.defect(DefectKind::RecordField, offset, error.to_string());
                self.report.records += 1;
            }
            Ok(update) => {
                self.common(record, at, msg.flags, record[38], msg.ts_recv, msg.sequence);
                if let Some(update) = update {
                    self.touch(update.levels[0].bid_px, update.levels[0].ask_px);
                }
            }
        }
    }

    /// What both kinds of book records have.
    fn common(
        &mut self,
        record: &[u8],
        at: At,
        flags: FlagSet,
        action: u8,
        ts_recv: u64,
        sequence: u32,
    ) {
        self.report.records += 1;
        let odd = &mut self.report.oddities;
        odd.maybe_bad_book += u64::from(flags.is_maybe_bad_book());
        odd.bad_ts_recv += u64::from(flags.is_bad_ts_recv());
        odd.clears += u64::from(action == Action::Clear as u8);
        if ts_recv != UNDEF_TIMESTAMP {
            odd.ts_recv_backwards += u64::from(ts_recv < self.seen.ts_recv);
            self.seen.ts_recv = ts_recv;
        }
        let publisher = u16::from_le_bytes([record[2], record[3]]);
        let ts_event = u64_at(record, 8);
        let placed = self.clock.place_times(ts_recv, ts_event, flags);
        extend(&mut self.report.ts_range, placed);
        let at = at.index as usize;
        if self.seen.instruments.len() <= at {
            self.seen.instruments.resize_with(at + 1, Counts::default);
        }
        let seen = &mut self.seen.instruments[at];
        seen.records += 1;
        if ts_event != UNDEF_TIMESTAMP {
            odd.ts_event_backwards += u64::from(ts_event < seen.ts_event);
            seen.ts_event = ts_event;
        }
        extend(&mut seen.ts_event_range, placed.map(|ts| event_near(ts_event, ts)));
        let last = self.seen.sequence.entry(publisher).or_insert(sequence);
        odd.sequence_backwards += u64::from(sequence < *last);
        odd.sequence_gaps += u64::from(sequence > last.saturating_add(1));
        *last = sequence;
    }

    fn touch(&mut self, bid_px: i64, ask_px: i64) {
        self.report.updates += 1;
        let odd = &mut self.report.oddities;
        match (bid_px == UNDEF_PRICE, ask_px == UNDEF_PRICE) {
            (true, true) => odd.empty += 1,
            (false, false) => {
                odd.crossed += u64::from(bid_px > ask_px);
                odd.locked += u64::from(bid_px == ask_px);
            }
            _ => odd.one_sided += 1,
        }
    }
}

/// Takes a time that is known into a range.
fn extend(range: &mut Option<(u64, u64)>, ts: Option<u64>) {
    let Some(ts) = ts else { return };
    let (first, last) = range.unwrap_or((ts, ts));
    *range = Some((first.min(ts), last.max(ts)));
}

/// Publisher and instrument id of a record.
fn key_of(record: &[u8]) -> (u16, u32) {
    (u16::from_le_bytes([record[2], record[3]]), u32_at(record, 4))
}

/// An MBO record from its bytes; `record` has the record's length.
fn mbo_msg(record: &[u8]) -> MboMsg {
    let publisher_id = u16::from_le_bytes([record[2], record[3]]);
    let (instrument_id, ts_event) = (u32_at(record, 4), u64_at(record, 8));
    MboMsg {
        hd: RecordHeader::new::<MboMsg>(rtype::MBO, publisher_id, instrument_id, ts_event),
        order_id: u64_at(record, 16),
        price: i64_at(record, 24),
        size: u32_at(record, 32),
        flags: FlagSet::new(record[36]),
        channel_id: record[37],
        action: record[38].cast_signed(),
        side: record[39].cast_signed(),
        ts_recv: u64_at(record, 40),
        ts_in_delta: u32_at(record, 48).cast_signed(),
        sequence: u32_at(record, 52),
    }
}

/// What is wrong with a bar; `None` for a sound one and for other records.
fn bar(record: &[u8]) -> Option<String> {
    let is_bar = OhlcvMsg::has_rtype(record[1].into());
    let price = |n: usize| i64_at(record, HEADER_BYTES + 8 * n);
    is_bar.then(|| bar_fault([price(0), price(1), price(2), price(3)])).flatten()
}

pub(super) fn u32_at(record: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| record[at + i]))
}

fn u64_at(record: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| record[at + i]))
}

fn i64_at(record: &[u8], at: usize) -> i64 {
    u64_at(record, at).cast_signed()
}
