//! Labels that wait for the updates after a row.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use crate::Side;

/// How far after a row's last update a mid is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// The mid after so many more updates.
    Updates(u32),
    /// The last mid that is at most so many nanoseconds later.
    Ns(u64),
}

/// In the place of a number that is missing.
const NONE: i64 = i64::MIN;
/// Bits of what is known of the next change and the next trade.
const UP: u8 = 1;
const DOWN: u8 = 2;
const BUY: u8 = 4;
const SELL: u8 = 8;

/// What came after each row: filled by a [`NextWatch`], some ten bytes a row and eight for each reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NextRows {
    change_ns: Vec<i64>,
    marks: Vec<u8>,
    later: Vec<Vec<i64>>,
}

impl NextRows {
    /// Twice the mid that reach number `of` looks up for a row, in price steps; `None` where the run
    /// of rows ends before it, or there is no mid at that time.
    #[must_use]
    pub fn later(&self, row: usize, of: usize) -> Option<i64> {
        self.later.get(of)?.get(row).copied().filter(|mid| *mid != NONE)
    }

    /// Nanoseconds to the next update of another mid; `None` without one in the run, without a mid at
    /// the row, or where the feed's time goes back.
    #[must_use]
    pub fn change_ns(&self, row: usize) -> Option<i64> {
        self.change_ns.get(row).copied().filter(|ns| *ns != NONE)
    }

    /// Whether that mid is above the row's.
    #[must_use]
    pub fn is_up(&self, row: usize) -> Option<bool> {
        self.mark(row, UP, DOWN)
    }

    /// Whether a buyer took liquidity in the next trade; `None` without one in the run, or where the
    /// feed does not say its side.
    #[must_use]
    pub fn is_buy(&self, row: usize) -> Option<bool> {
        self.mark(row, BUY, SELL)
    }

    fn mark(&self, row: usize, yes: u8, no: u8) -> Option<bool> {
        let marks = self.marks.get(row).copied().unwrap_or(0);
        (marks & (yes | no) != 0).then_some(marks & yes != 0)
    }

    fn set_later(&mut self, row: usize, of: usize, mid: Option<i64>) {
        if let Some(to) = self.later.get_mut(of).and_then(|later| later.get_mut(row)) {
            *to = mid.unwrap_or(NONE);
        }
    }
}

/// Sees the updates of an instrument go by, and tells each row what came after it.
#[derive(Debug, Clone)]
pub struct NextWatch {
    reaches: Vec<Waiting>,
    /// Rows that wait for another mid than the present one, and their times.
    change: Vec<(usize, u64)>,
    /// The mid that they have.
    change_from: i64,
    /// Rows that wait for a trade.
    trade: Vec<usize>,
    /// Twice the mid after the last update, and its time.
    twice_mid: Option<i64>,
    ts_event: u64,
    n_updates: u64,
}

/// Rows that wait for one reach.
#[derive(Debug, Clone)]
enum Waiting {
    /// In the order of the updates that they wait for.
    Updates(u32, VecDeque<(u64, usize)>),
    /// The earliest time on top: times of a feed may go back.
    Ns(u64, BinaryHeap<Reverse<(u64, usize)>>),
}

impl NextWatch {
    /// Looks up these mids, besides the next change and the next trade.
    #[must_use]
    pub fn new(reaches: &[Reach]) -> Self {
        let waiting = |reach: &Reach| match *reach {
            Reach::Updates(n) => Waiting::Updates(n, VecDeque::new()),
            Reach::Ns(ns) => Waiting::Ns(ns, BinaryHeap::new()),
        };
        Self {
            reaches: reaches.iter().map(waiting).collect(),
            change: Vec::new(),
            change_from: NONE,
            trade: Vec::new(),
            twice_mid: None,
            ts_event: 0,
            n_updates: 0,
        }
    }

    /// Takes in an update: its exchange time, twice the mid after it in price steps, and of a trade the
    /// side that took liquidity.
    #[inline]
    pub fn update(
        &mut self,
        ts_event: u64,
        twice_mid: Option<i64>,
        trade: Option<Side>,
        rows: &mut NextRows,
    ) {
        self.n_updates += 1;
        if !self.reaches.is_empty() {
            self.look_up(ts_event, twice_mid, rows);
        }
        if let Some(mid) = twice_mid
            && mid != self.change_from
        {
            self.changed(mid, ts_event, rows);
        }
        if let Some(side) = trade {
            self.traded(side, rows);
        }
        (self.twice_mid, self.ts_event) = (twice_mid, ts_event);
    }

    /// Adds a row that ends with the last update.
    pub fn row(&mut self, rows: &mut NextRows) {
        let row = rows.marks.len();
        rows.marks.push(0);
        rows.change_ns.push(NONE);
        rows.later.resize_with(self.reaches.len(), Vec::new);
        rows.later.iter_mut().for_each(|later| later.push(NONE));
        if self.twice_mid.is_some() {
            self.change.push((row, self.ts_event));
        }
        self.trade.push(row);
        for reach in &mut self.reaches {
            match reach {
                Waiting::Updates(n, rows) => rows.push_back((self.n_updates + u64::from(*n), row)),
                Waiting::Ns(ns, rows) => {
                    rows.push(Reverse((self.ts_event.saturating_add(*ns), row)));
                }
            }
        }
    }

    /// Ends the run of rows: what they still wait for never comes.
    pub fn end_run(&mut self, rows: &mut NextRows) {
        for (of, reach) in self.reaches.iter_mut().enumerate() {
            match reach {
                Waiting::Updates(_, waiting) => waiting.clear(),
                Waiting::Ns(_, waiting) => {
                    while let Some(Reverse((until, row))) = waiting.pop() {
                        if until <= self.ts_event {
                            rows.set_later(row, of, self.twice_mid);
                        }
                    }
                }
            }
        }
        self.change.clear();
        self.trade.clear();
        (self.twice_mid, self.change_from) = (None, NONE);
    }

    fn look_up(&mut self, ts_event: u64, twice_mid: Option<i64>, rows: &mut NextRows) {
        for (of, reach) in self.reaches.iter_mut().enumerate() {
            match reach {
                Waiting::Updates(_, waiting) => {
                    while let Some((_, row)) =
                        waiting.pop_front_if(|(update, _)| *update <= self.n_updates)
                    {
                        rows.set_later(row, of, twice_mid);
                    }
                }
                Waiting::Ns(_, waiting) => {
                    while let Some(Reverse((until, row))) = waiting.peek().copied()
                        && until < ts_event
                    {
                        waiting.pop();
                        rows.set_later(row, of, self.twice_mid);
                    }
                }
            }
        }
    }

    /// Tells all rows that wait for another mid: they all have the one before.
    fn changed(&mut self, mid: i64, ts_event: u64, rows: &mut NextRows) {
        for (row, since) in self.change.drain(..) {
            rows.marks[row] |= if mid > self.change_from { UP } else { DOWN };
            let ns = ts_event.checked_sub(since).and_then(|ns| i64::try_from(ns).ok());
            rows.change_ns[row] = ns.unwrap_or(NONE);
        }
        self.change_from = mid;
    }

    fn traded(&mut self, side: Side, rows: &mut NextRows) {
        let mark = match side {
            Side::Bid => BUY,
            Side::Ask => SELL,
            Side::None => 0,
        };
        self.trade.drain(..).for_each(|row| rows.marks[row] |= mark);
    }
}
