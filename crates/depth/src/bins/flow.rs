//! Order flow: what happened inside a bin, in numbers that add up over updates.

use crate::{Action, Event, LEVELS, Level, NO_PRICE};

/// Updates of a bin up to which its order flow is proven to fit: an update adds less than 2^33 to a
/// level's imbalance.
const UPDATES_MAX: u32 = 1 << 29;
/// Number of [`Action`]s and [`Side`]s.
const ACTIONS: usize = 6;
const SIDES: usize = 3;

/// Numbers of events by action (add, cancel, modify) and by side (bid, ask, not said).
pub type EventCounts = [[u32; SIDES]; 3];

/// Order flow of a bin. All but the last two add up: the flow of two neighbouring bins of a segment
/// is the sum of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OrderFlow {
    /// Order-flow imbalance of each level, in units of size: bids that came less bids that went,
    /// less the same of the asks. Cont, Kukanov and Stoikov, *The price impact of order book
    /// events*, 2014, at every level by itself: of a bid price P and its size q before and after
    /// an update, `1{P' >= P} q' - 1{P' <= P} q`, of an ask `1{P' >= P} q - 1{P' <= P} q'`. A level
    /// that is absent has size 0 and a price worse than any other. The first update of a segment
    /// has none before it and adds 0.
    pub imbalance: [i64; LEVELS],
    /// Size that buyers took less size that sellers took; trades without a side are in neither.
    pub signed_volume: i64,
    /// Number of trades.
    pub trades: u64,
    /// Trades of buyers less trades of sellers.
    pub signed_trades: i64,
    /// Orders that came: bids, asks. `None` where the feed does not say of every one.
    pub adds: Option<[u64; 2]>,
    /// Orders that went, or parts of them: bids, asks; `None` likewise.
    pub cancels: Option<[u64; 2]>,
    /// Orders that were changed: bids, asks; `None` likewise.
    pub modifies: Option<[u64; 2]>,
    /// Microprice less mid after the last update, in price steps: half the spread times
    /// [`queue_imbalance`](Self::queue_imbalance).
    pub microprice_deviation: Option<f64>,
    /// (bid size - ask size) / (bid size + ask size) at the touch after the last update, -1 to 1;
    /// `None` without both sides, or where both are of size 0.
    pub queue_imbalance: Option<f64>,
}

/// One side's touch: price in steps, or [`NO_PRICE`], and size.
pub(super) type Touch = (i32, u32);

/// Sums of the open bin.
#[derive(Debug, Clone, Default)]
pub(super) struct FlowSums {
    imbalance: [i64; LEVELS],
    traded: [u64; SIDES],
    events: [[u64; SIDES]; ACTIONS],
}

impl FlowSums {
    /// Counts an update's event.
    #[inline]
    pub(super) fn event(&mut self, event: Event, traded_size: u32) {
        let Event { action, side } = event;
        self.events[action as usize][side as usize] += 1;
        self.traded[side as usize] += u64::from(traded_size);
    }

    /// Counts events that caused no update.
    pub(super) fn events(&mut self, more: &EventCounts) {
        for (to, from) in self.events.iter_mut().flatten().zip(more.iter().flatten()) {
            *to += u64::from(*from);
        }
    }

    /// Adds the increment of a level where `mask` is all ones, and nothing where it is 0.
    #[inline]
    pub(super) fn level(&mut self, i: usize, before: Shown, after: Shown, mask: i64) {
        let sum = &mut self.imbalance[i];
        *sum = sum.wrapping_add(increment(before, after) & mask);
    }

    /// The flow of `n_updates`, the book showing this touch after the last; `None` where it is not
    /// proven to fit.
    pub(super) fn finish(&self, n_updates: u32, bid: Touch, ask: Touch) -> Option<OrderFlow> {
        if n_updates > UPDATES_MAX {
            return None;
        }
        let of = |action: Action| self.events[action as usize];
        let is_known = of(Action::Unknown) == [0; SIDES];
        let by_side = |action| match of(action) {
            [bid, ask, 0] if is_known => Some([bid, ask]),
            _ => None,
        };
        let (traded, trades) = (self.traded, of(Action::Trade));
        let (queue_imbalance, microprice_deviation) = queues(bid, ask).unzip();
        Some(OrderFlow {
            imbalance: self.imbalance,
            signed_volume: traded[0].cast_signed() - traded[1].cast_signed(),
            trades: trades.iter().sum(),
            signed_trades: trades[0].cast_signed() - trades[1].cast_signed(),
            adds: by_side(Action::Add),
            cancels: by_side(Action::Cancel),
            modifies: by_side(Action::Modify),
            microprice_deviation,
            queue_imbalance,
        })
    }
}

/// A level of both sides, and its prices in steps: what is [`NO_PRICE`] is absent.
pub(super) type Shown = (Level, (i32, i32));

/// What a level's change adds to its imbalance.
#[inline]
fn increment((was, was_steps): Shown, (is, is_steps): Shown) -> i64 {
    let bid = |level: Level, steps: i32| match steps {
        NO_PRICE => (i64::MIN, 0),
        _ => (level.bid_px, i64::from(level.bid_sz)),
    };
    // An ask's price turned over, so that higher is better here too.
    let ask = |level: Level, steps: i32| match steps {
        NO_PRICE => (i64::MIN, 0),
        _ => (!level.ask_px, i64::from(level.ask_sz)),
    };
    came(bid(was, was_steps.0), bid(is, is_steps.0))
        - came(ask(was, was_steps.1), ask(is, is_steps.1))
}

/// Size that came less size that went, where a higher price is a better one.
#[inline]
fn came(before: (i64, i64), after: (i64, i64)) -> i64 {
    let new = if after.0 >= before.0 { after.1 } else { 0 };
    let old = if after.0 <= before.0 { before.1 } else { 0 };
    new - old
}

/// Queue imbalance, and the microprice's distance from the mid in steps.
#[expect(clippy::cast_precision_loss, reason = "the stated roundings of exact integers")]
fn queues((bid_px, bid_sz): Touch, (ask_px, ask_sz): Touch) -> Option<(f64, f64)> {
    let (more, both) =
        (i64::from(bid_sz) - i64::from(ask_sz), i64::from(bid_sz) + i64::from(ask_sz));
    if bid_px == NO_PRICE || ask_px == NO_PRICE || both == 0 {
        return None;
    }
    let spread = i128::from(ask_px) - i128::from(bid_px);
    let deviation = (spread * i128::from(more)) as f64 / (2 * both) as f64;
    Some((more as f64 / both as f64, deviation))
}
