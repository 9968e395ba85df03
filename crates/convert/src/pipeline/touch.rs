//! The best prices of an instrument, and which prices are stub quotes.

use lob_depth::{STUB_FACTOR, UNDEF_PRICE, twice_mid};

/// How many of the smallest spreads from the mid a price is never a stub.
const NEAR_SPREADS: i64 = 1_024;

/// The best prices, and the range that prices are meant in.
///
/// A quote such as 0.01 or 999,999 in a market at 100 stands there for rules that ask for one. It
/// is told by the last touch whose two prices are at most twice one another: what lies more than
/// [`STUB_FACTOR`] times above or below its mid, and many spreads away, is no price.
#[derive(Debug)]
pub(super) struct Touch {
    last: (i64, i64),
    twice_mid: Option<i64>,
    /// Lowest and highest price that is meant.
    usual: (i64, i64),
    smallest_spread: i64,
    has_reference: bool,
    /// Changes of the best prices to a stub.
    pub(super) n_stubs: u64,
}

impl Default for Touch {
    fn default() -> Self {
        Self {
            last: (UNDEF_PRICE, UNDEF_PRICE),
            twice_mid: None,
            usual: (i64::MIN, UNDEF_PRICE - 1),
            smallest_spread: i64::MAX,
            has_reference: false,
            n_stubs: 0,
        }
    }
}

impl Touch {
    /// Takes in the best prices; whether they changed.
    #[inline]
    pub(super) fn take(&mut self, bid: i64, ask: i64) -> bool {
        if self.last == (bid, ask) {
            return false;
        }
        self.last = (bid, ask);
        self.change(bid, ask);
        true
    }

    /// Bid plus ask; `None` unless both are there and meant.
    #[inline]
    pub(super) fn twice_mid(&self) -> Option<i64> {
        self.twice_mid
    }

    /// Lowest and highest price that is meant.
    pub(super) fn usual(&self) -> (i64, i64) {
        self.usual
    }

    /// Learns the range from the first best prices that can tell it; false once it is known.
    pub(super) fn learn(&mut self, bid: i64, ask: i64) -> bool {
        if !self.has_reference {
            self.refer(bid, ask);
        }
        !self.has_reference
    }

    fn change(&mut self, bid: i64, ask: i64) {
        self.refer(bid, ask);
        let is_meant = |px| px >= self.usual.0 && px <= self.usual.1;
        let n_stubs = [bid, ask].into_iter().filter(|px| *px != UNDEF_PRICE && !is_meant(*px));
        self.n_stubs += n_stubs.count() as u64;
        // Without a reference it cannot be told which of two such prices is the stub.
        let is_apart = !self.has_reference && bid > 0 && ask / STUB_FACTOR / STUB_FACTOR > bid;
        let has_mid = is_meant(bid) && is_meant(ask) && !is_apart;
        self.twice_mid = if has_mid { twice_mid(bid, ask).ok().flatten() } else { None };
    }

    fn refer(&mut self, bid: i64, ask: i64) {
        if bid <= 0 || ask <= 0 || ask == UNDEF_PRICE || bid == UNDEF_PRICE {
            return;
        }
        let (low, high) = (bid.min(ask), bid.max(ask));
        if high / 2 > low {
            return;
        }
        if high > low {
            self.smallest_spread = self.smallest_spread.min(high - low);
        }
        let mid = low + (high - low) / 2;
        let near = self.smallest_spread.saturating_mul(NEAR_SPREADS);
        let lowest = (mid / STUB_FACTOR).min(mid.saturating_sub(near));
        let highest = mid.saturating_mul(STUB_FACTOR).max(mid.saturating_add(near));
        self.usual = (lowest, highest.min(UNDEF_PRICE - 1));
        self.has_reference = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: i64 = 250_000_000;
    const UNIT: i64 = 1_000_000_000;

    /// Best prices one after the other, and whether each has a mid; how many stubs were there.
    fn check(prices: &[(i64, i64, bool)], n_stubs: u64) {
        let mut touch = Touch::default();
        for (n, &(bid, ask, has_mid)) in prices.iter().enumerate() {
            touch.take(bid, ask);
            let expected = has_mid.then(|| bid + ask);
            assert_eq!(touch.twice_mid(), expected, "{n} of {prices:?}");
        }
        assert_eq!(touch.n_stubs, n_stubs, "{prices:?}");
    }

    #[test]
    fn stubs_have_no_mid() {
        let at = |n: i64| 18_800 * TICK + n * TICK;
        let (low, high) = (UNIT / 100, 999_999 * UNIT);
        check(
            &[
                (low, high, false),
                (at(0), at(1), true),
                (low, at(1), false),
                (low, at(2), false),
                (at(0), high, false),
                (low, high, false),
                (at(-200), at(-198), true),
                (at(0), UNDEF_PRICE, false),
                (i64::MIN, at(0), false),
            ],
            6,
        );
        // Cheap instruments and wide markets are none.
        check(&[(UNIT, 5 * UNIT, true), (UNIT / 100, 2 * UNIT, true)], 0);
        check(&[(3 * UNIT, 3 * UNIT + UNIT / 10, true), (UNIT / 20, 3 * UNIT, true)], 0);
    }

    #[test]
    fn spreads_around_zero_have_mids() {
        check(
            &[
                (TICK, 2 * TICK, true),
                (-TICK, 0, true),
                (0, TICK, true),
                (-90 * TICK, -80 * TICK, true),
                (100 * TICK, 101 * TICK, true),
                (-TICK, 300 * TICK, true),
            ],
            0,
        );
    }

    #[test]
    fn sums_that_do_not_fit_are_no_mids() {
        check(&[(UNDEF_PRICE - 1, UNDEF_PRICE - 1, false)], 0);
        check(&[(i64::MIN, i64::MIN, false)], 0);
    }
}
