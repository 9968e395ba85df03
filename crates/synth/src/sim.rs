//! One instrument: limit orders, cancels, modifies and market orders, one event at a time.

use crate::{
    instrument::Instrument,
    message::{Draft, MAX_FILLS},
    queue::{GRID, Order, Side},
    regime::Regime,
    rng::Rng,
};

/// Weights of the distance from the own touch, in ticks, at which limit orders come and go.
const DISTANCE: [u32; 24] =
    [570, 120, 72, 48, 34, 26, 21, 17, 14, 12, 11, 10, 9, 8, 6, 5, 4, 3, 3, 2, 2, 1, 1, 1];
const DISTANCE_TOTAL: u32 = 1_000;
/// Order sizes and their weights: most orders are of one to three lots.
const SIZES: [u32; 10] = [1, 2, 3, 4, 5, 6, 8, 10, 15, 25];
const SIZE_WEIGHTS: [u32; 10] = [46, 20, 10, 6, 6, 3, 3, 3, 2, 1];
/// Chance of an emptying of one side of a thin book, in 1/100,000 events.
const VACUUM: u32 = 80;
/// Largest buying or selling pressure, in %.
const MAX_PRESSURE: i32 = 40;

/// The state of one instrument.
#[derive(Clone, Debug)]
pub(crate) struct Sim {
    pub(crate) instrument: Instrument,
    rng: Rng,
    bids: Side,
    asks: Side,
    /// Price of grid tick 0, in ticks.
    base_ticks: i64,
    /// Hidden: above 0 buyers are at work, below 0 sellers; in %.
    pressure: i32,
    pressure_goal: i32,
}

impl Sim {
    pub(crate) fn new(instrument: Instrument, rng: Rng) -> Self {
        let base_ticks = instrument.open_ticks - i64::from(GRID / 2);
        let (bids, asks) = (Side::new(true), Side::new(false));
        Self { instrument, rng, bids, asks, base_ticks, pressure: 0, pressure_goal: 0 }
    }

    /// Hidden pressure, in %.
    pub(crate) fn pressure(&self) -> i32 {
        self.pressure
    }

    /// Clears the book and seeds it, one order at a time: `R`, then a snapshot.
    pub(crate) fn open(&mut self, draft: &mut Draft<'_>) {
        self.rebase();
        draft.clear_book(&self.instrument);
        let mid = GRID / 2;
        for is_bid in [true, false] {
            for level in 0..self.instrument.seeded_levels {
                let from = if is_bid { mid } else { mid + 1 };
                let Some(tick) = self.side(is_bid).behind(from, level) else { continue };
                let goal = self.goal(is_bid, level, 100);
                while self.side(is_bid).queue(tick).size < goal {
                    self.add(is_bid, tick, draft);
                }
            }
        }
        // Some openings are locked until the crossing order goes.
        if self.rng.chance(330) {
            self.add(true, mid + 1, draft);
            let last = self.bids.queue(mid + 1).orders.len() - 1;
            self.cancel(true, mid + 1, last, draft);
        }
    }

    /// One event; at least one record.
    pub(crate) fn step(&mut self, regime: &Regime, draft: &mut Draft<'_>) {
        self.drift();
        let (Some(bid), Some(ask)) = (self.bids.best(), self.asks.best()) else {
            return self.restore(draft);
        };
        if ask - bid > 1 && self.rng.chance(regime.refill * self.instrument.tightness / 1000) {
            return self.tighten(bid, ask, draft);
        }
        if self.instrument.touch_size < 10 && self.rng.below(100_000) < VACUUM {
            return self.empty_side(draft);
        }
        if self.rng.chance(regime.market) {
            return self.market_order(regime, draft);
        }
        self.limit_event(regime, draft);
    }

    /// Moves the grid so that the last price is in its middle, a little off for the night.
    fn rebase(&mut self) {
        let mid = match (self.bids.best(), self.asks.best()) {
            (Some(bid), _) => bid,
            (None, Some(ask)) => ask,
            (None, None) => GRID / 2,
        };
        let night = i64::from(self.rng.below(25)) - 12;
        self.base_ticks += i64::from(mid) - i64::from(GRID / 2) + night;
        self.bids.clear();
        self.asks.clear();
    }

    /// Lets the hidden pressure wander.
    fn drift(&mut self) {
        if self.rng.below(500) == 0 {
            let span = MAX_PRESSURE.unsigned_abs() * 2 + 1;
            self.pressure_goal = self.rng.below(span).cast_signed() - MAX_PRESSURE;
            // The grid is finite: far from its middle the pressure points back.
            let mid = self.bids.best().unwrap_or(GRID / 2);
            if mid > GRID * 3 / 4 {
                self.pressure_goal = -MAX_PRESSURE;
            } else if mid < GRID / 4 {
                self.pressure_goal = MAX_PRESSURE;
            }
        }
        self.pressure += (self.pressure_goal - self.pressure).signum();
    }

    /// Size that the queue `distance` ticks behind the touch returns to.
    fn goal(&self, is_bid: bool, distance: u32, depth_percent: u32) -> u32 {
        let base = self.instrument.touch_size * depth_percent * (8 + distance.min(8)) / 800;
        let lean = if is_bid { self.pressure } else { -self.pressure };
        // Buyers at work show on the bid.
        let percent = (100 + lean / 2).unsigned_abs();
        (base * percent / 100).max(2)
    }

