use crate::error::{check_length, check_period};
use crate::floor::settled;
use crate::indicator::real;
use crate::rolling::{RollingMoments, RollingSum};
use crate::{Real, SignalError};

/// Average true range, streaming twin of [`atr`].
#[derive(Debug, Clone)]
pub struct Atr {
    period: usize,
    n_ranges: usize,
    weight: f64,
    keep: f64,
    previous_close: f64,
    mean: f64,
}

impl Atr {
    /// Wilder's average of `period` true ranges; the usual period is 14.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] for a period of 0.
    pub fn new(period: usize) -> Result<Self, SignalError> {
        check_period("atr period", period, 1)?;
        let weight = 1.0 / real(period);
        let (keep, previous_close) = (1.0 - weight, f64::NAN);
        Ok(Self { period, n_ranges: 0, weight, keep, previous_close, mean: 0.0 })
    }

    /// Takes the high, low and close of the next bar.
    #[inline]
    pub fn update(&mut self, high: f64, low: f64, close: f64) -> f64 {
        if !(high.is_finite() && low.is_finite() && close.is_finite()) {
            return f64::NAN;
        }
        let previous = std::mem::replace(&mut self.previous_close, close);
        if previous.is_nan() {
            return f64::NAN;
        }
        let range = true_range(high, low, previous);
        if self.n_ranges < self.period {
            self.n_ranges += 1;
            self.mean += (range - self.mean) / real(self.n_ranges);
            if self.n_ranges < self.period {
                return f64::NAN;
            }
        } else {
            self.mean = settled(self.mean * self.keep + range * self.weight);
        }
        self.mean
    }
}

/// The longest of the bar and its ends' distances to the close before; all finite, so a plain
/// comparison will do, which is one instruction.
#[inline]
fn true_range(high: f64, low: f64, previous_close: f64) -> f64 {
    let larger = |a: f64, b: f64| if a > b { a } else { b };
    let distance = larger((high - previous_close).abs(), (low - previous_close).abs());
    larger(high - low, distance)
}

/// Average true range (Wilder, 1978), in price units: the mean of the first `period` true ranges,
/// then `m += (range - m) / period`. The first `period` values are null.
///
/// # Errors
/// [`SignalError::Parameter`] for a period of 0, [`SignalError::Length`] for unequal columns.
pub fn atr<T: Real>(
    high: &[T],
    low: &[T],
    close: &[T],
    period: usize,
) -> Result<Vec<T>, SignalError> {
    check_length("the low column", high.len(), low.len())?;
    check_length("the close column", high.len(), close.len())?;
    let mut twin = Atr::new(period)?;
    let mut out = vec![T::NULL; high.len()];
    let mut bars = out.iter_mut().zip(high.iter().zip(low).zip(close));
    while twin.n_ranges < period
        && let Some((out, ((h, l), c))) = bars.next()
    {
        *out = T::from_f64(twin.update(h.to_f64(), l.to_f64(), c.to_f64()));
    }
    // Warm: what `update` does then, with all of its state in registers.
    let Atr { weight, keep, previous_close: mut previous, mut mean, .. } = twin;
    for (out, ((h, l), c)) in bars {
        let (h, l, c) = (h.to_f64(), l.to_f64(), c.to_f64());
        if h.is_finite() & l.is_finite() & c.is_finite() {
            let range = true_range(h, l, previous);
            previous = c;
            mean = settled(mean * keep + range * weight);
            *out = T::from_f64(mean);
        }
    }
    Ok(out)
}

/// Volume-weighted average price, streaming twin of [`vwap`].
#[derive(Debug, Clone)]
pub struct Vwap {
    value: RollingSum,
    volume: RollingSum,
}

impl Vwap {
    /// Over the last `period` trades or bins.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] for a period of 0.
    pub fn new(period: usize) -> Result<Self, SignalError> {
        check_period("vwap period", period, 1)?;
        Ok(Self { value: RollingSum::new(period), volume: RollingSum::new(period) })
    }

    /// Takes the next price and the volume traded at it.
    #[inline]
    pub fn update(&mut self, price: f64, volume: f64) -> f64 {
        let value = self.value.push(price * volume);
        let volume = self.volume.push(volume);
        if volume > 0.0 { value / volume } else { f64::NAN }
    }
}

/// Volume-weighted average price of the last `period` entries, `Σ p v / Σ v` (Berkowitz, Logue and
/// Noser, 1988). Null in the first `period - 1` values and where nothing was traded.
///
/// # Errors
/// [`SignalError::Parameter`] for a period of 0, [`SignalError::Length`] for unequal columns.
pub fn vwap<T: Real>(prices: &[T], volumes: &[T], period: usize) -> Result<Vec<T>, SignalError> {
    check_length("the volume column", prices.len(), volumes.len())?;
    let mut twin = Vwap::new(period)?;
    Ok(pairwise(prices, volumes, |p, v| twin.update(p, v)))
}

