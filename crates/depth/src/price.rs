//! Price steps: how fixed-point prices become whole numbers of rows.

use std::{fmt, str::FromStr};

use crate::{DepthError, PRICE_SCALE};

mod detect;

pub use detect::{STUB_FACTOR, StepDetector, is_usual_step};

/// The distance of two neighbouring price rows, in 1e-9 price units; always positive.
///
/// ```
/// use lob_depth::PriceStep;
/// let quarter: PriceStep = "0.25".parse()?;
/// assert_eq!(quarter.get(), 250_000_000);
/// assert_eq!(quarter.to_steps(4_700_250_000_000)?, 18_801);
/// # Ok::<(), lob_depth::DepthError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PriceStep {
    step: i64,
    /// 1 / step; the quotient it gives is corrected with integers.
    reciprocal: f64,
}

impl PriceStep {
    /// A step of `step` 1e-9 price units.
    ///
    /// # Errors
    /// [`DepthError::InvalidStep`] if `step` is not positive.
    pub fn new(step: i64) -> Result<Self, DepthError> {
        if step <= 0 {
            return Err(DepthError::InvalidStep { found: format!("{step}e-9") });
        }
        #[expect(clippy::cast_precision_loss, reason = "an estimate that integers correct")]
        let reciprocal = 1.0 / step as f64;
        Ok(Self { step, reciprocal })
    }

    /// The step in 1e-9 price units.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.step
    }

    /// The nearest whole number of steps of a price in 1e-9 units, ties to the even number.
    ///
    /// # Errors
    /// [`DepthError::PriceRange`] if it lies outside -(2^31 - 1)..=2^31 - 1.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked before the cast")]
    #[expect(clippy::cast_precision_loss, reason = "an estimate that integers correct")]
    pub fn to_steps(self, px: i64) -> Result<i32, DepthError> {
        const LIMIT: f64 = i32::MAX as f64;
        let estimate = px as f64 * self.reciprocal;
        if estimate.abs() >= LIMIT {
            return Err(DepthError::PriceRange { price: px, step: self.step });
        }
        // The truncated estimate is within one of the floor, and the remainder, which fits although
        // the product may not, says exactly which.
        let mut quotient = estimate as i64;
        let mut remainder = px.wrapping_sub(quotient.wrapping_mul(self.step));
        if remainder < 0 {
            quotient -= 1;
            remainder += self.step;
        } else if remainder >= self.step {
            quotient += 1;
            remainder -= self.step;
        }
        let above_half = remainder.cmp(&(self.step - remainder));
        quotient += match above_half {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => quotient & 1,
            std::cmp::Ordering::Greater => 1,
        };
        Ok(quotient as i32)
    }

    /// The price of a whole number of steps, in 1e-9 units, saturating at the ends of `i64`.
    #[must_use]
    pub fn to_price(self, steps: i32) -> i64 {
        i64::from(steps).saturating_mul(self.step)
    }
}

impl fmt::Display for PriceStep {
    /// The decimal price without trailing zeros, such as `0.25`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, nanos) = (self.step / PRICE_SCALE, self.step % PRICE_SCALE);
        if nanos == 0 {
            return write!(f, "{whole}");
        }
        write!(f, "{whole}.{}", format!("{nanos:09}").trim_end_matches('0'))
    }
}

impl FromStr for PriceStep {
    type Err = DepthError;

    /// Reads a plain or scientific decimal such as `0.25` or `1e-5`, exactly.
    fn from_str(text: &str) -> Result<Self, DepthError> {
        let invalid = || DepthError::InvalidStep { found: text.to_owned() };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                (mantissa, exponent.parse::<i32>().map_err(|_| invalid())?)
            }
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{}", fraction.trim_end_matches('0'));
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid());
        }
        let kept = i32::try_from(fraction.trim_end_matches('0').len()).map_err(|_| invalid())?;
        let scale =
            exponent.checked_sub(kept).and_then(|e| e.checked_add(9)).ok_or_else(invalid)?;
        let mut value: i64 = digits.parse().map_err(|_| invalid())?;
        for _ in 0..scale.unsigned_abs().min(20) {
            if scale > 0 {
                value = value.checked_mul(10).ok_or_else(invalid)?;
            } else if value % 10 == 0 {
                value /= 10;
            } else {
                return Err(invalid());
            }
        }
        Self::new(value).map_err(|_| invalid())
    }
}