    fn limit_event(&mut self, regime: &Regime, draft: &mut Draft<'_>) {
        let is_bid = self.rng.chance(500);
        let distance = self.rng.weighted(&DISTANCE, DISTANCE_TOTAL);
        let distance = u32::try_from(distance).unwrap_or(0);
        let side = self.side(is_bid);
        let Some(tick) = side.best().and_then(|best| side.behind(best, distance)) else {
            return self.restore(draft);
        };
        let size = side.queue(tick).size;
        let n_orders = side.queue(tick).orders.len();
        let goal = self.goal(is_bid, distance, regime.depth);
        // 50 % at the goal, 90 % at an empty queue, 10 % at twice the goal.
        let add = 900u32.saturating_sub(400 * size.min(goal * 2) / goal);
        if n_orders == 0 || self.rng.chance(add) {
            return self.add(is_bid, tick, draft);
        }
        let position = self.rng.below(u32::try_from(n_orders).unwrap_or(u32::MAX)) as usize;
        if self.rng.chance(330) {
            return self.modify(is_bid, tick, position, draft);
        }
        self.cancel(is_bid, tick, position, draft);
    }

    /// Closes the spread by one tick, on the side that the pressure favours.
    fn tighten(&mut self, bid: u32, ask: u32, draft: &mut Draft<'_>) {
        let is_bid = self.favours_buyers();
        self.add(is_bid, if is_bid { bid + 1 } else { ask - 1 }, draft);
    }

    /// A first order on an empty side.
    fn restore(&mut self, draft: &mut Draft<'_>) {
        let away = 1 + self.rng.below(2);
        let (is_bid, tick) = match (self.bids.best(), self.asks.best()) {
            (Some(bid), None) => (false, bid + away),
            (None, Some(ask)) => (true, ask - away),
            (Some(bid), Some(_)) => (true, bid),
            (None, None) => (true, GRID / 2),
        };
        self.add(is_bid, tick, draft);
    }

    /// All orders of one side are withdrawn: a one-sided book.
    fn empty_side(&mut self, draft: &mut Draft<'_>) {
        let is_bid = self.rng.chance(500);
        while let Some(tick) = self.side(is_bid).best() {
            self.cancel(is_bid, tick, 0, draft);
        }
    }

    fn favours_buyers(&mut self) -> bool {
        let percent = (50 + self.pressure / 2).unsigned_abs();
        self.rng.below(100) < percent
    }

    /// Walks the other side of the book: per price a trade, its fills, then the cancels.
    fn market_order(&mut self, regime: &Regime, draft: &mut Draft<'_>) {
        let is_buy = self.favours_buyers();
        let hit = if is_buy { &self.asks } else { &self.bids };
        let Some(touch) = hit.best() else { return self.restore(draft) };
        let mut left = SIZES[self.rng.weighted(&SIZE_WEIGHTS, 100)];
        if self.rng.chance(regime.sweep) {
            left += hit.queue(touch).size;
        }
        let mut fills = 0;
        while left > 0 && fills < MAX_FILLS {
            let hit = if is_buy { &mut self.asks } else { &mut self.bids };
            let Some(tick) = hit.best() else { break };
            let price = price_of(self.base_ticks, tick, self.instrument.tick);
            let matched = matches(hit, tick, left, MAX_FILLS - fills);
            let traded = matched.iter().map(|order| order.size).sum();
            draft.trade(&self.instrument, is_buy, price, traded, &matched);
            for order in &matched {
                hit.take(tick, 0, order.size);
            }
            fills += matched.len();
            left -= traded;
        }
    }

    fn add(&mut self, is_bid: bool, tick: u32, draft: &mut Draft<'_>) {
        let size = SIZES[self.rng.weighted(&SIZE_WEIGHTS, 100)];
        let order = Order { id: draft.next_order_id(), size };
        self.side_mut(is_bid).add(tick, order);
        draft.order(&self.instrument, 'A', is_bid, self.price(tick), order);
    }

    fn cancel(&mut self, is_bid: bool, tick: u32, position: usize, draft: &mut Draft<'_>) {
        let Some(&order) = self.side(is_bid).queue(tick).orders.get(position) else { return };
        self.side_mut(is_bid).take(tick, position, order.size);
        draft.order(&self.instrument, 'C', is_bid, self.price(tick), order);
    }

    /// Half of the modifies take size off in place, half move the order one tick.
    fn modify(&mut self, is_bid: bool, tick: u32, position: usize, draft: &mut Draft<'_>) {
        let Some(&order) = self.side(is_bid).queue(tick).orders.get(position) else { return };
        if order.size > 1 && self.rng.chance(500) {
            let cut = 1 + self.rng.below(order.size - 1);
            let order = Order { size: order.size - cut, ..order };
            self.side_mut(is_bid).take(tick, position, cut);
            return draft.order(&self.instrument, 'M', is_bid, self.price(tick), order);
        }
        let Some(to) = self.side(is_bid).behind(tick, 1) else { return };
        let side = self.side_mut(is_bid);
        side.take(tick, position, order.size);
        side.add(to, order);
        draft.order(&self.instrument, 'M', is_bid, self.price(to), order);
    }

    fn price(&self, tick: u32) -> i64 {
        price_of(self.base_ticks, tick, self.instrument.tick)
    }

    fn side(&self, is_bid: bool) -> &Side {
        if is_bid { &self.bids } else { &self.asks }
    }

    fn side_mut(&mut self, is_bid: bool) -> &mut Side {
        if is_bid { &mut self.bids } else { &mut self.asks }
    }
}

fn price_of(base_ticks: i64, tick: u32, tick_px: i64) -> i64 {
    (base_ticks + i64::from(tick)) * tick_px
}

/// The oldest orders at `tick` that `left` fills, each with its filled size.
fn matches(side: &Side, tick: u32, left: u32, most: usize) -> Vec<Order> {
    let mut left = left;
    let mut matched = Vec::new();
    for order in side.queue(tick).orders.iter().take(most) {
        if left == 0 {
            break;
        }
        let size = order.size.min(left);
        left -= size;
        matched.push(Order { size, ..*order });
    }
    matched
}
