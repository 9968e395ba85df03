//! Short hands for records.

use dbn::{FlagSet, MboMsg, Mbp10Msg, RecordHeader, rtype};
use lob_book::Replayer;

/// A record of instrument 1 with the flag `LAST`.
pub(crate) fn mbo(action: char, side: char, order_id: u64, price: i64, size: u32) -> MboMsg {
    MboMsg {
        hd: RecordHeader::new::<MboMsg>(rtype::MBO, 1, 1, 10),
        order_id,
        price,
        size,
        flags: FlagSet::empty().set_last(),
        action: byte(action),
        side: byte(side),
        ts_recv: 20,
        ts_in_delta: 3,
        sequence: 4,
        ..MboMsg::default()
    }
}

fn byte(c: char) -> i8 {
    u8::try_from(c).unwrap().cast_signed()
}

/// Pushes all records; gives the updates.
pub(crate) fn replay(records: &[MboMsg]) -> (Replayer, Vec<Option<Mbp10Msg>>) {
    let mut replayer = Replayer::new();
    let updates = records.iter().map(|record| replayer.push(record).unwrap()).collect();
    (replayer, updates)
}
