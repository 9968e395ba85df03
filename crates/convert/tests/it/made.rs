//! DBN files made record by record.

use std::{
    num::NonZeroU64,
    path::{Path, PathBuf},
};

use dbn::{
    FlagSet, InstrumentDefMsg, MappingInterval, MboMsg, Mbp10Msg, Metadata, MetadataBuilder,
    RecordHeader, SType, Schema, SymbolMapping, SymbolMappingMsg, UNDEF_TIMESTAMP,
    encode::{DbnEncodable, EncodeRecord, dbn::Encoder},
    rtype,
};
use time::{Date, Month};

/// 2024-04-01, in nanoseconds since the Unix epoch.
pub(crate) const DAY_1: u64 = 1_711_929_600_000_000_000;
pub(crate) const DAY_NS: u64 = 86_400_000_000_000;
pub(crate) const SECOND_NS: u64 = 1_000_000_000;
/// A quarter in 1e-9 units.
pub(crate) const QUARTER: i64 = 250_000_000;

/// An update of an instrument whose best bid is `steps` quarters; all ten levels are there.
pub(crate) fn update(instrument_id: u32, ts: u64, steps: i64) -> Mbp10Msg {
    let mut record = Mbp10Msg {
        hd: RecordHeader::new::<Mbp10Msg>(rtype::MBP_10, 1, instrument_id, ts),
        price: steps * QUARTER,
        size: 1,
        ts_recv: ts,
        ..Mbp10Msg::default()
    };
    (record.action, record.side) = (b'A'.cast_signed(), b'B'.cast_signed());
    for (i, level) in (0_i64..).zip(&mut record.levels) {
        level.bid_px = (steps - i) * QUARTER;
        level.ask_px = (steps + 1 + i) * QUARTER;
        (level.bid_sz, level.ask_sz, level.bid_ct, level.ask_ct) = (5, 7, 1, 2);
    }
    record
}

/// `n` updates of an instrument, one a second from `from`, around `steps` quarters.
pub(crate) fn updates(instrument_id: u32, from: u64, n: u64, steps: i64) -> Vec<Mbp10Msg> {
    let wave = [0, 1, 1, 2, 0, -1];
    (0..n)
        .map(|i| update(instrument_id, from + i * SECOND_NS, steps + wave[i as usize % 6]))
        .collect()
}

