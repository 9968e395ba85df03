//! A streaming quantile sketch over tick counts: log-linear buckets, bounded size, mergeable.
//!
//! Values below 16 have a bucket each; above, every power of two is split in 16, so a bucket is at
//! most 1/16 wide and its middle at most about 3.1 % away from any value in it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

const SUB_BITS: u32 = 4;
const SUB: usize = 1 << SUB_BITS;
/// Largest power of two told apart: 2^47 ticks are about half a day at 3 GHz.
const MAX_EXPONENT: u32 = 47;
/// Number of buckets; the last also takes everything larger.
pub(crate) const BUCKETS: usize = (MAX_EXPONENT as usize - SUB_BITS as usize + 2) * SUB;

/// Bucket of a value.
///
/// The chain of instructions is kept short: the clock read after it waits for its end.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "less than BUCKETS after the comparison")]
pub(crate) fn bucket_of(value: u64) -> usize {
    // With the top five bits kept, (shift + 1) * 16 + bits - 16 is continuous over the powers of
    // two; below 16 the shift is 0 and the value is its own bucket.
    let shift = (value | SUB as u64).ilog2() - SUB_BITS;
    let bucket = (u64::from(shift) << SUB_BITS) + (value >> shift);
    // A branch that is never taken costs nothing; a minimum would lengthen the chain.
    if bucket < BUCKETS as u64 { bucket as usize } else { last_bucket() }
}

#[cold]
fn last_bucket() -> usize {
    BUCKETS - 1
}

/// Middle of a bucket, in ticks.
pub(crate) fn middle_of(bucket: usize) -> f64 {
    if bucket < SUB {
        return bucket as f64;
    }
    let width = (1u64 << (bucket / SUB - 1)) as f64;
    ((SUB + bucket % SUB) as f64 + 0.5) * width
}

/// Powers of two told apart; each has `SUB` buckets.
const OCTAVES: usize = BUCKETS / SUB;

/// The counts of one octave: two cache lines, made when the first value falls into them.
#[repr(C, align(128))]
pub(crate) struct Octave([AtomicU64; SUB]);

/// Octaves made at once.
const SLAB: usize = 16;

thread_local! {
    /// Octaves made and not given out yet: side by side, so that the counts of many scopes lie on
    /// few pages.
    static SLABS: Cell<&'static [Octave]> = const { Cell::new(&[]) };
}

impl Octave {
    const fn none() -> Self {
        Self([const { AtomicU64::new(0) }; SUB])
    }

    fn new() -> &'static Self {
        // While the thread is torn down, each is made by itself.
        let slab = SLABS.try_with(Cell::take).unwrap_or_default();
        let slab = if slab.is_empty() {
            Box::leak(Box::new([const { Self::none() }; SLAB]))
        } else {
            slab
        };
        let (first, rest) = slab.split_first().expect("a slab is not empty");
        let _ = SLABS.try_with(|slabs| slabs.set(rest));
        first
    }
}

/// Bucket counts written by one thread and read by any: the octaves that have counts.
pub(crate) struct AtomicSketch(AtomicPtr<Table>);

struct Table([AtomicPtr<Octave>; OCTAVES]);

impl AtomicSketch {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    fn table(&self) -> Option<&'static Table> {
        // SAFETY: the pointer is null or was stored by `octave_or_new` from a reference to a table
        // that is never freed; the acquire pairs with the release there.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    fn octave(&self, octave: usize) -> Option<&'static Octave> {
        // SAFETY: as for the table.
        unsafe { self.table()?.0[octave].load(Ordering::Acquire).as_ref() }
    }

    /// Only the owning thread may call this.
    fn octave_or_new(&self, octave: usize) -> &'static Octave {
        let table = self.table().unwrap_or_else(|| {
            let none = [const { AtomicPtr::new(std::ptr::null_mut()) }; OCTAVES];
            let made = Box::leak(Box::new(Table(none)));
            self.0.store(made, Ordering::Release);
            made
        });
        self.octave(octave).unwrap_or_else(|| {
            let made = Octave::new();
            table.0[octave].store(std::ptr::from_ref(made).cast_mut(), Ordering::Release);
            made
        })
    }

    /// Values counted so far.
    pub(crate) fn count(&self) -> u64 {
        let counts = |octave| self.octave(octave).map_or(0, Octave::count);
        (0..OCTAVES).map(counts).sum()
    }

    /// What was counted since `seen`, which moves on.
    pub(crate) fn news(&self, seen: &mut Counts) -> Counts {
        let mut news = Counts::default();
        if self.table().is_none() {
            return news;
        }
        for octave in 0..OCTAVES {
            let Some(block) = self.octave(octave) else { continue };
            let now: [u64; SUB] = std::array::from_fn(|i| block.0[i].load(Ordering::Acquire));
            let index = u8::try_from(octave).unwrap_or(u8::MAX);
            let before = seen.0.insert(index, now).unwrap_or_default();
            if now != before {
                news.0.insert(index, std::array::from_fn(|i| now[i].wrapping_sub(before[i])));
            }
        }
        news
    }
}

impl Octave {
    fn count(&self) -> u64 {
        self.0.iter().map(|slot| slot.load(Ordering::Acquire)).sum()
    }
}

/// No octave: what a fresh `last` of [`AtomicSketch::record`] holds.
pub(crate) const NO_OCTAVE: u32 = u32::MAX;

