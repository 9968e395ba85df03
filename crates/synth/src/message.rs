//! The records of one event, before they get their times and flags.

use dbn::{MboMsg, RecordHeader, UNDEF_PRICE, rtype};

use crate::{instrument::Instrument, queue::Order};

/// Publisher of GLBX.MDP3 on CME Globex.
pub(crate) const PUBLISHER_ID: u16 = 1;
/// Most resting orders that one market order fills.
pub(crate) const MAX_FILLS: usize = 40;

/// Collects the records of an event.
pub(crate) struct Draft<'a> {
    pub(crate) records: &'a mut Vec<MboMsg>,
    pub(crate) last_order_id: &'a mut u64,
}

impl Draft<'_> {
    pub(crate) fn next_order_id(&mut self) -> u64 {
        *self.last_order_id += 1;
        *self.last_order_id
    }

    /// `R`: the book is empty.
    pub(crate) fn clear_book(&mut self, instrument: &Instrument) {
        let nothing = Order { id: 0, size: 0 };
        self.push(instrument, b'R', b'N', UNDEF_PRICE, nothing);
    }

    /// An add, cancel or modify of a resting order.
    pub(crate) fn order(
        &mut self,
        instrument: &Instrument,
        action: char,
        is_bid: bool,
        price: i64,
        order: Order,
    ) {
        let action = u8::try_from(action).unwrap_or(b'N');
        self.push(instrument, action, if is_bid { b'B' } else { b'A' }, price, order);
    }

    /// A trade at one price: `T` of the aggressor, then `F` and `C` of the resting orders.
    pub(crate) fn trade(
        &mut self,
        instrument: &Instrument,
        is_buy: bool,
        price: i64,
        size: u32,
        resting: &[Order],
    ) {
        let (aggressor, passive) = if is_buy { (b'B', b'A') } else { (b'A', b'B') };
        self.push(instrument, b'T', aggressor, price, Order { id: 0, size });
        for action in [b'F', b'C'] {
            for &order in resting {
                self.push(instrument, action, passive, price, order);
            }
        }
    }

    fn push(&mut self, instrument: &Instrument, action: u8, side: u8, price: i64, order: Order) {
        self.records.push(MboMsg {
            hd: RecordHeader::new::<MboMsg>(rtype::MBO, PUBLISHER_ID, instrument.id, 0),
            order_id: order.id,
            price,
            size: order.size,
            action: action.cast_signed(),
            side: side.cast_signed(),
            ..MboMsg::default()
        });
    }
}
