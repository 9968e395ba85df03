//! The streaming builder of bins.

use super::{Bin, BinRule, SizeAggregate, stats};
use crate::{DepthError, LEVELS, Levels, NO_PRICE, PriceStep, SLOTS, UNDEF_PRICE, UpdateMeta};

/// Turns a stream of book updates into bins, one update at a time.
///
/// The work per update is a handful of integer additions a slot; medians are selected once a bin.
/// Memory grows with the updates of one bin only (80 bytes each, kept from bin to bin).
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
    open: Open,
    /// Prices seen last in each slot and their steps: most updates move few levels.
    last_px: [i64; SLOTS],
    last_steps: [i32; SLOTS],
    /// Sizes of the open bin, [`SLOTS`] for each update, and the slots present at each update.
    sizes: Vec<[u32; SLOTS]>,
    present: Vec<u32>,
    scratch: Vec<u32>,
    counters: Vec<u32>,
}

/// Running sums of the open bin.
#[derive(Debug, Clone, Default)]
struct Open {
    n_updates: u32,
    ts_event_first: u64,
    last: UpdateMeta,
    traded_volume: u64,
    n_present: [u32; SLOTS],
    px_sum: [i64; SLOTS],
    count_sum: [u64; SLOTS],
}

/// The bits of all slots in a presence mask.
const ALL_PRESENT: u32 = (1 << SLOTS) - 1;

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
            open: Open::default(),
            last_px: [UNDEF_PRICE; SLOTS],
            last_steps: [NO_PRICE; SLOTS],
            sizes: Vec::new(),
            present: Vec::new(),
            scratch: Vec::new(),
            counters: Vec::new(),
        })
    }

    /// Updates of the bin that is not complete yet.
    #[must_use]
    pub const fn n_pending(&self) -> u32 {
        self.open.n_updates
    }

    /// Takes in the book after an update. Returns a bin when one is complete: with the update that
    /// fills it for bins by updates and by volume, with the first update after it for bins by
    /// time.
    ///
    /// # Errors
    /// [`DepthError::PriceRange`] for a price that is too many steps, [`DepthError::UndefinedTime`]
    /// for bins by time. The update is then not counted and the open bin is as before.
    #[inline]
    pub fn push(
        &mut self,
        meta: UpdateMeta,
        book: &impl Levels,
    ) -> Result<Option<Bin>, DepthError> {
        let mut closed = None;
        let mut sizes = [0; SLOTS];
        let mut counts = [0; SLOTS];
        let present = self.read(book, &mut sizes, &mut counts)?;
        if let BinRule::TimeNs(width) = self.rule {
            if meta.ts_event == u64::MAX {
                return Err(DepthError::UndefinedTime { update: self.n_pushed });
            }
            let interval = meta.ts_event / width;
            if self.open.n_updates == 0 {
                self.interval = interval;
            } else if interval > self.interval {
                closed = self.close();
                self.interval = interval;
            }
        }
        self.add(meta, present, &sizes, &counts);
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

    /// Ends the stream or a segment of it: the bin that was being filled, if it has any update.
    /// The builder may be used on; update indices go on counting.
    pub fn finish(&mut self) -> Option<Bin> {
        self.close()
    }

    /// Reads the book into slots and returns which of them are present. Only `last_px` and
    /// `last_steps` change, and they stay a valid pair, so an error leaves no trace.
    #[inline]
    fn read(
        &mut self,
        book: &impl Levels,
        sizes: &mut [u32; SLOTS],
        counts: &mut [u32; SLOTS],
    ) -> Result<u32, DepthError> {
        let mut present = 0;
        for i in 0..LEVELS {
            let level = book.level(i);
            sizes[i] = level.bid_sz;
            counts[i] = level.bid_ct;
            sizes[LEVELS + i] = level.ask_sz;
            counts[LEVELS + i] = level.ask_ct;
            for (slot, px) in [(i, level.bid_px), (LEVELS + i, level.ask_px)] {
                if self.last_px[slot] != px {
                    self.last_steps[slot] =
                        if px == UNDEF_PRICE { NO_PRICE } else { self.step.to_steps(px)? };
                    self.last_px[slot] = px;
                }
                present |= u32::from(px != UNDEF_PRICE) << slot;
            }
        }
        Ok(present)
    }

    #[inline]
    fn add(&mut self, meta: UpdateMeta, present: u32, sizes: &[u32; SLOTS], counts: &[u32; SLOTS]) {
        let open = &mut self.open;
        if open.n_updates == 0 {
            open.ts_event_first = meta.ts_event;
        }
        open.n_updates += 1;
        open.last = meta;
        open.traded_volume += u64::from(meta.traded_size);
        self.n_pushed += 1;
        self.sizes.push(*sizes);
        self.present.push(present);
        let sums = open.px_sum.iter_mut().zip(&mut open.count_sum).zip(&mut open.n_present);
        if present == ALL_PRESENT {
            for (((px, count), n), (&steps, &orders)) in
                sums.zip(self.last_steps.iter().zip(counts))
            {
                *px += i64::from(steps);
                *count += u64::from(orders);
                *n += 1;
            }
            return;
        }
        for (slot, ((px, count), n)) in sums.enumerate() {
            if present >> slot & 1 == 1 {
                *px += i64::from(self.last_steps[slot]);
                *count += u64::from(counts[slot]);
                *n += 1;
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn close(&mut self) -> Option<Bin> {
        let open = std::mem::take(&mut self.open);
        if open.n_updates == 0 {
            return None;
        }
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
            last_bid: self.last_steps[0],
            last_ask: self.last_steps[LEVELS],
        };
        for slot in 0..SLOTS {
            let n = open.n_present[slot];
            if n == 0 {
                continue;
            }
            bin.px[slot] = floor_mean(open.px_sum[slot], n);
            self.gather(slot, n == open.n_updates);
            (bin.size[slot], bin.size_variance[slot]) = self.condense(n);
        }
        self.sizes.clear();
        self.present.clear();
        Some(bin)
    }

    /// Collects the sizes of a slot, in the order of the updates, into `scratch`.
    fn gather(&mut self, slot: usize, always_present: bool) {
        self.scratch.clear();
        if always_present {
            self.scratch.extend(self.sizes.iter().map(|sizes| sizes[slot]));
        } else {
            let updates = self.sizes.iter().zip(&self.present);
            let seen = updates.filter(|(_, present)| *present >> slot & 1 == 1);
            self.scratch.extend(seen.map(|(sizes, _)| sizes[slot]));
        }
    }

    /// The size and its variance of the `n` sizes in `scratch`.
    #[expect(clippy::cast_precision_loss, reason = "a mean rounds")]
    fn condense(&mut self, n: u32) -> (f64, f64) {
        let last = self.scratch.last().copied().unwrap_or(0);
        let mut sum = 0_u64;
        let mut sum_of_squares = 0_u128;
        for &size in &self.scratch {
            sum += u64::from(size);
            sum_of_squares += u128::from(u64::from(size) * u64::from(size));
        }
        let size = match self.aggregate {
            SizeAggregate::Median => stats::median(&mut self.scratch, &mut self.counters),
            SizeAggregate::Mean => sum as f64 / f64::from(n),
            SizeAggregate::Last => f64::from(last),
        };
        (size, stats::sample_variance(n, sum, sum_of_squares))
    }
}

/// floor(sum / n) of `n` prices in steps.
#[expect(clippy::cast_possible_truncation, reason = "the floor of a mean lies among its i32 terms")]
fn floor_mean(sum: i64, n: u32) -> i32 {
    sum.div_euclid(i64::from(n)) as i32
}
