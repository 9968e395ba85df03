//! The streaming builder of bins.

use super::{
    Bin, BinRule, EventCounts, SizeAggregate,
    flow::FlowSums,
    stats::{self, Run},
};
use crate::{
    DepthError, LEVELS, Level, Levels, NO_PRICE, PriceStep, SLOTS, UNDEF_PRICE, UpdateMeta,
};

/// How much older than the open bin an update may be and still count as merely late.
const LATE_NS_MAX: u64 = 1_000_000_000;

/// Turns a stream of book updates into bins, one update at a time.
///
/// Most updates change one level or none at all, so the state of a slot is kept until it changes
/// and then added once for all updates it stood for: the work per update is a comparison with the
/// book before. Memory grows with the changes inside one bin only (8 bytes each, kept from bin to
/// bin).
///
/// ```
/// use lob_depth::{BinBuilder, BinRule, Level, LEVELS, PriceStep, SizeAggregate, UpdateMeta};
/// let step = PriceStep::new(10_000)?;
/// let mut builder = BinBuilder::new(BinRule::Updates(2), SizeAggregate::Median, step)?;
/// let mut book = [Level::EMPTY; LEVELS];
/// book[0] = Level { bid_px: 660_000_000, ask_px: 660_010_000, bid_sz: 5, ask_sz: 7, bid_ct: 1, ask_ct: 2 };
/// assert_eq!(builder.push(UpdateMeta::default(), &book)?, None);
/// book[0].bid_sz = 8;
/// let bin = builder.push(UpdateMeta::default(), &book)?.expect("two updates make a bin");
/// assert_eq!((bin.px[0], bin.size[0], bin.size_variance[0]), (66_000, 6.5, 4.5));
/// # Ok::<(), lob_depth::DepthError>(())
/// ```
#[derive(Debug, Clone)]
pub struct BinBuilder {
    rule: BinRule,
    aggregate: SizeAggregate,
    step: PriceStep,
    /// Updates pushed so far, over all bins.
    n_pushed: u64,
    /// Interval of the open bin, for bins by time.
    interval: u64,
    /// Whether the last update was much older than that interval.
    is_behind: bool,
    /// Lowest and highest price of a level.
    price_bounds: (i64, i64),
    n_off_bounds: u64,
    /// All ones where the last update belongs to the segment of the next, 0 where none does.
    follows: i64,
    /// Events that belong to the next update.
    noted: Option<EventCounts>,
    open: Open,
    /// The book after the last update, and the same by slots.
    last: [Level; LEVELS],
    slots: [Slot; SLOTS],
    /// Sizes of each slot in the open bin, in the order of the updates.
    runs: [Vec<Run>; SLOTS],
    counters: Vec<u32>,
}

/// What a slot shows, and since which update of the open bin.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// [`NO_PRICE`] for an absent level.
    steps: i32,
    size: u32,
    count: u32,
    since: u32,
}

/// Running sums of the open bin; those of a slot lack what it shows now.
#[derive(Debug, Clone, Default)]
struct Open {
    n_updates: u32,
    ts_event_first: u64,
    last: UpdateMeta,
    traded_volume: u64,
    n_present: [u32; SLOTS],
    px_sum: [i64; SLOTS],
    count_sum: [u64; SLOTS],
    flow: FlowSums,
}

impl BinBuilder {
    /// A builder for one instrument.
    ///
    /// # Errors
    /// [`DepthError::EmptyBinRule`] if the rule's size is zero.
    pub fn new(
        rule: BinRule,
        aggregate: SizeAggregate,
        step: PriceStep,
    ) -> Result<Self, DepthError> {
        Ok(Self {
            rule: rule.validate()?,
            aggregate,
            step,
            n_pushed: 0,
            interval: 0,
            is_behind: false,
            price_bounds: axis(step),
            n_off_bounds: 0,
            follows: 0,
            noted: None,
            open: Open::default(),
            last: [Level::EMPTY; LEVELS],
            slots: [Slot { steps: NO_PRICE, size: 0, count: 0, since: 0 }; SLOTS],
            runs: Default::default(),
            counters: Vec::new(),
        })
    }

    /// Updates of the bin that is not complete yet.
    #[must_use]
    pub const fn n_pending(&self) -> u32 {
        self.open.n_updates
    }

    /// Levels below `lowest` or above `highest`, in 1e-9 price units, are absent from now on. No
    /// bounds go beyond the prices whose number of steps fits: that is where they are at first.
    #[inline]
    pub fn set_price_bounds(&mut self, lowest: i64, highest: i64) {
        let (least, most) = axis(self.step);
        self.price_bounds = (lowest.max(least), highest.min(most));
    }

    /// Bid plus ask after the last update, in steps, which is twice the mid; `None` unless both are
    /// there.
    #[inline]
    #[must_use]
    pub fn twice_mid(&self) -> Option<i64> {
        let (bid, ask) = (self.slots[0].steps, self.slots[LEVELS].steps);
        (bid != NO_PRICE && ask != NO_PRICE).then(|| i64::from(bid) + i64::from(ask))
    }

