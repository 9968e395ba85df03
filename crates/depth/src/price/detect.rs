//! Detection of the price step from prices seen.

use std::collections::BTreeSet;

use crate::{DepthError, PriceStep, UNDEF_PRICE};

/// Different prices below which no step is inferred: two prices always share a divisor.
const MIN_PRICES: usize = 3;
/// Different prices kept for the sanity check; the divisor takes in every price.
const MAX_PRICES: usize = 8_192;
/// Entries of the table that skips prices seen before; a power of two.
const SEEN_ENTRIES: usize = 1_024;
/// Largest plausible distance, in detected steps, of the two nearest prices of a book: a quarter
/// of the price rows, beyond which hardly a level would share an image with its neighbour.
const MAX_GAP_STEPS: i64 = 100;

/// Finds the price step of an instrument as the greatest common divisor of its prices.
///
/// Negative prices, as calendar spreads have them, and zero are welcome. The result is refused
/// where it makes no sense: too few different prices, or a divisor so small beside the distances
/// of the prices that some of them cannot be on the instrument's grid.
///
/// ```
/// use lob_depth::StepDetector;
/// let mut detector = StepDetector::default();
/// for px in [4_700_250_000_000, 4_700_500_000_000, 4_701_000_000_000] {
///     detector.push(px);
/// }
/// assert_eq!(detector.finish()?.to_string(), "0.25");
/// # Ok::<(), lob_depth::DepthError>(())
/// ```
#[derive(Debug, Clone)]
pub struct StepDetector {
    divisor: u64,
    largest: u64,
    prices: BTreeSet<i64>,
    seen: Vec<i64>,
}

impl Default for StepDetector {
    fn default() -> Self {
        Self {
            divisor: 0,
            largest: 0,
            prices: BTreeSet::new(),
            seen: vec![UNDEF_PRICE; SEEN_ENTRIES],
        }
    }
}

impl StepDetector {
    /// Takes in a price in 1e-9 units; [`UNDEF_PRICE`] is skipped.
    #[inline]
    pub fn push(&mut self, px: i64) {
        // Prices repeat: a multiplicative hash finds those of the recent past in one load.
        let slot = (px.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as usize;
        if px == UNDEF_PRICE || self.seen[slot] == px {
            return;
        }
        self.seen[slot] = px;
        self.divisor = gcd(self.divisor, px.unsigned_abs());
        self.largest = self.largest.max(px.unsigned_abs());
        if self.prices.len() < MAX_PRICES {
            self.prices.insert(px);
        }
    }

    /// The price step.
    ///
    /// # Errors
    /// [`DepthError::TooFewPrices`], [`DepthError::ImplausibleStep`], or
    /// [`DepthError::PriceRange`] if the largest price is too many steps.
    pub fn finish(&self) -> Result<PriceStep, DepthError> {
        if self.prices.len() < MIN_PRICES {
            return Err(DepthError::TooFewPrices {
                expected: MIN_PRICES,
                found: self.prices.len(),
            });
        }
        let smallest_gap = self
            .prices
            .iter()
            .zip(self.prices.iter().skip(1))
            .map(|(low, high)| high.saturating_sub(*low))
            .min()
            .unwrap_or(0);
        // Only i64::MIN has an absolute value past i64::MAX, and it is no price of this world.
        let divisor = i64::try_from(self.divisor).unwrap_or(i64::MAX);
        if smallest_gap / divisor.max(1) > MAX_GAP_STEPS {
            return Err(DepthError::ImplausibleStep { divisor, smallest_gap });
        }
        let step = PriceStep::new(divisor)?;
        step.to_steps(i64::try_from(self.largest).unwrap_or(i64::MAX))?;
        Ok(step)
    }
}

/// Greatest common divisor; `gcd(0, x)` is `x`.
fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prices: &[i64], expected: Result<i64, DepthError>) {
        let mut detector = StepDetector::default();
        for &px in prices {
            detector.push(px);
        }
        assert_eq!(detector.finish().map(PriceStep::get), expected, "{prices:?}");
    }

    const TICK: i64 = 250_000_000;

    #[test]
    fn finds_the_grid() {
        check(&[18_801 * TICK, 18_802 * TICK, 18_805 * TICK], Ok(TICK));
        // A calendar spread around zero, an absent price between.
        check(&[-5 * TICK, 0, UNDEF_PRICE, 3 * TICK, -5 * TICK], Ok(TICK));
        // Currencies: half pips.
        check(&[660_050_000, 660_100_000, 660_200_000, 660_000_000], Ok(50_000));
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        check(&[], Err(DepthError::TooFewPrices { expected: 3, found: 0 }));
        check(
            &[4 * TICK, UNDEF_PRICE, 5 * TICK, 4 * TICK],
            Err(DepthError::TooFewPrices { expected: 3, found: 2 }),
        );
        // One price off the grid by 1e-9.
        check(
            &[18_801 * TICK, 18_802 * TICK, 18_805 * TICK + 1, 18_900 * TICK],
            Err(DepthError::ImplausibleStep { divisor: 1, smallest_gap: TICK }),
        );
        check(&[1, 2, 3 << 40], Err(DepthError::PriceRange { price: 3 << 40, step: 1 }));
    }
}
