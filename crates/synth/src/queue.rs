//! The simulator's own book: per tick a queue of orders in time priority.

use std::collections::VecDeque;

/// Ticks of the price grid, rebuilt around the price at every opening.
pub(crate) const GRID: u32 = 4_096;
/// Orders rest at least this far from the ends of the grid.
const MARGIN: u32 = 8;

/// A resting order of the simulator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) id: u64,
    pub(crate) size: u32,
}

/// The orders at one price, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    pub(crate) orders: VecDeque<Order>,
    pub(crate) size: u32,
}

/// Bids or asks; tick 0 is the bottom of the grid.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) is_bid: bool,
    queues: Vec<Queue>,
    best: Option<u32>,
    n_orders: u32,
}

impl Side {
    pub(crate) fn new(is_bid: bool) -> Self {
        Self { is_bid, queues: vec![Queue::default(); GRID as usize], best: None, n_orders: 0 }
    }

    pub(crate) fn best(&self) -> Option<u32> {
        self.best
    }

    pub(crate) fn queue(&self, tick: u32) -> &Queue {
        &self.queues[tick as usize]
    }

    pub(crate) fn clear(&mut self) {
        for queue in &mut self.queues {
            queue.orders.clear();
            queue.size = 0;
        }
        self.best = None;
        self.n_orders = 0;
    }

    /// The tick `n` steps behind `from` (away from the other side); `None` off the grid.
    pub(crate) fn behind(&self, from: u32, n: u32) -> Option<u32> {
        let tick = if self.is_bid { from.checked_sub(n)? } else { from.checked_add(n)? };
        (MARGIN..GRID - MARGIN).contains(&tick).then_some(tick)
    }

    pub(crate) fn add(&mut self, tick: u32, order: Order) {
        let queue = &mut self.queues[tick as usize];
        queue.orders.push_back(order);
        queue.size += order.size;
        self.n_orders += 1;
        let is_better = |best| if self.is_bid { tick > best } else { tick < best };
        if self.best.is_none_or(is_better) {
            self.best = Some(tick);
        }
    }

    /// Takes `size` off the order at `position`; it leaves when nothing is left.
    pub(crate) fn take(&mut self, tick: u32, position: usize, size: u32) {
        let queue = &mut self.queues[tick as usize];
        let Some(order) = queue.orders.get_mut(position) else { return };
        order.size -= size;
        queue.size -= size;
        if order.size > 0 {
            return;
        }
        queue.orders.remove(position);
        self.n_orders -= 1;
        if queue.orders.is_empty() && self.best == Some(tick) {
            self.best = self.next_behind(tick);
        }
    }

    /// The next tick with orders, from `tick` outwards.
    fn next_behind(&self, tick: u32) -> Option<u32> {
        if self.n_orders == 0 {
            return None;
        }
        let has_orders = |&tick: &u32| !self.queue(tick).orders.is_empty();
        if self.is_bid {
            (0..tick).rev().find(has_orders)
        } else {
            (tick + 1..GRID).find(has_orders)
        }
    }
}
