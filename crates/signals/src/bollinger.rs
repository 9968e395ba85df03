use crate::error::check_period;
use crate::indicator::real;
use crate::lanes::moments;
use crate::rolling::RollingMoments;
use crate::{Real, SignalError};

/// One value of [`bollinger`]; all fields are NaN while it is null.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bands {
    /// Mean minus `k` standard deviations.
    pub lower: f64,
    /// Mean.
    pub middle: f64,
    /// Mean plus `k` standard deviations.
    pub upper: f64,
}

impl Bands {
    /// Where `price` lies: 0 at the lower band, 1 at the upper; 0.5 when the bands coincide.
    #[must_use]
    pub fn percent_b(&self, price: f64) -> f64 {
        let width = self.upper - self.lower;
        if width == 0.0 { 0.5 } else { (price - self.lower) / width }
    }
}

/// Bollinger bands, streaming twin of [`bollinger`].
#[derive(Debug, Clone)]
pub struct Bollinger {
    moments: RollingMoments,
    period: f64,
    k: f64,
}

impl Bollinger {
    /// Bands of `k` standard deviations over `period` values; the usual ones are 20 and 2.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] for a period of 0 or a `k` that is negative or not finite.
    pub fn new(period: usize, k: f64) -> Result<Self, SignalError> {
        check_period("bollinger period", period, 1)?;
        if !(k.is_finite() && k >= 0.0) {
            return Err(SignalError::parameter("bollinger k", "a finite number from 0", k));
        }
        Ok(Self { moments: RollingMoments::new(period), period: real(period), k })
    }

    /// Takes the next price.
    #[inline]
    pub fn update(&mut self, price: f64) -> Bands {
        let (middle, squares) = self.moments.push(price);
        let reach = self.k * (squares / self.period).sqrt();
        Bands { lower: middle - reach, middle, upper: middle + reach }
    }
}

/// Bollinger bands (Bollinger, *Bollinger on Bollinger Bands*, 2001): mean ± `k` population
/// standard deviations (ddof 0) of the last `period` values.
///
/// The first `period - 1` values are null, and so is every value with a null in its window.
///
/// # Errors
/// [`SignalError::Parameter`] for a period of 0 or a `k` that is negative or not finite.
pub fn bollinger<T: Real>(prices: &[T], period: usize, k: f64) -> Result<Vec<Bands>, SignalError> {
    let [lower, middle, upper] = columns(prices, period, k)?;
    let bands = lower.into_iter().zip(middle).zip(upper);
    Ok(bands.map(|((lower, middle), upper)| Bands { lower, middle, upper }).collect())
}

/// [`bollinger`] as columns: lower, middle, upper.
pub(crate) fn columns<T: Real>(
    prices: &[T],
    period: usize,
    k: f64,
) -> Result<[Vec<f64>; 3], SignalError> {
    let twin = Bollinger::new(period, k)?;
    let [middle, mut squares] = moments(prices, period, |mean, squares| [mean, squares]);
    let mut upper = vec![0.0; prices.len()];
    // The squares make room for the lower band.
    for ((squares, upper), middle) in squares.iter_mut().zip(&mut upper).zip(&middle) {
        let reach = twin.k * (*squares / twin.period).sqrt();
        (*squares, *upper) = (middle - reach, middle + reach);
    }
    Ok([squares, middle, upper])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indicator::tests::{NULL, check};
    use proptest::prelude::*;

    #[test]
    fn hand_computed_with_ddof_0() {
        // window 1 3: mean 2, sd 1; window 3 9: mean 6, sd 3
        let bands = bollinger(&[1.0, 3.0, 9.0], 2, 2.0).unwrap();
        let column = |f: fn(&Bands) -> f64| bands.iter().map(f).collect::<Vec<_>>();
        check(&column(|b| b.lower), &[NULL, 0.0, 0.0]);
        check(&column(|b| b.middle), &[NULL, 2.0, 6.0]);
        check(&column(|b| b.upper), &[NULL, 4.0, 12.0]);
        assert_eq!(bands[2].percent_b(9.0), 0.75);
    }

    #[test]
    fn special_series() {
        let flat = bollinger(&[0.1; 5], 3, 2.0).unwrap();
        assert_eq!(flat[4], Bands { lower: 0.1, middle: 0.1, upper: 0.1 });
        assert_eq!(flat[4].percent_b(0.1), 0.5);
        assert!(bollinger::<f64>(&[], 3, 2.0).unwrap().is_empty());
        assert!(bollinger(&[1.0], 3, 2.0).unwrap()[0].upper.is_nan());
        assert!(bollinger(&[1.0], 3, -1.0).is_err() && bollinger(&[1.0], 0, 1.0).is_err());
    }

    proptest! {
        #[test]
        fn width_is_the_two_pass_deviation(
            prices in proptest::collection::vec(5000.0..5100.0, 1..200), period in 2_usize..30,
        ) {
            for (i, band) in bollinger(&prices, period, 1.0).unwrap().iter().enumerate() {
                let Some(from) = (i + 1).checked_sub(period) else {
                    prop_assert!(band.middle.is_nan());
                    continue;
                };
                let window = &prices[from..=i];
                let mean = window.iter().sum::<f64>() / real(period);
                let var = window.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / real(period);
                // Of the variance: a jump of 100 that left the window leaves round-off of its square.
                let width = band.upper - band.middle;
                prop_assert!((width * width - var).abs() < 1e-7, "{} {}", width, var.sqrt());
            }
        }
    }
}
