//! Detection of the price step from prices seen.

use std::{collections::BTreeSet, ops::RangeInclusive};

use crate::{DepthError, PRICE_SCALE, PriceStep, UNDEF_PRICE};

/// Different prices below which no step is inferred: two prices always share a divisor.
const MIN_PRICES: usize = 3;
/// Different prices kept for the sanity check; the divisor takes in every price.
const MAX_PRICES: usize = 8_192;
/// Entries of the table that skips prices seen before; a power of two.
const SEEN_ENTRIES: usize = 1_024;
/// Largest plausible distance, in detected steps, of the two nearest prices of a book: a quarter
/// of the price rows, beyond which hardly a level would share an image with its neighbour.
const MAX_GAP_STEPS: i64 = 100;
/// How many times the usual price, or which part of it, a quote that is meant lies within.
pub const STUB_FACTOR: i64 = 32;
/// Binary fractions of a price unit that are price steps, as powers of two.
const BINARY_FRACTIONS: std::ops::RangeInclusive<u32> = 1..=9;

/// Finds the price step of an instrument as the greatest common divisor of its prices.
///
/// Negative prices, as calendar spreads have them, and zero are welcome. The result is refused
/// where it makes no sense: too few different prices, or a divisor so small beside the distances
/// of the prices that some of them cannot be on the instrument's grid. Stub quotes, such as 0.01
/// and 999999 around a price of 100, have no say.
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
    prices: BTreeSet<i64>,
    seen: Vec<i64>,
    /// Once no more prices are kept: the range of those that count, and their divisor since.
    rest: Option<(RangeInclusive<i64>, u64)>,
}

impl Default for StepDetector {
    fn default() -> Self {
        Self { prices: BTreeSet::new(), seen: vec![UNDEF_PRICE; SEEN_ENTRIES], rest: None }
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
        if self.prices.len() < MAX_PRICES {
            self.prices.insert(px);
            return;
        }
        let prices = &self.prices;
        let (range, divisor) = self.rest.get_or_insert_with(|| (usual_range(prices), 0));
        if range.contains(&px) {
            *divisor = gcd(*divisor, px.unsigned_abs());
        }
    }

    /// The price step.
    ///
    /// # Errors
    /// [`DepthError::TooFewPrices`], [`DepthError::ImplausibleStep`], or
    /// [`DepthError::PriceRange`] if the largest price is too many steps.
    pub fn finish(&self) -> Result<PriceStep, DepthError> {
        let usual: Vec<i64> = self.usual().collect();
        if usual.len() < MIN_PRICES {
            return Err(DepthError::TooFewPrices { expected: MIN_PRICES, found: usual.len() });
        }
        let gaps = usual.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
        let smallest_gap = gaps.min().unwrap_or(0);
        let rest = self.rest.as_ref().map_or(0, |(_, divisor)| *divisor);
        let divisor = usual.iter().fold(rest, |divisor, px| gcd(divisor, px.unsigned_abs()));
        // Only i64::MIN has an absolute value past i64::MAX, and it is no price of this world.
        let divisor = i64::try_from(divisor).unwrap_or(i64::MAX);
        if smallest_gap / divisor.max(1) > MAX_GAP_STEPS {
            return Err(DepthError::ImplausibleStep { divisor, smallest_gap });
        }
        fitting(divisor, &usual)
    }

    /// A price step where [`finish`](Self::finish) finds too few prices: the largest power of ten
    /// up to one price unit that divides all of them, or where that is below a hundredth, the
    /// largest binary fraction of a unit down to 1/512 that does, as bond futures are quoted.
    ///
    /// # Errors
    /// [`DepthError::PriceRange`] if the largest price is too many steps.
    pub fn guess(&self) -> Result<PriceStep, DepthError> {
        let usual: Vec<i64> = self.usual().collect();
        let divides = |step: i64| usual.iter().all(|px| px % step == 0);
        let decimal = (0..=9).map(|digits| PRICE_SCALE / 10_i64.pow(digits));
        let decimal = decimal.into_iter().find(|step| divides(*step)).unwrap_or(1);
        let binary = BINARY_FRACTIONS.map(|shift| PRICE_SCALE >> shift).find(|step| divides(*step));
        let step = binary.filter(|_| decimal < PRICE_SCALE / 100).unwrap_or(decimal);
        fitting(step, &usual)
    }

    /// The prices that count, ascending.
    fn usual(&self) -> impl Iterator<Item = i64> {
        self.prices.range(usual_range(&self.prices)).copied()
    }
}