/// A symbol of an instrument on April days of 2024, the last one not included.
pub(crate) struct Mapped(pub(crate) &'static str, pub(crate) u32, pub(crate) u8, pub(crate) u8);

fn metadata(schema: Schema, mapped: &[Mapped]) -> Metadata {
    let day = |day| Date::from_calendar_date(2024, Month::April, day).unwrap();
    let mappings = mapped.iter().map(|Mapped(symbol, id, from, to)| SymbolMapping {
        raw_symbol: (*symbol).to_owned(),
        intervals: vec![MappingInterval {
            start_date: day(*from),
            end_date: day(*to),
            symbol: id.to_string(),
        }],
    });
    MetadataBuilder::new()
        .dataset("GLBX.MDP3".to_owned())
        .schema(Some(schema))
        .start(DAY_1)
        .stype_in(Some(SType::RawSymbol))
        .stype_out(SType::InstrumentId)
        .symbols(mapped.iter().map(|mapped| mapped.0.to_owned()).collect())
        .mappings(mappings.collect())
        .build()
}

fn write<R: DbnEncodable>(path: &Path, metadata: &Metadata, records: &[R]) {
    let file = std::fs::File::create(path).unwrap();
    let mut encoder = Encoder::new(file, metadata).unwrap();
    for record in records {
        encoder.encode_record(record).unwrap();
    }
}

/// A file of book updates.
pub(crate) fn books(folder: &Path, name: &str, mapped: &[Mapped], records: &[Mbp10Msg]) -> PathBuf {
    let path = folder.join(name);
    write(&path, &metadata(Schema::Mbp10, mapped), records);
    path
}

/// A file of orders; its header spans the first `days` days of April 2024, or has no end if 0.
pub(crate) fn orders(folder: &Path, name: &str, days: u64, records: &[MboMsg]) -> PathBuf {
    let path = folder.join(name);
    write(&path, &spanning(metadata(Schema::Mbo, &[]), days), records);
    path
}

/// A file of book updates whose header spans the first `days` days of April 2024.
pub(crate) fn books_of(folder: &Path, name: &str, days: u64, records: &[Mbp10Msg]) -> PathBuf {
    let path = folder.join(name);
    write(&path, &spanning(metadata(Schema::Mbp10, &[]), days), records);
    path
}

/// A file of book updates whose header begins at a time of its own.
pub(crate) fn books_from(folder: &Path, name: &str, start: u64, records: &[Mbp10Msg]) -> PathBuf {
    books_mapped_from(folder, name, start, &[], records)
}

/// The same with symbols.
pub(crate) fn books_mapped_from(
    folder: &Path,
    name: &str,
    start: u64,
    mapped: &[Mapped],
    records: &[Mbp10Msg],
) -> PathBuf {
    let path = folder.join(name);
    write(&path, &Metadata { start, ..metadata(Schema::Mbp10, mapped) }, records);
    path
}

fn spanning(metadata: Metadata, days: u64) -> Metadata {
    let end =
        NonZeroU64::new(days).map(|days| days.saturating_mul(NonZeroU64::new(DAY_NS).unwrap()));
    Metadata { end: end.map(|length| length.saturating_add(DAY_1)), ..metadata }
}

/// A market-by-order record of instrument 17, times in nanoseconds: `(ts_recv, ts_event)`.
pub(crate) fn order(
    (ts_recv, ts_event): (u64, u64),
    flags: FlagSet,
    (action, side): (char, char),
    order_id: u64,
    steps: i64,
) -> MboMsg {
    let byte = |letter| u8::try_from(letter).unwrap().cast_signed();
    MboMsg {
        hd: RecordHeader::new::<MboMsg>(rtype::MBO, 1, 17, ts_event),
        order_id,
        price: if action == 'R' { dbn::UNDEF_PRICE } else { steps * QUARTER },
        size: if action == 'R' { 0 } else { 3 },
        flags,
        action: byte(action),
        side: byte(side),
        ts_recv,
        ..MboMsg::default()
    }
}

/// The header of an April of 2024 whose mappings are symbol, id as text, first day and end.
pub(crate) fn mapped_by_text(list: &[(&str, &str, u8, u8)]) -> Metadata {
    let day = |day| Date::from_calendar_date(2024, Month::April, day).unwrap();
    let mut header = metadata(Schema::Mbp10, &[]);
    header.mappings = list
        .iter()
        .map(|(symbol, id, from, to)| SymbolMapping {
            raw_symbol: (*symbol).to_owned(),
            intervals: vec![MappingInterval {
                start_date: day(*from),
                end_date: day(*to),
                symbol: (*id).to_owned(),
            }],
        })
        .collect();
    header
}

/// A file of book updates under this header.
pub(crate) fn books_under(
    folder: &Path,
    name: &str,
    header: &Metadata,
    records: &[Mbp10Msg],
) -> PathBuf {
    let path = folder.join(name);
    write(&path, header, records);
    path
}

/// A record of a live capture.
pub(crate) enum Live {
    Book(Mbp10Msg),
    Order(MboMsg),
    Symbol(SymbolMappingMsg),
}

/// From here on, or between two times, the id means this symbol.
pub(crate) fn symbol(instrument_id: u32, symbol: &str, times: Option<(u64, u64)>) -> Live {
    let (start_ts, end_ts) = times.unwrap_or((UNDEF_TIMESTAMP, UNDEF_TIMESTAMP));
    let hd = RecordHeader::new::<SymbolMappingMsg>(rtype::SYMBOL_MAPPING, 1, instrument_id, DAY_1);
    let mut record = SymbolMappingMsg { hd, start_ts, end_ts, ..SymbolMappingMsg::default() };
    for (to, from) in record.stype_out_symbol.iter_mut().zip(symbol.bytes()) {
        *to = from.cast_signed();
    }
    Live::Symbol(record)
}

/// A new order of 10 at `steps` quarters.
pub(crate) fn add(instrument_id: u32, ts: u64, order_id: u64, side: u8, steps: i64) -> MboMsg {
    MboMsg {
        hd: RecordHeader::new::<MboMsg>(rtype::MBO, 1, instrument_id, ts),
        order_id,
        price: steps * QUARTER,
        size: 10,
        action: b'A'.cast_signed(),
        side: side.cast_signed(),
        ts_recv: ts,
        ..MboMsg::default()
    }
}

/// A live capture: no schema and no mappings in its header.
pub(crate) fn capture(folder: &Path, name: &str, records: &[Live]) -> PathBuf {
    let path = folder.join(name);
    let mut header = metadata(Schema::Mbp10, &[]);
    (header.schema, header.stype_in) = (None, None);
    let mut encoder = Encoder::new(std::fs::File::create(&path).unwrap(), &header).unwrap();
    for record in records {
        match record {
            Live::Book(record) => encoder.encode_record(record),
            Live::Order(record) => encoder.encode_record(record),
            Live::Symbol(record) => encoder.encode_record(record),
        }
        .unwrap();
    }
    path
}

/// A file with the definition of one instrument.
pub(crate) fn definition(folder: &Path, name: &str, instrument_id: u32, increment: i64) -> PathBuf {
    let path = folder.join(name);
    let record = InstrumentDefMsg {
        hd: RecordHeader::new::<InstrumentDefMsg>(rtype::INSTRUMENT_DEF, 1, instrument_id, DAY_1),
        ts_recv: DAY_1,
        min_price_increment: increment,
        ..InstrumentDefMsg::default()
    };
    write(&path, &metadata(Schema::Definition, &[]), &[record]);
    path
}
