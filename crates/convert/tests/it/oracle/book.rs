//! One instrument's orders, kept as simply as possible.

use std::collections::BTreeMap;

use dbn::{MboMsg, UNDEF_PRICE};

/// Price, size and number of orders; absent levels have the undefined price.
pub(crate) type Side = [(i64, u32, u32); 10];
/// Ten bids and ten asks.
pub(crate) type Levels = [Side; 2];

pub(crate) const NO_LEVELS: Levels = [[(UNDEF_PRICE, 0, 0); 10]; 2];

/// What rests at a price.
#[derive(Debug, Default)]
struct Price {
    orders: BTreeMap<u64, u32>,
    /// Size of a top-of-book quote, which is no order.
    quote: u32,
}

/// All orders of an instrument.
#[derive(Debug, Default)]
pub(super) struct Book {
    sides: [BTreeMap<i64, Price>; 2],
    /// Side and price of each order.
    place: BTreeMap<u64, (usize, i64)>,
}

impl Book {
    pub(super) fn apply(&mut self, order: &MboMsg) {
        let side = match order.side.cast_unsigned() {
            b'B' => Some(0),
            b'A' => Some(1),
            _ => None,
        };
        match (order.action.cast_unsigned(), side) {
            (b'R', _) => *self = Self::default(),
            (b'C', _) => {
                if let Some(&(side, price)) = self.place.get(&order.order_id) {
                    let size = self.sides[side][&price].orders[&order.order_id];
                    self.remove(order.order_id);
                    if size > order.size {
                        self.put(order.order_id, side, price, size - order.size);
                    }
                }
            }
            (b'A', Some(side)) => self.add(side, order),
            (b'M', Some(side)) if self.place.contains_key(&order.order_id) => {
                self.remove(order.order_id);
                if order.price != UNDEF_PRICE && order.size > 0 {
                    self.put(order.order_id, side, order.price, order.size);
                }
            }
            (b'M', Some(side)) => self.add(side, order),
            _ => {}
        }
    }

    fn add(&mut self, side: usize, order: &MboMsg) {
        if order.flags.is_tob() {
            self.sides[side].clear();
            self.place.retain(|_, (other, _)| *other != side);
            if order.price != UNDEF_PRICE && order.size > 0 {
                self.sides[side].entry(order.price).or_default().quote = order.size;
            }
        } else if order.price != UNDEF_PRICE && order.size > 0 {
            self.remove(order.order_id);
            self.put(order.order_id, side, order.price, order.size);
        }
    }

    fn put(&mut self, id: u64, side: usize, price: i64, size: u32) {
        self.place.insert(id, (side, price));
        self.sides[side].entry(price).or_default().orders.insert(id, size);
    }

    fn remove(&mut self, id: u64) {
        if let Some((side, price)) = self.place.remove(&id) {
            let at = self.sides[side].get_mut(&price).unwrap();
            at.orders.remove(&id);
            if at.orders.is_empty() && at.quote == 0 {
                self.sides[side].remove(&price);
            }
        }
    }

    /// The ten best of both sides, counted order by order.
    pub(super) fn levels(&self) -> Levels {
        let mut levels = NO_LEVELS;
        let count = |(price, at): (&i64, &Price)| {
            let orders: u64 = at.orders.values().map(|size| u64::from(*size)).sum();
            let size = u32::try_from(orders + u64::from(at.quote)).unwrap_or(u32::MAX);
            (*price, size, at.orders.len() as u32)
        };
        for (to, level) in levels[0].iter_mut().zip(self.sides[0].iter().rev().map(count)) {
            *to = level;
        }
        for (to, level) in levels[1].iter_mut().zip(self.sides[1].iter().map(count)) {
            *to = level;
        }
        levels
    }
}