/// Kyle's lambda, streaming twin of [`kyle_lambda`].
#[derive(Debug, Clone)]
pub struct KyleLambda {
    // cov(x, y) = (var(x + y) - var(x - y)) / 4 keeps one kind of running moment.
    sum: RollingMoments,
    difference: RollingMoments,
    flow: RollingMoments,
    period: usize,
    last_volume: f64,
    /// Equal volumes in a row: a running sum of squares may keep a residue of earlier ones.
    n_equal: usize,
}

impl KyleLambda {
    /// Regression over the last `period` entries.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] for a period below 2.
    pub fn new(period: usize) -> Result<Self, SignalError> {
        check_period("kyle lambda period", period, 2)?;
        let moments = || RollingMoments::new(period);
        let (sum, difference, flow) = (moments(), moments(), moments());
        Ok(Self { sum, difference, flow, period, last_volume: f64::NAN, n_equal: 0 })
    }

    /// Takes the next price change and the signed volume that came with it.
    #[inline]
    pub fn update(&mut self, price_change: f64, signed_volume: f64) -> f64 {
        let (_, sum) = self.sum.push(price_change + signed_volume);
        let (_, difference) = self.difference.push(price_change - signed_volume);
        let (_, flow) = self.flow.push(signed_volume);
        let last = std::mem::replace(&mut self.last_volume, signed_volume);
        self.n_equal = if last - signed_volume == 0.0 { self.n_equal + 1 } else { 1 };
        if flow > 0.0 && self.n_equal < self.period {
            0.25 * (sum - difference) / flow
        } else {
            f64::NAN
        }
    }
}

/// Kyle's lambda, the price impact of order flow (Kyle, 1985): slope of the least-squares line of
/// price changes on signed volume over the last `period` entries, price per unit of size.
///
/// Null in the first `period - 1` values and where the flow does not vary.
///
/// # Errors
/// [`SignalError::Parameter`] for a period below 2, [`SignalError::Length`] for unequal columns.
pub fn kyle_lambda<T: Real>(
    price_changes: &[T],
    signed_volumes: &[T],
    period: usize,
) -> Result<Vec<T>, SignalError> {
    check_length("the signed volume column", price_changes.len(), signed_volumes.len())?;
    let mut twin = KyleLambda::new(period)?;
    Ok(pairwise(price_changes, signed_volumes, |p, v| twin.update(p, v)))
}

fn pairwise<T: Real>(a: &[T], b: &[T], mut f: impl FnMut(f64, f64) -> f64) -> Vec<T> {
    a.iter().zip(b).map(|(a, b)| T::from_f64(f(a.to_f64(), b.to_f64()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indicator::tests::{NULL, check};

    #[test]
    fn atr_by_hand() {
        // true ranges 3 (gap up), 2, 5 (gap down); period 2: 2.5, then 2.5 + (5 - 2.5)/2
        let high = [10.0, 12.0, 12.0, 8.0];
        let low = [8.0, 11.0, 10.0, 6.0];
        let close = [9.0, 11.0, 11.0, 7.0];
        check(&atr(&high, &low, &close, 2).unwrap(), &[NULL, NULL, 2.5, 3.75]);
        check(&atr::<f64>(&[], &[], &[], 2).unwrap(), &[]);
        check(&atr(&[1.0; 3], &[1.0; 3], &[1.0; 3], 1).unwrap(), &[NULL, 0.0, 0.0]);
        assert!(atr(&[1.0], &[], &[1.0], 2).is_err());
    }

    #[test]
    fn the_range_of_bars_that_stand_still_ends_at_0() {
        let mut twin = Atr::new(14).unwrap();
        for n in 0..40 {
            twin.update(f64::from(n) + 1.0, f64::from(n), f64::from(n));
        }
        for _ in 0..100_000 {
            twin.update(5.0, 5.0, 5.0);
            assert!(!twin.mean.is_subnormal());
        }
        assert_eq!(twin.mean, 0.0);
    }

    #[test]
    fn vwap_by_hand() {
        let prices = [10.0, 20.0, 40.0, NULL, 10.0, 10.0];
        let volumes = [1.0, 3.0, 1.0, 1.0, 0.0, 0.0];
        let expected = [NULL, 17.5, 25.0, NULL, NULL, NULL];
        check(&vwap(&prices, &volumes, 2).unwrap(), &expected);
        assert!(vwap(&[1.0], &[], 1).is_err());
    }

    #[test]
    fn kyle_lambda_recovers_a_slope() {
        let volumes = [3.0, -1.0, 4.0, -2.0, 5.0];
        let changes: Vec<f64> = volumes.iter().map(|v| 0.25 * v + 1.0).collect();
        let out = kyle_lambda(&changes, &volumes, 3).unwrap();
        check(&out, &[NULL, NULL, 0.25, 0.25, 0.25]);
        check(&kyle_lambda(&[1.0, 2.0], &[1.0; 2], 2).unwrap(), &[NULL, NULL]);
    }
}
