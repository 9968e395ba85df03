use crate::error::check_period;
use crate::floor::settled;
use crate::indicator::{Indicator, real};
use crate::lanes::sums;
use crate::rolling::RollingSum;
use crate::{Real, SignalError};

/// Simple moving average, streaming twin of [`sma`].
#[derive(Debug, Clone)]
pub struct Sma {
    sum: RollingSum,
    weight: f64,
}

impl Sma {
    /// The mean of `period` values.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] for a period of 0.
    pub fn new(period: usize) -> Result<Self, SignalError> {
        check_period("sma period", period, 1)?;
        Ok(Self { sum: RollingSum::new(period), weight: 1.0 / real(period) })
    }
}

impl Indicator for Sma {
    #[inline]
    fn update(&mut self, value: f64) -> f64 {
        self.sum.push(value) * self.weight
    }
}

/// Exponential moving average, streaming twin of [`ema`].
#[derive(Debug, Clone)]
pub struct Ema {
    period: usize,
    n_seen: usize,
    weight: f64,
    keep: f64,
    mean: f64,
}

impl Ema {
    /// An average with weight `2 / (period + 1)` on the newest value.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] for a period of 0.
    pub fn new(period: usize) -> Result<Self, SignalError> {
        check_period("ema period", period, 1)?;
        let weight = 2.0 / real(period.saturating_add(1));
        Ok(Self { period, n_seen: 0, weight, keep: 1.0 - weight, mean: 0.0 })
    }
}

impl Indicator for Ema {
    #[inline]
    fn update(&mut self, value: f64) -> f64 {
        if !value.is_finite() {
            return f64::NAN;
        }
        if self.n_seen < self.period {
            // The mean so far: after `period` values it is the seed.
            self.n_seen += 1;
            self.mean += (value - self.mean) / real(self.n_seen);
            if self.n_seen < self.period {
                return f64::NAN;
            }
        } else {
            // Two operations on the way from mean to mean; `m += (x - m) · w` has three.
            self.mean = settled(self.mean * self.keep + value * self.weight);
        }
        self.mean
    }
}

/// Simple moving average of the last `period` values, `Σ x / period` (TA-Lib's SMA; Murphy,
/// *Technical Analysis of the Financial Markets*, 1999, chapter 9).
///
/// The first `period - 1` values are null, and so is every value with a null in its window.
///
/// # Errors
/// [`SignalError::Parameter`] for a period of 0.
pub fn sma<T: Real>(values: &[T], period: usize) -> Result<Vec<T>, SignalError> {
    let weight = Sma::new(period)?.weight;
    Ok(sums(values, period, |sum| T::from_f64(sum * weight)))
}

/// Exponential moving average `m += (x - m) · 2 / (period + 1)`, seeded with the plain mean of the
/// first `period` values as TA-Lib does.
///
/// The first `period - 1` values are null; a null input gives null and leaves the average.
///
/// # Errors
/// [`SignalError::Parameter`] for a period of 0.
pub fn ema<T: Real>(values: &[T], period: usize) -> Result<Vec<T>, SignalError> {
    let mut twin = Ema::new(period)?;
    let mut out = vec![T::NULL; values.len()];
    let mut places = out.iter_mut().zip(values);
    while twin.n_seen < period
        && let Some((out, value)) = places.next()
    {
        *out = T::from_f64(twin.update(value.to_f64()));
    }
    // Warm: what `update` does then, with all of its state in registers.
    let (weight, keep, mut mean) = (twin.weight, twin.keep, twin.mean);
    for (out, value) in places {
        let value = value.to_f64();
        if value.is_finite() {
            mean = settled(mean * keep + value * weight);
            *out = T::from_f64(mean);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indicator::tests::{NULL, check};
    use proptest::prelude::*;

    #[test]
    fn hand_computed() {
        check(&sma(&[1.0, 2.0, 6.0, 1.0], 3).unwrap(), &[NULL, NULL, 3.0, 3.0]);
        // weight 0.5, seed 3: 3 + (1 - 3)/2 = 2, 2 + (4 - 2)/2 = 3
        check(&ema(&[1.0, 2.0, 6.0, 1.0, 4.0], 3).unwrap(), &[NULL, NULL, 3.0, 2.0, 3.0]);
    }

    #[test]
    fn special_series() {
        for f in [sma::<f64>, ema::<f64>] {
            check(&f(&[], 3).unwrap(), &[]);
            check(&f(&[5.0], 1).unwrap(), &[5.0]);
            check(&f(&[5.0], 2).unwrap(), &[NULL]);
            check(&f(&[0.1; 4], 3).unwrap(), &[NULL, NULL, 0.1, 0.1]);
            assert!(f(&[1.0], 0).is_err());
        }
        check(&sma(&[1.0, 3.0, NULL, 5.0, 7.0], 2).unwrap(), &[NULL, 2.0, NULL, NULL, 6.0]);
        check(&ema(&[1.0, 3.0, NULL, 5.0], 2).unwrap(), &[NULL, 2.0, NULL, 4.0]);
    }

    #[test]
    fn an_average_of_zeros_ends_at_0() {
        for sign in [1.0, -1.0] {
            let mut twin = Ema::new(12).unwrap();
            for n in 0..40 {
                twin.update(sign * f64::from(n));
            }
            for _ in 0..100_000 {
                twin.update(0.0);
                assert!(!twin.mean.is_subnormal());
            }
            assert_eq!(twin.mean, 0.0);
            assert_eq!(twin.update(1.3), 1.3 * twin.weight);
        }
    }

    proptest! {
        #[test]
        fn sma_is_the_mean_of_its_window(
            values in proptest::collection::vec(prop_oneof![9 => -1e6..1e6, 1 => Just(f64::NAN)], 0..80),
            period in 1_usize..9,
        ) {
            let out: Vec<f64> = sma(&values, period).unwrap();
            for i in 0..values.len() {
                let window = (i + 1).checked_sub(period).map(|from| &values[from..=i]);
                match window {
                    Some(w) if w.iter().all(|x| x.is_finite()) => {
                        let mean = w.iter().sum::<f64>() / real(period);
                        prop_assert!((out[i] - mean).abs() < 1e-8, "{} {}", out[i], mean);
                    }
                    _ => prop_assert!(out[i].is_nan()),
                }
            }
        }
    }
}
