//! Where a recursive average ends that nothing feeds any more.
//!
//! `m = m · keep` of a quiet market goes on into the subnormal numbers after some 9,000 updates:
//! products there take tens of times as long, and they lose their digits one by one, so ratios
//! drift.

use std::hint::cold_path;

/// Smallest average that is kept: what is nearer to 0 counts as 0. It is the smallest normal
/// `f32`, so series of that type get no subnormal result either.
pub(crate) const SMALLEST: f64 = 1.175_494_350_822_287_5e-38;

/// Below this, a sum of gains and losses that nothing is added to is left as it is. Their ratio is
/// what counts, and it does not change; it has all its digits as long as neither is subnormal.
pub(crate) const HELD: f64 = 1e-270;

/// Smallest of a gain and a loss that is kept beside a larger one.
pub(crate) const SMALLEST_PART: f64 = 1e-300;

/// An average, or 0 where it has decayed below [`SMALLEST`].
///
/// A branch, which is predicted, where a selection would lengthen the way from one average to the
/// next.
#[inline]
pub(crate) fn settled(mean: f64) -> f64 {
    if mean.abs() < SMALLEST {
        cold_path();
        0.0
    } else {
        mean
    }
}

/// The averages of gains and losses after a price change; the averages before it where there was no
/// change and they are small.
#[inline]
pub(crate) fn settled_parts(change: f64, before: (f64, f64), after: (f64, f64)) -> (f64, f64) {
    if after.0.min(after.1) >= HELD {
        return after;
    }
    cold_path();
    // An average over one change has no memory: it is 0 at once.
    let is_held = change == 0.0 && before.0 + before.1 < HELD && after.0 + after.1 > 0.0;
    let kept = |part: f64| if part < SMALLEST_PART { 0.0 } else { part };
    if is_held { before } else { (kept(after.0), kept(after.1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_those_of_the_types() {
        assert_eq!(SMALLEST, f64::from(f32::MIN_POSITIVE));
        const { assert!(SMALLEST_PART > f64::MIN_POSITIVE && HELD > SMALLEST_PART) };
        assert_eq!(settled(-SMALLEST / 2.0), 0.0);
        assert_eq!(settled(-SMALLEST), -SMALLEST);
    }
}
