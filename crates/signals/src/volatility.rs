use crate::error::check_period;
use crate::floor::settled;
use crate::indicator::{Indicator, real, series};
use crate::lanes::moments;
use crate::rolling::RollingMoments;
use crate::{Real, SignalError};

/// Log return from one price to the next; NaN unless both are finite and above 0.
#[derive(Debug, Clone)]
struct LogReturn {
    previous_ln: f64,
}

impl LogReturn {
    #[inline]
    fn update(&mut self, price: f64) -> f64 {
        let ln = if price > 0.0 && price.is_finite() { price.ln() } else { f64::NAN };
        ln - std::mem::replace(&mut self.previous_ln, ln)
    }
}

/// Realised volatility, streaming twin of [`volatility`].
#[derive(Debug, Clone)]
pub struct Volatility {
    returns: LogReturn,
    moments: RollingMoments,
    weight: f64,
}

impl Volatility {
    /// The deviation of `period` log returns.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] for a period below 2.
    pub fn new(period: usize) -> Result<Self, SignalError> {
        check_period("volatility period", period, 2)?;
        Ok(Self {
            returns: LogReturn { previous_ln: f64::NAN },
            moments: RollingMoments::new(period),
            weight: 1.0 / real(period - 1),
        })
    }
}

impl Indicator for Volatility {
    #[inline]
    fn update(&mut self, price: f64) -> f64 {
        let (_, squares) = self.moments.push(self.returns.update(price));
        (squares * self.weight).sqrt()
    }
}

/// Exponentially weighted volatility, streaming twin of [`ewma_volatility`].
#[derive(Debug, Clone)]
pub struct EwmaVolatility {
    returns: LogReturn,
    lambda: f64,
    variance: f64,
}

impl EwmaVolatility {
    /// Decay `lambda` in `0..1`; RiskMetrics uses 0.94 for daily data.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] outside that range.
    pub fn new(lambda: f64) -> Result<Self, SignalError> {
        if !(0.0..1.0).contains(&lambda) {
            return Err(SignalError::parameter("lambda", "a value in 0..1", lambda));
        }
        Ok(Self { returns: LogReturn { previous_ln: f64::NAN }, lambda, variance: f64::NAN })
    }
}

impl Indicator for EwmaVolatility {
    #[inline]
    fn update(&mut self, price: f64) -> f64 {
        let change = self.returns.update(price);
        if change.is_nan() {
            return f64::NAN;
        }
        let square = change * change;
        self.variance = if self.variance.is_nan() {
            square
        } else {
            settled(self.lambda * self.variance + (1.0 - self.lambda) * square)
        };
        self.variance.sqrt()
    }
}

/// Realised volatility: sample standard deviation (ddof 1) of the last `period` log returns, per
/// step, not annualised (Andersen et al., 2003, for the name; pandas' `rolling().std()` for the
/// estimator).
///
/// The first `period` values are null, and so is one with a missing or non-positive price in its
/// window.
///
/// # Errors
/// [`SignalError::Parameter`] for a period below 2.
pub fn volatility<T: Real>(prices: &[T], period: usize) -> Result<Vec<T>, SignalError> {
    let Volatility { mut returns, weight, .. } = Volatility::new(period)?;
    let changes: Vec<f64> = prices.iter().map(|price| returns.update(price.to_f64())).collect();
    let [squares] = moments(&changes, period, |_, squares| [squares]);
    Ok(squares.into_iter().map(|squares| T::from_f64((squares * weight).sqrt())).collect())
}

/// Exponentially weighted volatility `v = λ v + (1 - λ) r²`, its root, per step (RiskMetrics
/// Technical Document, 1996, section 5.2); seeded with the first squared log return.
///
/// The first value is null; a missing price gives null at itself and its successor and leaves `v`.
///
/// # Errors
/// [`SignalError::Parameter`] for a `lambda` outside `0..1`.
pub fn ewma_volatility<T: Real>(prices: &[T], lambda: f64) -> Result<Vec<T>, SignalError> {
    Ok(series(EwmaVolatility::new(lambda)?, prices))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indicator::tests::{NULL, check};

    #[test]
    fn hand_computed_with_ddof_1() {
        // returns 1 and 3 in units of ln 2: mean 2, squares 2, divided by 1.
        let prices = [1.0, 2.0, 16.0];
        let expected = 2.0_f64.ln() * 2.0_f64.sqrt();
        check(&volatility(&prices, 2).unwrap(), &[NULL, NULL, expected]);
        // v = ln² 2, then 0.75 ln² 2 + 0.25 · 9 ln² 2 = 3 ln² 2
        let ln2 = 2.0_f64.ln();
        check(&ewma_volatility(&prices, 0.75).unwrap(), &[NULL, ln2, 3.0_f64.sqrt() * ln2]);
    }

    #[test]
    fn the_variance_of_a_price_that_stands_still_ends_at_0() {
        let mut twin = EwmaVolatility::new(0.94).unwrap();
        for n in 1..40 {
            twin.update(f64::from(n));
        }
        for _ in 0..100_000 {
            twin.update(39.0);
            assert!(!twin.variance.is_subnormal());
        }
        assert_eq!(twin.variance, 0.0);
    }

    #[test]
    fn special_series() {
        check(&volatility(&[], 2).unwrap(), &[]);
        check(&volatility(&[1.0], 2).unwrap(), &[NULL]);
        check(&volatility(&[0.3; 4], 2).unwrap(), &[NULL, NULL, 0.0, 0.0]);
        check(&ewma_volatility(&[0.3; 3], 0.9).unwrap(), &[NULL, 0.0, 0.0]);
        check(&ewma_volatility(&[], 0.9).unwrap(), &[]);
        // A price of 0 spoils both returns that touch it, then the window heals.
        let out = volatility(&[1.0, 2.0, 0.0, 1.0, 2.0, 4.0], 2).unwrap();
        check(&out, &[NULL, NULL, NULL, NULL, NULL, 0.0]);
        let out = ewma_volatility(&[1.0, 2.0, NULL, 5.0, 5.0], 0.0).unwrap();
        check(&out, &[NULL, 2.0_f64.ln(), NULL, NULL, 0.0]);
        assert!(volatility(&[1.0], 1).is_err() && ewma_volatility(&[1.0], 1.0).is_err());
    }
}
