//! Scaling of a plane's values and rounding to single precision.

use crate::Normalise;

/// Bits of an `f64` mantissa that an `f32` lacks.
const DROPPED_BITS: u64 = (1 << 29) - 1;
/// A product with the reciprocal is not trusted where its dropped bits are so near to a rounding
/// boundary, in units of the last place of an `f64`; a power of two. Its error is below two units.
const DOUBT: u64 = 4;

/// Scales the values of a plane whose largest absolute value is `largest`.
pub(super) fn scale(rule: Normalise, largest: f64, values: &[f64], out: &mut Vec<f32>) {
    out.resize(values.len(), 0.0);
    match rule {
        Normalise::None => values.iter().zip(out).for_each(|(x, y)| *y = round(*x)),
        Normalise::Constant(divisor) => divide(values, divisor, out),
        Normalise::Max if largest > 0.0 => divide(values, largest, out),
        Normalise::SignedLog if largest > 0.0 => {
            let largest = largest.ln_1p();
            for (x, y) in values.iter().zip(out) {
                *y = round(x.abs().ln_1p().copysign(*x) / largest);
            }
        }
        Normalise::Max | Normalise::SignedLog => out.fill(0.0),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest f32 is meant")]
const fn round(value: f64) -> f32 {
    value as f32
}

/// `out = f32(value / divisor)`, the quotient rounded to `f64` first, for a positive divisor.
///
/// Multiplying with the reciprocal is several times faster and gives the same `f32` unless the
/// quotient lies next to the middle of two of them; a block with such a value is divided.
fn divide(values: &[f64], divisor: f64, out: &mut [f32]) {
    const BLOCK: usize = 32;
    let reciprocal = 1.0 / divisor;
    let exact = |x: &f64, y: &mut f32| *y = round(*x / divisor);
    if !reciprocal.is_normal() {
        values.iter().zip(out).for_each(|(x, y)| exact(x, y));
        return;
    }
    for (values, out) in values.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
        let mut doubts = 0;
        for (x, y) in values.iter().zip(&mut *out) {
            let quotient = x * reciprocal;
            doubts |= doubt(quotient);
            *y = round(quotient);
        }
        if doubts >> 63 == 1 {
            values.iter().zip(out).for_each(|(x, y)| exact(x, y));
        }
    }
}

/// Has its top bit set if a quotient a few units off could round to another `f32`. Made of the
/// integer operations that every 64-bit processor does on vectors; comparisons are not.
#[inline]
const fn doubt(quotient: f64) -> u64 {
    const SMALLEST_NORMAL: u64 = (f32::MIN_POSITIVE as f64).to_bits();
    let bits = quotient.to_bits();
    // The top bit of a - b tells a < b for numbers below 2^63.
    let from_middle = bits.wrapping_add(DOUBT).wrapping_sub(1 << 28) & DROPPED_BITS;
    let near_middle = from_middle.wrapping_sub(2 * DOUBT);
    // Below the smallest normal f32 more bits are dropped; zero is exact.
    let magnitude = bits & (u64::MAX >> 1);
    let tiny = magnitude.wrapping_sub(SMALLEST_NORMAL) & !magnitude.wrapping_sub(1);
    near_middle | tiny
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(values: &[f64], divisor: f64) {
        let mut out = vec![9.0; values.len()];
        divide(values, divisor, &mut out);
        for (x, y) in values.iter().zip(&out) {
            assert_eq!(y.to_bits(), round(x / divisor).to_bits(), "{x} / {divisor}");
        }
    }

    #[test]
    fn middles_and_extremes() {
        // (2k + 1) / 2^25 lies in the middle of two f32, for k near 2^24.
        let middles: Vec<f64> = (0..1_000).map(|k| f64::from((1 << 25) - 1 - 2 * k)).collect();
        for divisor in [33_554_432.0, 3.0 * 33_554_432.0, 1e-300, 5e-324, 1e300, f64::MAX] {
            let scaled: Vec<f64> = middles.iter().map(|x| x * (divisor / 33_554_432.0)).collect();
            check(&scaled, divisor);
            check(&middles, divisor);
        }
        check(&[0.0, 1e-40, -1e-40, 1e-46, 3e-310, 1.0], 1.0);
    }

    proptest! {
        #[test]
        fn equals_division(
            sizes in prop::collection::vec(-2_000_000_i32..2_000_000, 1..200),
            largest in 1_u32..2_000_000,
            fraction in 1_u32..10,
        ) {
            let values: Vec<f64> = sizes.iter().map(|&x| f64::from(x) / f64::from(fraction)).collect();
            check(&values, f64::from(largest) / 2.0);
        }
    }
}