    /// How often a level came to stand beyond the bounds, and was absent.
    #[must_use]
    pub const fn n_off_bounds(&self) -> u64 {
        self.n_off_bounds
    }

    /// Counts events since the last update that caused none, with the next one.
    pub fn note(&mut self, events: &EventCounts) {
        let noted = self.noted.get_or_insert_default();
        for (to, from) in noted.iter_mut().flatten().zip(events.iter().flatten()) {
            *to = to.saturating_add(*from);
        }
    }

    /// Takes in the book after an update. Returns a bin when one is complete: with the update that
    /// fills it for bins by updates and by volume, with the first update after it for bins by
    /// time. A level at a price that is too many steps is absent.
    ///
    /// # Errors
    /// [`DepthError::UndefinedTime`] for bins by time. The update is then not counted and the open
    /// bin is as before.
    #[inline]
    pub fn push(
        &mut self,
        meta: UpdateMeta,
        book: &impl Levels,
    ) -> Result<Option<Bin>, DepthError> {
        let mut changed = 0_u32;
        for i in 0..LEVELS {
            changed |= u32::from(differs(book.level(i), self.last[i])) << i;
        }
        // Everything that can fail comes before anything that changes.
        let (steps, n_off) =
            if changed == 0 { ([(0, 0); LEVELS], 0) } else { self.steps(book, changed)? };
        let mut closed = None;
        if let BinRule::TimeNs(width) = self.rule {
            if meta.ts_event == u64::MAX {
                return Err(DepthError::UndefinedTime { update: self.n_pushed });
            }
            let interval = meta.ts_event / width;
            if self.open.n_updates == 0 {
                self.interval = interval;
            } else if interval > self.interval {
                closed = self.close();
                (self.interval, self.is_behind) = (interval, false);
            } else if interval < self.interval {
                closed = self.look_back(meta.ts_event, width);
            } else {
                self.is_behind = false;
            }
        }
        self.n_off_bounds += n_off;
        while changed != 0 {
            let i = changed.trailing_zeros() as usize;
            changed &= changed - 1;
            self.change(i, book.level(i), steps[i]);
        }
        self.add(meta);
        let full = match self.rule {
            BinRule::Updates(n) => self.open.n_updates >= n,
            BinRule::Volume(units) => self.open.traded_volume >= units,
            // Closed above, before the update that follows.
            BinRule::TimeNs(_) => false,
        };
        // The sums are proven exact up to 2^32 updates. A bin closed above leaves one open update.
        if full || self.open.n_updates == u32::MAX {
            closed = self.close();
        }
        Ok(closed)
    }

    /// An update older than the open bin: where a second one in a row is much older, the time of
    /// the bin was wrong, and it must not swallow all that follows.
    #[cold]
    fn look_back(&mut self, ts_event: u64, width: u64) -> Option<Bin> {
        let was_behind = self.is_behind;
        self.is_behind = self.interval * width - ts_event > LATE_NS_MAX;
        if !(was_behind && self.is_behind) {
            return None;
        }
        (self.interval, self.is_behind) = (ts_event / width, false);
        self.close()
    }

    /// Ends the stream or a segment of it: the bin that was being filled, if it has any update.
    /// The builder may be used on; update indices go on counting.
    pub fn finish(&mut self) -> Option<Bin> {
        (self.follows, self.noted) = (0, None);
        self.close()
    }

    /// Prices of the changed levels in steps, bid and ask, and how many lie beyond the bounds; those
    /// of the others are not looked at.
    #[inline]
    fn steps(
        &self,
        book: &impl Levels,
        mut changed: u32,
    ) -> Result<([(i32, i32); LEVELS], u64), DepthError> {
        let mut steps = [(0, 0); LEVELS];
        let (lowest, highest) = self.price_bounds;
        let mut n_off = 0;
        while changed != 0 {
            let i = changed.trailing_zeros() as usize;
            changed &= changed - 1;
            let (level, last) = (book.level(i), self.last[i]);
            let mut of = |px: i64, last_px: i64, slot: usize| match px {
                // A division is dear, and a change of size alone needs none.
                px if px == last_px => Ok(self.slots[slot].steps),
                px if px < lowest || px > highest => {
                    n_off += u64::from(px != UNDEF_PRICE);
                    Ok(NO_PRICE)
                }
                px => self.step.to_steps(px),
            };
            steps[i] =
                (of(level.bid_px, last.bid_px, i)?, of(level.ask_px, last.ask_px, LEVELS + i)?);
        }
        Ok((steps, n_off))
    }

    /// Puts a level in the place of the one before.
    #[inline]
    fn change(&mut self, i: usize, level: Level, (bid, ask): (i32, i32)) {
        let before = std::mem::replace(&mut self.last[i], level);
        let steps = (self.slots[i].steps, self.slots[LEVELS + i].steps);
        self.open.flow.level(i, (before, steps), (level, (bid, ask)), self.follows);
        self.set(i, bid, level.bid_sz, level.bid_ct);
        self.set(LEVELS + i, ask, level.ask_sz, level.ask_ct);
    }

