//! Any orders in any order: the book refuses what has no meaning and its ten levels stay sorted.

use dbn::{FlagSet, MboMsg, RecordHeader, UNDEF_PRICE, rtype};
use lob_book::Replayer;

/// Bytes of input that make one record.
const CHUNK: usize = 12;

/// A record from a few bytes: few prices, orders and instruments, so that they meet each other.
fn record(bytes: &[u8; CHUNK]) -> MboMsg {
    let [action, side, flags, order, instrument, price, shift, size, ts, spare @ ..] = *bytes;
    let wild = u32::from_le_bytes([spare[0], spare[1], spare[2], size]);
    let pick = |names: &[u8], by: u8| names.get(usize::from(by)).copied().unwrap_or(by);
    let price = match shift {
        0 => UNDEF_PRICE,
        1 => i64::MIN + i64::from(price),
        2 => i64::MAX - 1 - i64::from(price),
        shift => (i64::from(price) - 128) << (shift % 24),
    };
    MboMsg {
        hd: RecordHeader::new::<MboMsg>(rtype::MBO, 1, u32::from(instrument % 3), ts.into()),
        order_id: u64::from(order % 32),
        price,
        size: if spare[0] & 1 == 0 { size.into() } else { wild },
        flags: FlagSet::new(flags),
        channel_id: 0,
        action: pick(b"ACMRTFN", action % 8).cast_signed(),
        side: pick(b"ABN", side % 4).cast_signed(),
        ts_recv: ts.into(),
        ts_in_delta: 0,
        sequence: wild,
    }
}

pub(crate) fn check(bytes: &[u8]) {
    let mut replayer = Replayer::new();
    for chunk in bytes.as_chunks().0 {
        let Ok(Some(update)) = replayer.push_ref(&record(chunk)) else { continue };
        for pair in update.levels.windows(2) {
            // Best first, and nothing behind an empty level.
            assert!(pair[1].bid_px == UNDEF_PRICE || pair[0].bid_px > pair[1].bid_px);
            assert!(pair[1].ask_px == UNDEF_PRICE || pair[0].ask_px < pair[1].ask_px);
            assert!(pair[0].bid_px != UNDEF_PRICE || pair[1].bid_px == UNDEF_PRICE);
        }
    }
}
