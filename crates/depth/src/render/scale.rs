//! Scaling of a plane's values and rounding to single precision.

use crate::Normalise;

/// Scales the values of a plane whose largest absolute value is `largest`.
pub(super) fn scale(rule: Normalise, largest: f64, values: &[f64], out: &mut [f32]) {
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
/// Multiplying is several times faster than dividing. The quotient lies between the products with
/// a number just below the reciprocal and one just above it; where both round to the same `f32`,
/// which they do nearly always, so does the quotient. A block with one that differs is divided.
fn divide(values: &[f64], divisor: f64, out: &mut [f32]) {
    const BLOCK: usize = 20;
    /// Four units in the last place; the reciprocal and the product are off by half of one each.
    const MARGIN: f64 = 4.0 * f64::EPSILON;
    let reciprocal = 1.0 / divisor;
    let (below, above) = (reciprocal * (1.0 - MARGIN), reciprocal * (1.0 + MARGIN));
    let exact = |x: &f64, y: &mut f32| *y = round(*x / divisor);
    if !(below.is_normal() && above.is_normal()) {
        values.iter().zip(out).for_each(|(x, y)| exact(x, y));
        return;
    }
    for (values, out) in values.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
        let mut doubts = 0;
        for (x, y) in values.iter().zip(&mut *out) {
            let (low, high) = (round(x * below), round(x * above));
            doubts |= low.to_bits() ^ high.to_bits();
            *y = low;
        }
        if doubts != 0 {
            values.iter().zip(out).for_each(|(x, y)| exact(x, y));
        }
    }
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
