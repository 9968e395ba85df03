//! The order table and the two ladders of one instrument.

use dbn::{BidAskPair, MboMsg, UNDEF_PRICE};
use rustc_hash::FxHashMap;

use crate::{
    ReplayStats,
    event::{Act, BookSide},
    ladder::Ladder,
};

/// Levels per side of an MBP-10 record.
const LEVELS: usize = 10;

/// A level that does not exist.
const NO_LEVEL: BidAskPair = BidAskPair {
    bid_px: UNDEF_PRICE,
    ask_px: UNDEF_PRICE,
    bid_sz: 0,
    ask_sz: 0,
    bid_ct: 0,
    ask_ct: 0,
};

/// A resting order. 16 bytes, so that four share a cache line.
#[derive(Clone, Copy, Debug)]
struct Order {
    price: i64,
    size: u32,
    side: BookSide,
}

/// The shallowest level an event touched on each side; `LEVELS` or more is out of sight.
#[derive(Clone, Copy)]
struct Touched {
    bid: usize,
    ask: usize,
}

impl Touched {
    const NOTHING: Self = Self { bid: LEVELS, ask: LEVELS };
    const ALL: Self = Self { bid: 0, ask: 0 };

    fn note(&mut self, side: BookSide, depth: usize) {
        let seen = match side {
            BookSide::Bid => &mut self.bid,
            BookSide::Ask => &mut self.ask,
        };
        *seen = depth.min(*seen);
    }
}

/// The orders resting in one instrument, and the ten best levels of each side.
#[derive(Clone, Debug)]
pub struct OrderBook {
    orders: FxHashMap<u64, Order>,
    bids: Ladder,
    asks: Ladder,
    top: [BidAskPair; LEVELS],
}

impl OrderBook {
    pub(crate) fn new() -> Self {
        Self {
            orders: FxHashMap::default(),
            bids: Ladder::new(BookSide::Bid),
            asks: Ladder::new(BookSide::Ask),
            top: [const { NO_LEVEL }; LEVELS],
        }
    }

    /// The ten best levels of both sides; an absent level has `UNDEF_PRICE`, size 0 and count 0.
    #[must_use]
    pub fn levels(&self) -> &[BidAskPair; LEVELS] {
        &self.top
    }

    /// Number of resting orders.
    #[must_use]
    pub fn n_orders(&self) -> usize {
        self.orders.len()
    }

    /// Number of price levels: bids, asks.
    #[must_use]
    pub fn n_levels(&self) -> (usize, usize) {
        (self.bids.len(), self.asks.len())
    }

    /// True if the best bid is at or above the best ask.
    #[must_use]
    pub fn is_crossed(&self) -> bool {
        match (self.bids.best_price(), self.asks.best_price()) {
            (Some(bid), Some(ask)) => bid >= ask,
            _ => false,
        }
    }

    /// Applies a record; gives the index of the first of the ten levels that differs from before.
    pub(crate) fn apply(
        &mut self,
        act: Act,
        side: Option<BookSide>,
        msg: &MboMsg,
        stats: &mut ReplayStats,
    ) -> Option<usize> {
        let touched = match act {
            Act::Trade | Act::Inert => return None,
            Act::Clear => self.clear(),
            Act::Cancel => self.cancel(msg, stats),
            Act::Add | Act::Modify => match side {
                None => {
                    stats.sideless += 1;
                    return None;
                }
                Some(side) if act == Act::Add => self.add(side, msg, stats),
                Some(side) => self.modify(side, msg, stats),
            },
        };
        self.refresh(touched)
    }

    fn ladder(&mut self, side: BookSide) -> &mut Ladder {
        match side {
            BookSide::Bid => &mut self.bids,
            BookSide::Ask => &mut self.asks,
        }
    }

    fn clear(&mut self) -> Touched {
        self.orders.clear();
        self.bids.clear();
        self.asks.clear();
        Touched::ALL
    }

