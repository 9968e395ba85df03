use crate::error::check_period;
use crate::indicator::Indicator;
use crate::moving_average::Ema;
use crate::{Real, SignalError};

/// One value of [`macd`]; each field is NaN while it is null.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MacdValue {
    /// Fast minus slow average, in the unit of the prices.
    pub line: f64,
    /// Exponential average of the line.
    pub signal: f64,
    /// Line minus signal.
    pub histogram: f64,
}

/// Moving average convergence/divergence, streaming twin of [`macd`].
#[derive(Debug, Clone)]
pub struct Macd {
    fast: Ema,
    slow: Ema,
    signal: Ema,
    n_before_fast: usize,
}

impl Macd {
    /// Averages of the given periods; the usual ones are 12, 26 and 9.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] for a period of 0 or a slow period not above the fast one.
    pub fn new(fast: usize, slow: usize, signal: usize) -> Result<Self, SignalError> {
        check_period("macd fast period", fast, 1)?;
        check_period("macd signal period", signal, 1)?;
        if slow <= fast {
            return Err(SignalError::parameter("macd slow period", "above the fast period", slow));
        }
        Ok(Self {
            fast: Ema::new(fast)?,
            slow: Ema::new(slow)?,
            signal: Ema::new(signal)?,
            n_before_fast: slow - fast,
        })
    }

    /// Takes the next price.
    #[inline]
    pub fn update(&mut self, price: f64) -> MacdValue {
        if !price.is_finite() {
            return MacdValue { line: f64::NAN, signal: f64::NAN, histogram: f64::NAN };
        }
        let slow = self.slow.update(price);
        // The fast seed is the mean of the prices just before the slow one is ready.
        let fast = if self.n_before_fast > 0 {
            self.n_before_fast -= 1;
            f64::NAN
        } else {
            self.fast.update(price)
        };
        let line = fast - slow;
        let signal = self.signal.update(line);
        MacdValue { line, signal, histogram: line - signal }
    }
}

/// Moving average convergence/divergence (Appel, *Technical Analysis*, 2005): `EMA(fast) -
/// EMA(slow)`, its own EMA as signal, and their difference.
///
/// Seeds as in TA-Lib: both averages start at value `slow - 1`, the fast one from the mean of the
/// `fast` prices up to it. The line is null before that, signal and histogram for `signal - 1`
/// values more.
///
/// # Errors
/// [`SignalError::Parameter`] for a period of 0 or a slow period not above the fast one.
pub fn macd<T: Real>(
    prices: &[T],
    fast: usize,
    slow: usize,
    signal: usize,
) -> Result<Vec<MacdValue>, SignalError> {
    let mut twin = Macd::new(fast, slow, signal)?;
    Ok(prices.iter().map(|&price| twin.update(price.to_f64())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indicator::tests::{NULL, check};

    fn columns(prices: &[f64], fast: usize, slow: usize, signal: usize) -> [Vec<f64>; 3] {
        let values = macd(prices, fast, slow, signal).unwrap();
        [
            values.iter().map(|v| v.line).collect(),
            values.iter().map(|v| v.signal).collect(),
            values.iter().map(|v| v.histogram).collect(),
        ]
    }

    #[test]
    fn hand_computed() {
        // fast 1 is the price itself; slow 3 has weight 1/2 and seed 2: 2, 4, 3; line 1, 2, -1;
        // signal 2 has weight 2/3 and seed 1.5: 1.5, 1.5 - 2/3 · 2.5 = -1/6.
        let [line, signal, histogram] = columns(&[1.0, 2.0, 3.0, 6.0, 2.0], 1, 3, 2);
        check(&line, &[NULL, NULL, 1.0, 2.0, -1.0]);
        check(&signal, &[NULL, NULL, NULL, 1.5, -1.0 / 6.0]);
        check(&histogram, &[NULL, NULL, NULL, 0.5, -5.0 / 6.0]);
    }

    #[test]
    fn special_series() {
        let [line, signal, _] = columns(&[4.0; 6], 2, 3, 2);
        check(&line, &[NULL, NULL, 0.0, 0.0, 0.0, 0.0]);
        check(&signal, &[NULL, NULL, NULL, 0.0, 0.0, 0.0]);
        assert!(macd::<f64>(&[], 12, 26, 9).unwrap().is_empty());
        assert!(macd(&[1.0], 12, 26, 9).unwrap()[0].line.is_nan());
        assert!(macd(&[1.0], 26, 12, 9).is_err() && macd(&[1.0], 0, 12, 9).is_err());
        let [line, ..] = columns(&[1.0, 2.0, NULL, 3.0, 6.0], 1, 3, 1);
        check(&line, &[NULL, NULL, NULL, 1.0, 2.0]);
    }
}