impl AtomicSketch {
    /// Counts one value. Only the owning thread may call this: load and store are two steps.
    ///
    /// `last` and `block` keep the octave of the last value beside the scope's other figures: most
    /// calls last about as long as the one before, and find their counts without the table.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "less than OCTAVES")]
    pub(crate) fn record(&self, last: &AtomicU32, block: &AtomicPtr<Octave>, value: u64) {
        let bucket = bucket_of(value);
        let octave = (bucket >> SUB_BITS) as u32;
        let counts = if last.load(Ordering::Relaxed) == octave {
            // SAFETY: `find` stored the pointer before the index, from a reference to a block that
            // is never freed, and both are the calling thread's own.
            unsafe { &*block.load(Ordering::Relaxed) }
        } else {
            self.find(last, block, octave)
        };
        let slot = &counts.0[bucket % SUB];
        slot.store(slot.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }

    #[inline(never)]
    fn find(&self, last: &AtomicU32, block: &AtomicPtr<Octave>, octave: u32) -> &'static Octave {
        let counts = self.octave_or_new(octave as usize);
        block.store(std::ptr::from_ref(counts).cast_mut(), Ordering::Relaxed);
        last.store(octave, Ordering::Relaxed);
        counts
    }
}

/// Counts by octave, of those octaves that have any.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counts(BTreeMap<u8, [u64; SUB]>);

impl Counts {
    pub(crate) const fn none() -> Self {
        Self(BTreeMap::new())
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.values().flatten().sum()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (octave, theirs) in &other.0 {
            let mine = self.0.entry(*octave).or_default();
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        }
    }

    /// As [`QuantileSketch::quantile`].
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let buckets = self.0.iter().flat_map(|(octave, counts)| {
            counts.iter().enumerate().map(|(i, count)| (usize::from(*octave) * SUB + i, *count))
        });
        quantile(buckets, q)
    }
}

/// The middle of the bucket of rank `ceil(q * n)` among buckets in order.
fn quantile(buckets: impl Iterator<Item = (usize, u64)> + Clone, q: f64) -> Option<f64> {
    let n: u64 = buckets.clone().map(|(_, count)| count).sum();
    let rank = (q * n as f64).ceil().max(1.0);
    let mut below = 0u64;
    for (bucket, count) in buckets {
        below += count;
        if below as f64 >= rank {
            return Some(middle_of(bucket));
        }
    }
    None
}

/// Counts of whole numbers, from which quantiles are read: 720 counters, whatever their number.
///
/// A quantile is the middle of its bucket, at most 3.2 % away from the value itself; values from
/// 2^48 on are one bucket.
///
/// ```
/// let mut latencies_ns = lob_scope::QuantileSketch::new();
/// (1..=1000).for_each(|ns| latencies_ns.record(ns));
/// let median_ns = latencies_ns.quantile(0.5).unwrap();
/// assert!((484.0..=516.0).contains(&median_ns));
/// ```
#[derive(Debug, Clone)]
pub struct QuantileSketch(Vec<u64>);

impl Default for QuantileSketch {
    fn default() -> Self {
        Self::new()
    }
}

impl QuantileSketch {
    /// A sketch of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self(vec![0; BUCKETS])
    }

    /// Counts one value.
    pub fn record(&mut self, value: u64) {
        self.0[bucket_of(value)] += 1;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.fill(0);
    }

    /// Adds the counts of another sketch.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }

    /// The value at rank `ceil(q * n)` (nearest rank), as the middle of its bucket; `None` when
    /// nothing was counted. `q` is in 0..=1.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        quantile(self.0.iter().copied().enumerate(), q)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_values_have_their_own_bucket() {
        for value in 0..32u64 {
            let middle = middle_of(bucket_of(value));
            assert!((middle - value as f64).abs() <= 0.5, "{value} -> {middle}");
        }
    }

    #[test]
    fn everything_beyond_the_range_lands_in_the_last_bucket() {
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket_of((1 << 48) - 1), BUCKETS - 1);
        assert_eq!(bucket_of(0), 0);
    }

    fn record_all(values: &[u64]) -> AtomicSketch {
        let sketch = AtomicSketch::new();
        let (last, block) = (AtomicU32::new(NO_OCTAVE), AtomicPtr::default());
        values.iter().for_each(|&value| sketch.record(&last, &block, value));
        sketch
    }

    #[test]
    fn news_are_handed_out_once() {
        let sketch = record_all(&[100, 3, 100_000, 100]);
        let mut seen = Counts::default();
        let news = sketch.news(&mut seen);
        assert_eq!((news.total(), news.quantile(0.0)), (4, Some(3.0)));
        assert_eq!(sketch.news(&mut seen), Counts::default());
        sketch.record(&AtomicU32::new(NO_OCTAVE), &AtomicPtr::default(), 7);
        assert_eq!((sketch.news(&mut seen).total(), sketch.count()), (1, 5));
    }

    proptest! {
        #[test]
        fn buckets_are_monotone_and_tight(a in 0u64..1 << 47, b in 0u64..1 << 47) {
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(bucket_of(low) <= bucket_of(high));
            let error = (middle_of(bucket_of(a)) - a as f64).abs();
            prop_assert!(error <= 0.5 + a as f64 / 31.0);
        }

        #[test]
        fn quantiles_match_the_sorted_sample(
            mut values in proptest::collection::vec(1u64..1 << 40, 1..400),
            q in 0.01f64..1.0,
        ) {
            let mut plain = QuantileSketch::new();
            values.iter().for_each(|&value| plain.record(value));
            let news = record_all(&values).news(&mut Counts::default());
            let got = news.quantile(q).unwrap();
            prop_assert_eq!(Some(got), plain.quantile(q));
            prop_assert_eq!(news.total(), values.len() as u64);
            values.sort_unstable();
            let wanted = (q * values.len() as f64).ceil();
            let rank = (1..values.len()).find(|&r| r as f64 >= wanted).unwrap_or(values.len());
            let exact = values[rank - 1] as f64;
            prop_assert!((got - exact).abs() <= 0.5 + exact / 31.0, "{got} against {exact}");
        }
    }
}