    fn add(&mut self, side: BookSide, msg: &MboMsg, stats: &mut ReplayStats) -> Touched {
        let mut touched = Touched::NOTHING;
        if msg.flags.is_tob() {
            self.quote(side, msg);
            touched.note(side, 0);
            return touched;
        }
        if msg.price == UNDEF_PRICE {
            stats.undefined_prices += 1;
            return touched;
        }
        if msg.size == 0 {
            stats.zero_size_adds += 1;
            return touched;
        }
        let order = Order { price: msg.price, size: msg.size, side };
        if let Some(old) = self.orders.insert(msg.order_id, order) {
            stats.duplicate_adds += 1;
            self.take(old, old.size, true, &mut touched);
        }
        let depth = self.ladder(side).add(order.price, order.size, 1);
        touched.note(side, depth);
        touched
    }

    /// A top-of-book quote replaces its whole side; at the undefined price it empties it.
    fn quote(&mut self, side: BookSide, msg: &MboMsg) {
        self.orders.retain(|_, order| order.side != side);
        let ladder = self.ladder(side);
        ladder.clear();
        if msg.price != UNDEF_PRICE && msg.size > 0 {
            ladder.add(msg.price, msg.size, 0);
        }
    }

    fn cancel(&mut self, msg: &MboMsg, stats: &mut ReplayStats) -> Touched {
        let mut touched = Touched::NOTHING;
        let Some(order) = self.orders.get_mut(&msg.order_id) else {
            stats.unknown_cancels += 1;
            return touched;
        };
        stats.oversized_cancels += u64::from(msg.size > order.size);
        let size = msg.size.min(order.size);
        order.size -= size;
        let order = *order;
        if order.size == 0 {
            self.orders.remove(&msg.order_id);
        }
        self.take(order, size, order.size == 0, &mut touched);
        touched
    }

    fn modify(&mut self, side: BookSide, msg: &MboMsg, stats: &mut ReplayStats) -> Touched {
        let Some(order) = self.orders.get_mut(&msg.order_id) else {
            stats.unknown_modifies += 1;
            return self.add(side, msg, stats);
        };
        let old = *order;
        *order = Order { price: msg.price, size: msg.size, side };
        let gone = msg.price == UNDEF_PRICE || msg.size == 0;
        stats.undefined_prices += u64::from(msg.price == UNDEF_PRICE);
        let mut touched = Touched::NOTHING;
        if gone {
            self.orders.remove(&msg.order_id);
        } else {
            // Adding first keeps the level alive when only the size changes.
            let depth = self.ladder(side).add(msg.price, msg.size, 1);
            touched.note(side, depth);
        }
        self.take(old, old.size, true, &mut touched);
        touched
    }

    /// Takes `size` of `order` off its level.
    fn take(&mut self, order: Order, size: u32, whole: bool, touched: &mut Touched) {
        if let Some(depth) = self.ladder(order.side).remove(order.price, size, whole) {
            touched.note(order.side, depth);
        }
    }

    /// Rewrites the ten levels from the touched ones on; the first that differs is the result.
    fn refresh(&mut self, touched: Touched) -> Option<usize> {
        let mut first = None;
        for depth in touched.bid..LEVELS {
            let (px, size, count) = view(&self.bids, depth);
            let seen = &mut self.top[depth];
            if (seen.bid_px, seen.bid_sz, seen.bid_ct) != (px, size, count) {
                (seen.bid_px, seen.bid_sz, seen.bid_ct) = (px, size, count);
                first.get_or_insert(depth);
            }
        }
        for depth in touched.ask..LEVELS {
            let (px, size, count) = view(&self.asks, depth);
            let seen = &mut self.top[depth];
            if (seen.ask_px, seen.ask_sz, seen.ask_ct) != (px, size, count) {
                (seen.ask_px, seen.ask_sz, seen.ask_ct) = (px, size, count);
                first = Some(first.map_or(depth, |bid: usize| bid.min(depth)));
            }
        }
        first
    }
}

/// A level as MBP-10 shows it: the size field has 32 bits, so larger sums show as its maximum.
fn view(ladder: &Ladder, depth: usize) -> (i64, u32, u32) {
    match ladder.level(depth) {
        Some((price, level)) => (price, u32::try_from(level.size).unwrap_or(u32::MAX), level.count),
        None => (UNDEF_PRICE, 0, 0),
    }
}
