use crate::Real;

/// An indicator fed one value at a time.
pub trait Indicator {
    /// Takes the next value and gives the indicator at it; NaN is null.
    fn update(&mut self, value: f64) -> f64;
}

/// The indicator at every value of a series.
pub(crate) fn series<T: Real>(mut indicator: impl Indicator, values: &[T]) -> Vec<T> {
    let mut out = vec![T::NULL; values.len()];
    for (out, value) in out.iter_mut().zip(values) {
        *out = T::from_f64(indicator.update(value.to_f64()));
    }
    out
}

/// `x`, or null where it is infinite: 0 times that is NaN, times anything else 0. Two operations
/// without a comparison, which the compiler makes vector code of.
#[inline]
pub(crate) fn finite_or_null(x: f64) -> f64 {
    x + 0.0 * x
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "periods are far below 2^52")]
pub(crate) fn real(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
pub(crate) mod tests {
    /// Asserts equality of two series within `1e-12`, with NaN equal to NaN.
    pub(crate) fn check(actual: &[f64], expected: &[f64]) {
        assert_eq!(actual.len(), expected.len());
        for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
            let same = (a.is_nan() && e.is_nan()) || (a - e).abs() <= 1e-12 * e.abs().max(1.0);
            assert!(same, "at {i}: {a} instead of {e}\n  {actual:?}\n  {expected:?}");
        }
    }

    pub(crate) const NULL: f64 = f64::NAN;

    #[test]
    fn finite_values_stay_to_the_bit() {
        for x in [0.0, -0.0, 1.5, -2.0, f64::MAX, f64::MIN_POSITIVE, 5e-324, -5e-324] {
            assert_eq!(super::finite_or_null(x).to_bits(), f64::to_bits(x), "{x}");
        }
        for x in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            assert!(super::finite_or_null(x).is_nan());
        }
    }
}
