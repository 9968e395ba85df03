//! MBP-10 records as the binning sees them.

use dbn::{Action, Mbp10Msg};
use lob_depth::{Action as Act, Event, Level, Levels, Side, UpdateMeta};

/// The ten levels of a record, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Mbp10Levels<'a>(pub &'a Mbp10Msg);

impl Levels for Mbp10Levels<'_> {
    #[inline]
    fn level(&self, i: usize) -> Level {
        let pair = &self.0.levels[i];
        Level {
            bid_px: pair.bid_px,
            ask_px: pair.ask_px,
            bid_sz: pair.bid_sz,
            ask_sz: pair.ask_sz,
            bid_ct: pair.bid_ct,
            ask_ct: pair.ask_ct,
        }
    }
}

/// Times, traded size and event of a record. Only trades (`T`) count as such: the fills that follow
/// one repeat it. One of size 0 is none.
#[must_use]
#[inline]
pub fn update_meta(record: &Mbp10Msg) -> UpdateMeta {
    let is_trade = record.action.cast_unsigned() == Action::Trade as u8;
    let action = ACTIONS[usize::from(record.action.cast_unsigned())];
    UpdateMeta {
        ts_event: record.hd.ts_event,
        ts_recv: record.ts_recv,
        traded_size: if is_trade { record.size } else { 0 },
        event: Event {
            action: if is_trade && record.size == 0 { Act::Other } else { action },
            side: SIDES[usize::from(record.side.cast_unsigned())],
        },
    }
}

/// Actions by their letter: which one comes next no processor foresees, so no branches.
const ACTIONS: [Act; 256] = {
    let mut table = [Act::Unknown; 256];
    table[b'A' as usize] = Act::Add;
    table[b'C' as usize] = Act::Cancel;
    table[b'M' as usize] = Act::Modify;
    table[b'T' as usize] = Act::Trade;
    table[b'F' as usize] = Act::Other;
    table[b'R' as usize] = Act::Other;
    table[b'N' as usize] = Act::Other;
    table
};

/// Sides by their letter.
const SIDES: [Side; 256] = {
    let mut table = [Side::None; 256];
    table[b'B' as usize] = Side::Bid;
    table[b'A' as usize] = Side::Ask;
    table
};

/// Whether the record empties the book: what follows has nothing to do with what came before.
#[inline]
pub(crate) fn is_clear(record: &Mbp10Msg) -> bool {
    record.action.cast_unsigned() == Action::Clear as u8
}