/// Whether exchanges use such a step: 1, 2, 2.5 or 5 times a power of ten, from 1e-7 upwards, or a
/// binary fraction of a price unit down to 1/512.
#[must_use]
pub fn is_usual_step(step: i64) -> bool {
    const SMALLEST: i64 = 100;
    if step < SMALLEST {
        return false;
    }
    if BINARY_FRACTIONS.into_iter().any(|shift| PRICE_SCALE >> shift == step) {
        return true;
    }
    let mut digits = step;
    while digits % 10 == 0 {
        digits /= 10;
    }
    matches!(digits, 1 | 2 | 5 | 25)
}

/// The range around the median that holds most of the prices, if one does: what lies outside are
/// stub quotes, which need not be on the instrument's grid.
fn usual_range(prices: &BTreeSet<i64>) -> RangeInclusive<i64> {
    let median = prices.iter().nth(prices.len() / 2).copied().unwrap_or(0);
    if median > 0 {
        let range = median / STUB_FACTOR..=median.saturating_mul(STUB_FACTOR);
        if prices.range(range.clone()).count() * 2 > prices.len() {
            return range;
        }
    }
    i64::MIN..=i64::MAX
}

/// The step, if the prices are few enough steps.
fn fitting(step: i64, prices: &[i64]) -> Result<PriceStep, DepthError> {
    let step = PriceStep::new(step)?;
    for px in prices.first().into_iter().chain(prices.last()) {
        step.to_steps(*px)?;
    }
    Ok(step)
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
        let far = 3 << 40;
        check(&[far, far + 1, far + 2], Err(DepthError::PriceRange { price: far, step: 1 }));
    }

    #[test]
    fn notes_and_bonds() {
        // 102 and fractions: 1/32, half and quarter of it, 1/256.
        for step in [31_250_000, 15_625_000, 7_812_500, 3_906_250_i64] {
            let at = |n: i64| 102 * PRICE_SCALE + n * step;
            check(&[at(1), at(2), at(5), at(9)], Ok(step));
            assert!(is_usual_step(step), "{step}");
        }
        for step in [100, 50_000, 10_000_000, 250_000_000, 1_000_000_000, 20_000_000, 125_000_000] {
            assert!(is_usual_step(step), "{step}");
        }
        for step in [-10, 0, 1, 10, 300, 70_000, 15_000_000, 15_485_863, 1_250_000_000] {
            assert!(!is_usual_step(step), "{step}");
        }
    }

    #[test]
    fn a_prime_step_is_found() {
        let step = 15_485_863;
        check(&[700 * step, 701 * step, 703 * step, 710 * step], Ok(step));
    }

    #[test]
    fn stub_quotes_have_no_say() {
        let stubs = [10_000_000, 999_999 * PRICE_SCALE];
        let grid = [18_801, 18_802, 18_805, 18_700].map(|n| n * TICK);
        check(&[&stubs[..], &grid].concat(), Ok(TICK));
        check(&[&grid[..], &stubs].concat(), Ok(TICK));
        // Around zero there is no usual range; everything counts.
        check(&[-3 * TICK, -TICK, 0, TICK, 90 * TICK], Ok(TICK));
        // Beyond the prices kept too.
        let mut detector = StepDetector::default();
        for n in 0..9_000 {
            detector.push((20_000 + n) * TICK);
        }
        stubs.into_iter().for_each(|px| detector.push(px));
        assert_eq!(detector.finish().map(PriceStep::get), Ok(TICK));
        detector.push(20_001 * TICK + TICK / 2);
        assert_eq!(detector.finish().map(PriceStep::get), Ok(TICK / 2));
    }

    #[test]
    fn guesses_of_few_prices() {
        let check = |prices: &[i64], expected| {
            let mut detector = StepDetector::default();
            prices.iter().for_each(|px| detector.push(*px));
            assert_eq!(detector.guess().map(PriceStep::get), expected, "{prices:?}");
        };
        check(&[], Ok(PRICE_SCALE));
        check(&[0], Ok(PRICE_SCALE));
        check(&[4_700_250_000_000], Ok(10_000_000));
        check(&[66_050_000_000, -1_000_000_000], Ok(10_000_000));
        check(&[1], Ok(1));
        check(&[102_582_031_250], Ok(3_906_250));
        check(&[110_031_250_000, 110_500_000_000], Ok(31_250_000));
        check(&[660_050_000], Ok(10_000));
        let far = 3 << 40 | 1;
        check(&[far], Err(DepthError::PriceRange { price: far, step: 1 }));
    }
}
