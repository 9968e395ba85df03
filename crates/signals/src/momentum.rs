use crate::error::check_period;
use crate::indicator::{Indicator, finite_or_null};
use crate::rolling::Ring;
use crate::{Real, SignalError};

/// Price change over a lag, streaming twin of [`momentum`].
#[derive(Debug, Clone)]
pub struct Momentum {
    ring: Ring,
}

impl Momentum {
    /// The change over `period` values.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] for a period of 0.
    pub fn new(period: usize) -> Result<Self, SignalError> {
        check_period("momentum period", period, 1)?;
        Ok(Self { ring: Ring::new(period) })
    }
}

impl Indicator for Momentum {
    #[inline]
    fn update(&mut self, price: f64) -> f64 {
        let old = self.ring.oldest();
        self.ring.push(price);
        finite_or_null(price - old)
    }
}

/// Relative price change over a lag, streaming twin of [`rate_of_change`].
#[derive(Debug, Clone)]
pub struct RateOfChange {
    ring: Ring,
}

impl RateOfChange {
    /// The relative change over `period` values.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] for a period of 0.
    pub fn new(period: usize) -> Result<Self, SignalError> {
        check_period("rate of change period", period, 1)?;
        Ok(Self { ring: Ring::new(period) })
    }
}

impl Indicator for RateOfChange {
    #[inline]
    fn update(&mut self, price: f64) -> f64 {
        let old = self.ring.oldest();
        self.ring.push(price);
        finite_or_null((price - old) / old)
    }
}

/// Momentum `x[i] - x[i - period]`, in the unit of the prices (TA-Lib's MOM).
///
/// The first `period` values are null, and so is a value with a missing end.
///
/// # Errors
/// [`SignalError::Parameter`] for a period of 0.
pub fn momentum<T: Real>(prices: &[T], period: usize) -> Result<Vec<T>, SignalError> {
    check_period("momentum period", period, 1)?;
    Ok(lagged(prices, period, |now, old| now - old))
}

/// Rate of change `x[i] / x[i - period] - 1`, a fraction (TA-Lib's ROCP, pandas' `pct_change`).
///
/// The first `period` values are null, and so is a value with a missing end or a base of 0.
///
/// # Errors
/// [`SignalError::Parameter`] for a period of 0.
pub fn rate_of_change<T: Real>(prices: &[T], period: usize) -> Result<Vec<T>, SignalError> {
    check_period("rate of change period", period, 1)?;
    Ok(lagged(prices, period, |now, old| (now - old) / old))
}

/// The slice form needs no ring, so the compiler makes vector code of it; each place is written
/// once.
fn lagged<T: Real>(prices: &[T], period: usize, f: impl Fn(f64, f64) -> f64) -> Vec<T> {
    let later = prices.get(period..).unwrap_or_default();
    let mut out = Vec::with_capacity(prices.len());
    out.resize(prices.len() - later.len(), T::NULL);
    out.extend(
        later
            .iter()
            .zip(prices)
            .map(|(&now, &old)| T::from_f64(finite_or_null(f(now.to_f64(), old.to_f64())))),
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indicator::series;
    use crate::indicator::tests::{NULL, check};

    #[test]
    fn hand_computed() {
        let prices = [10.0, 12.0, 9.0, 18.0];
        check(&momentum(&prices, 2).unwrap(), &[NULL, NULL, -1.0, 6.0]);
        check(&rate_of_change(&prices, 2).unwrap(), &[NULL, NULL, -0.1, 0.5]);
    }

    #[test]
    fn special_series() {
        check(&momentum(&[], 1).unwrap(), &[]);
        check(&momentum(&[3.0], 5).unwrap(), &[NULL]);
        check(&momentum(&[3.0; 3], 1).unwrap(), &[NULL, 0.0, 0.0]);
        check(&momentum(&[1.0, NULL, 3.0, 4.0], 1).unwrap(), &[NULL, NULL, NULL, 1.0]);
        check(&momentum(&[1.0, f64::INFINITY], 1).unwrap(), &[NULL, NULL]);
        check(&rate_of_change(&[0.0, 1.0, 1.5], 1).unwrap(), &[NULL, NULL, 0.5]);
        assert!(momentum(&[1.0], 0).is_err() && rate_of_change(&[1.0], 0).is_err());
    }

    #[test]
    fn streaming_twins_agree() {
        let prices = [1.0, 3.0, NULL, 0.0, 5.0, 8.0, f64::INFINITY, 2.0];
        for period in 1..4 {
            let batch = momentum(&prices, period).unwrap();
            check(&series(Momentum::new(period).unwrap(), &prices), &batch);
            let batch = rate_of_change(&prices, period).unwrap();
            check(&series(RateOfChange::new(period).unwrap(), &prices), &batch);
        }
    }
}