    #[inline]
    fn set(&mut self, slot: usize, steps: i32, size: u32, count: u32) {
        let now = self.slots[slot];
        if (now.steps, now.size, now.count) != (steps, size, count) {
            self.settle(slot);
            self.slots[slot] = Slot { steps, size, count, since: self.open.n_updates };
        }
    }

    /// Adds what a slot shows for the updates it was so.
    #[inline]
    fn settle(&mut self, slot: usize) {
        let Slot { steps, size, count, since } = self.slots[slot];
        let open = &mut self.open;
        let n = open.n_updates - since;
        if n == 0 || steps == NO_PRICE {
            return;
        }
        open.n_present[slot] += n;
        open.px_sum[slot] += i64::from(steps) * i64::from(n);
        open.count_sum[slot] += u64::from(count) * u64::from(n);
        match self.runs[slot].last_mut() {
            Some(run) if run.size == size => run.n += n,
            _ => self.runs[slot].push(Run { size, n }),
        }
    }

    #[inline]
    fn add(&mut self, meta: UpdateMeta) {
        let open = &mut self.open;
        if open.n_updates == 0 {
            open.ts_event_first = meta.ts_event;
        }
        open.n_updates += 1;
        open.last = meta;
        open.traded_volume += u64::from(meta.traded_size);
        open.flow.event(meta.event, meta.traded_size);
        if let Some(noted) = self.noted.take() {
            open.flow.events(&noted);
        }
        self.follows = -1;
        self.n_pushed += 1;
    }

    #[cold]
    #[inline(never)]
    fn close(&mut self) -> Option<Bin> {
        if self.open.n_updates == 0 {
            return None;
        }
        (0..SLOTS).for_each(|slot| self.settle(slot));
        let open = std::mem::take(&mut self.open);
        let touch = |slot: usize| (self.slots[slot].steps, self.slots[slot].size);
        let flow = open.flow.finish(open.n_updates, touch(0), touch(LEVELS));
        let mut bin = Bin {
            ts_event_first: open.ts_event_first,
            ts_event_last: open.last.ts_event,
            ts_recv_last: open.last.ts_recv,
            n_updates: open.n_updates,
            traded_volume: open.traded_volume,
            last_update: self.n_pushed - 1,
            px: [NO_PRICE; SLOTS],
            size: [0.0; SLOTS],
            size_variance: [0.0; SLOTS],
            order_count: open.count_sum,
            last_bid: self.slots[0].steps,
            last_ask: self.slots[LEVELS].steps,
            flow,
        };
        for slot in 0..SLOTS {
            self.slots[slot].since = 0;
            let n = open.n_present[slot];
            if n == 0 {
                continue;
            }
            bin.px[slot] = floor_mean(open.px_sum[slot], n);
            (bin.size[slot], bin.size_variance[slot]) = self.condense(slot, n);
            self.runs[slot].clear();
        }
        Some(bin)
    }

    /// The size and its variance of the `n` sizes of a slot. Reorders them.
    #[expect(clippy::cast_precision_loss, reason = "a mean rounds")]
    fn condense(&mut self, slot: usize, n: u32) -> (f64, f64) {
        let runs = &mut self.runs[slot];
        let mut sum = 0_u64;
        let mut sum_of_squares = 0_u128;
        for run in &*runs {
            let total = u64::from(run.size) * u64::from(run.n);
            sum += total;
            sum_of_squares += u128::from(total) * u128::from(run.size);
        }
        let size = match self.aggregate {
            SizeAggregate::Median => stats::median(runs, n, &mut self.counters),
            SizeAggregate::Mean => sum as f64 / f64::from(n),
            SizeAggregate::Last => runs.last().map_or(0.0, |run| f64::from(run.size)),
        };
        (size, stats::sample_variance(n, sum, sum_of_squares))
    }
}

/// Lowest and highest price whose number of steps fits.
fn axis(step: PriceStep) -> (i64, i64) {
    // One less than `to_steps` takes, for its estimate rounds.
    let most = step.to_price(i32::MAX - 1);
    (-most, most.min(UNDEF_PRICE - 1))
}

/// Whether two levels differ, without a branch for each field: which one it is that changed cannot
/// be foreseen.
#[inline]
const fn differs(a: Level, b: Level) -> bool {
    let prices = (a.bid_px ^ b.bid_px) | (a.ask_px ^ b.ask_px);
    let sizes = (a.bid_sz ^ b.bid_sz) | (a.ask_sz ^ b.ask_sz);
    let counts = (a.bid_ct ^ b.bid_ct) | (a.ask_ct ^ b.ask_ct);
    prices != 0 || (sizes | counts) != 0
}

/// floor(sum / n) of `n` prices in steps.
#[expect(clippy::cast_possible_truncation, reason = "the floor of a mean lies among its i32 terms")]
fn floor_mean(sum: i64, n: u32) -> i32 {
    sum.div_euclid(i64::from(n)) as i32
}
