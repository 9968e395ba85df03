//! A streaming quantile sketch over tick counts: log-linear buckets, bounded size, mergeable.
//!
//! Values below 16 have a bucket each; above, every power of two is split in 16, so a bucket is at
//! most 1/16 wide and its middle at most about 3.1 % away from any value in it.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// Bucket counts written by one thread and read by any.
pub(crate) struct AtomicSketch([AtomicU64; BUCKETS]);

impl AtomicSketch {
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }

    /// QuantileSketch one value. Only the owning thread may call this: load and store are two steps.
    #[inline]
    pub(crate) fn record(&self, value: u64) {
        let slot = &self.0[bucket_of(value)];
        slot.store(slot.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }

    /// Values counted so far.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|slot| slot.load(Ordering::Acquire)).sum()
    }

    /// Adds what was counted since `seen` to `into`, moves `seen` on and returns how many values
    /// were new.
    pub(crate) fn drain(&self, seen: &mut QuantileSketch, into: &mut QuantileSketch) -> u64 {
        let mut new = 0;
        for ((slot, seen), into) in self.0.iter().zip(&mut seen.0).zip(&mut into.0) {
            let now = slot.load(Ordering::Acquire);
            new += now.wrapping_sub(*seen);
            *into += now.wrapping_sub(*seen);
            *seen = now;
        }
        new
    }
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
        let n: u64 = self.0.iter().sum();
        if n == 0 {
            return None;
        }
        let rank = (q * n as f64).ceil().max(1.0);
        let mut below = 0u64;
        let bucket = self.0.iter().position(|&count| {
            below += count;
            below as f64 >= rank
        });
        Some(middle_of(bucket.unwrap_or(BUCKETS - 1)))
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

    fn counts_of(values: &[u64]) -> QuantileSketch {
        let (sketch, mut seen, mut counts) =
            (AtomicSketch::new(), QuantileSketch::new(), QuantileSketch::new());
        values.iter().for_each(|&v| sketch.record(v));
        sketch.drain(&mut seen, &mut counts);
        counts
    }

    #[test]
    fn draining_twice_counts_once() {
        let (sketch, mut seen, mut first) =
            (AtomicSketch::new(), QuantileSketch::new(), QuantileSketch::new());
        sketch.record(100);
        sketch.drain(&mut seen, &mut first);
        let mut second = QuantileSketch::new();
        sketch.drain(&mut seen, &mut second);
        assert!(first.quantile(0.5).is_some());
        assert_eq!(second.quantile(0.5), None);
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
            let got = counts_of(&values).quantile(q).unwrap();
            values.sort_unstable();
            let wanted = (q * values.len() as f64).ceil();
            let rank = (1..values.len()).find(|&r| r as f64 >= wanted).unwrap_or(values.len());
            let exact = values[rank - 1] as f64;
            prop_assert!((got - exact).abs() <= 0.5 + exact / 31.0, "{got} against {exact}");
        }
    }
}
