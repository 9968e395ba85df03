use crate::error::check_period;
use crate::floor::settled_parts;
use crate::indicator::{Indicator, real};
use crate::{Real, SignalError};

/// Relative strength index, streaming twin of [`rsi`].
#[derive(Debug, Clone)]
pub struct Rsi {
    period: usize,
    n_changes: usize,
    weight: f64,
    keep: f64,
    previous: f64,
    gain: f64,
    loss: f64,
}

impl Rsi {
    /// An index over `period` price changes.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] for a period of 0.
    pub fn new(period: usize) -> Result<Self, SignalError> {
        check_period("rsi period", period, 1)?;
        let weight = 1.0 / real(period);
        let (keep, previous) = (1.0 - weight, f64::NAN);
        Ok(Self { period, n_changes: 0, weight, keep, previous, gain: 0.0, loss: 0.0 })
    }
}

impl Indicator for Rsi {
    #[inline]
    fn update(&mut self, price: f64) -> f64 {
        if !price.is_finite() {
            return f64::NAN;
        }
        let change = price - std::mem::replace(&mut self.previous, price);
        if change.is_nan() {
            return f64::NAN; // the first price
        }
        let (gain, loss) = (change.max(0.0), (-change).max(0.0));
        if self.n_changes < self.period {
            self.n_changes += 1;
            self.gain += gain / real(self.period);
            self.loss += loss / real(self.period);
            if self.n_changes < self.period {
                return f64::NAN;
            }
        } else {
            let after = (
                self.gain * self.keep + gain * self.weight,
                self.loss * self.keep + loss * self.weight,
            );
            (self.gain, self.loss) = settled_parts(change, (self.gain, self.loss), after);
        }
        let sum = self.gain + self.loss;
        // In this order a ratio of at most 1 cannot round to above 100.
        if sum == 0.0 { 50.0 } else { 100.0 * (self.gain / sum) }
    }
}

/// Relative strength index (Wilder, *New Concepts in Technical Trading Systems*, 1978), `0..=100`.
///
/// `100 · G / (G + L)`, where `G` and `L` start as the plain means of the first `period` gains and
/// losses and go on as `G += (gain - G) / period`. The first `period` values are null. A price
/// that has not moved at all gives 50, the neutral value (TA-Lib writes 0 there); one that stops
/// moving leaves the index where it is, however long (over a period of 1 there is no memory: 50).
///
/// # Errors
/// [`SignalError::Parameter`] for a period of 0.
pub fn rsi<T: Real>(prices: &[T], period: usize) -> Result<Vec<T>, SignalError> {
    let mut twin = Rsi::new(period)?;
    let mut out = vec![T::NULL; prices.len()];
    let mut places = out.iter_mut().zip(prices);
    while twin.n_changes < period
        && let Some((out, price)) = places.next()
    {
        *out = T::from_f64(twin.update(price.to_f64()));
    }
    // Warm: what `update` does then, with all of its state in registers.
    let Rsi { weight, keep, mut previous, mut gain, mut loss, .. } = twin;
    for (out, price) in places {
        let price = price.to_f64();
        if price.is_finite() {
            let change = price - std::mem::replace(&mut previous, price);
            let after =
                (gain * keep + change.max(0.0) * weight, loss * keep + (-change).max(0.0) * weight);
            (gain, loss) = settled_parts(change, (gain, loss), after);
            let sum = gain + loss;
            *out = T::from_f64(if sum == 0.0 { 50.0 } else { 100.0 * (gain / sum) });
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indicator::tests::{NULL, check};

    #[test]
    fn hand_computed() {
        // changes +2 -1 +1 | -1 +3; period 3: G = 1, L = 1/3; then G = 2/3, L = 5/9; then
        // G = 13/9, L = 10/27.
        let expected = [NULL, NULL, NULL, 75.0, 100.0 * 6.0 / 11.0, 100.0 * 39.0 / 49.0];
        check(&rsi(&[10.0, 12.0, 11.0, 12.0, 11.0, 14.0], 3).unwrap(), &expected);
    }

    #[test]
    fn a_fall_after_a_pure_rise_is_seen() {
        let values = rsi(&[1.0, 2.0, 3.0, 4.0, 5.0, 4.0], 3).unwrap();
        // G = 1 and L = 0 until the fall; then G = 2/3, L = 1/3.
        check(&values, &[NULL, NULL, NULL, 100.0, 100.0, 200.0 / 3.0]);
    }

    /// Whatever the ratio, the index stays and its averages keep all their digits.
    #[test]
    fn a_price_that_stops_leaves_the_averages_whole() {
        for (moves, period) in [
            (vec![1.0, -2.0, 3.0, 0.5, -0.25], 14),
            (vec![1e-9, -1e9, 1e-9], 2),
            (vec![-1.0; 30], 14),
            (vec![1e-3, 1e-3, -1e-3], 3),
        ] {
            let mut twin = Rsi::new(period).unwrap();
            let mut price = 100.0;
            for at in 0..200 {
                price += moves[at % moves.len()];
                twin.update(price);
            }
            let before = twin.update(price);
            for n in 1..=1_000_000_u32 {
                let now = twin.update(price);
                assert!((now - before).abs() < 1e-9, "{moves:?}: {before} to {now} after {n}");
                assert!(!twin.gain.is_subnormal() && !twin.loss.is_subnormal(), "{twin:?}");
            }
            // And it goes on from there: the change is all that counts.
            assert!((twin.update(price + 1.0) - 100.0).abs() < 1e-9);
        }
    }

    #[test]
    fn one_side_that_ends_is_0_and_no_subnormal_number() {
        let mut twin = Rsi::new(14).unwrap();
        for n in 0..100_000 {
            twin.update(if n < 20 { 100.0 - f64::from(n) } else { f64::from(n) });
            assert!(!twin.loss.is_subnormal() && !twin.gain.is_subnormal());
        }
        assert_eq!((twin.loss, twin.update(1e6)), (0.0, 100.0));
    }

    #[test]
    fn special_series() {
        check(&rsi(&[], 3).unwrap(), &[]);
        check(&rsi(&[7.0], 1).unwrap(), &[NULL]);
        check(&rsi(&[7.0; 4], 2).unwrap(), &[NULL, NULL, 50.0, 50.0]);
        check(&rsi(&[4.0, 3.0, 2.0, 1.0], 2).unwrap(), &[NULL, NULL, 0.0, 0.0]);
        // A null is skipped: the change runs from the last price that is there.
        check(&rsi(&[1.0, NULL, 2.0, 3.0], 2).unwrap(), &[NULL, NULL, NULL, 100.0]);
        assert!(rsi(&[1.0], 0).is_err());
    }
}
