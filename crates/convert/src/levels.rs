//! MBP-10 records as the binning sees them.

use dbn::{Action, Mbp10Msg};
use lob_depth::{Level, Levels, UpdateMeta};

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

/// Times and traded size of a record. Only trades (`T`) count: the fills that follow one repeat it.
#[must_use]
#[inline]
pub fn update_meta(record: &Mbp10Msg) -> UpdateMeta {
    let is_trade = record.action.cast_unsigned() == Action::Trade as u8;
    UpdateMeta {
        ts_event: record.hd.ts_event,
        ts_recv: record.ts_recv,
        traded_size: if is_trade { record.size } else { 0 },
    }
}

/// Whether the record empties the book: what follows has nothing to do with what came before.
#[inline]
pub(crate) fn is_clear(record: &Mbp10Msg) -> bool {
    record.action.cast_unsigned() == Action::Clear as u8
}
