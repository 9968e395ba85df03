//! Records that accompany the books of a messy feed, and bad times.

use dbn::{
    InstrumentDefMsg, MboMsg, RecordHeader, SType, StatMsg, StatusMsg, SymbolMappingMsg, SystemMsg,
    UNDEF_TIMESTAMP, rtype,
};

use super::{InsertionKind, out::Out};
use crate::{
    SynthError,
    calendar::{DAY_NS, SECOND_NS},
    message::PUBLISHER_ID,
    rng::Rng,
};

/// A live mapping: the id means the symbol from here on.
pub(super) fn mapping(
    instrument_id: u32,
    symbol: &str,
    ts: u64,
    out: &mut Out<'_>,
) -> Result<(), SynthError> {
    let undefined = UNDEF_TIMESTAMP;
    let record = SymbolMappingMsg::new(
        instrument_id,
        ts,
        SType::RawSymbol,
        symbol,
        SType::RawSymbol,
        symbol,
        undefined,
        undefined,
    )?;
    out.write(&record, ts, None)
}

/// The definition of an instrument whose tick is `tick`.
pub(super) fn definition(
    instrument_id: u32,
    symbol: &str,
    tick: i64,
    ts: u64,
    out: &mut Out<'_>,
) -> Result<(), SynthError> {
    let mut record = InstrumentDefMsg {
        hd: header::<InstrumentDefMsg>(rtype::INSTRUMENT_DEF, instrument_id, ts),
        ts_recv: ts,
        min_price_increment: tick,
        ..InstrumentDefMsg::default()
    };
    for (to, byte) in record.raw_symbol.iter_mut().zip(symbol.bytes()) {
        *to = byte.cast_signed();
    }
    out.write(&record, ts, Some(InsertionKind::Companion))
}

/// A status, statistics or system record.
pub(super) fn companion(
    instrument_id: u32,
    ts: u64,
    rng: &mut Rng,
    out: &mut Out<'_>,
) -> Result<(), SynthError> {
    let kind = Some(InsertionKind::Companion);
    match rng.below(3) {
        0 => {
            let hd = header::<StatusMsg>(rtype::STATUS, instrument_id, ts);
            out.write(&StatusMsg { hd, ts_recv: ts, ..StatusMsg::default() }, ts, kind)
        }
        1 => {
            let hd = header::<StatMsg>(rtype::STATISTICS, instrument_id, ts);
            out.write(&StatMsg { hd, ts_recv: ts, ..StatMsg::default() }, ts, kind)
        }
        _ => out.write(&SystemMsg::heartbeat(ts), ts, kind),
    }
}

fn header<T: dbn::HasRType>(rtype: u8, instrument_id: u32, ts: u64) -> RecordHeader {
    RecordHeader::new::<T>(rtype, PUBLISHER_ID, instrument_id, ts)
}

/// Spoils the times of an event; what was done.
pub(super) fn spoil(event: &mut [MboMsg], has_untimed: bool, rng: &mut Rng) -> InsertionKind {
    let undefined = UNDEF_TIMESTAMP;
    let kinds = if has_untimed { 5 } else { 4 };
    let (kind, odd) = (rng.below(kinds), rng.below(4) as usize);
    let off = u64::from(rng.below(4_000)) * (SECOND_NS / 1_000);
    let mut what = InsertionKind::Untimed;
    for record in event {
        let (ts_event, ts_recv) = (&mut record.hd.ts_event, &mut record.ts_recv);
        what = match kind {
            0 => {
                record.flags.set_bad_ts_recv();
                *ts_recv = *ts_event + off - 2 * SECOND_NS;
                InsertionKind::BadTsRecv
            }
            1 => {
                record.flags.set_bad_ts_recv();
                *ts_recv = *ts_event - 3 * DAY_NS;
                InsertionKind::BadTsRecv
            }
            2 => {
                *ts_recv = [undefined, 0, 1, undefined - 1][odd];
                InsertionKind::UndefinedTsRecv
            }
            3 => {
                *ts_event = [undefined, 0, *ts_event + 3_650 * DAY_NS, undefined][odd];
                InsertionKind::OddTsEvent
            }
            _ => {
                (*ts_event, *ts_recv) = (undefined, undefined);
                InsertionKind::Untimed
            }
        };
    }
    what
}
