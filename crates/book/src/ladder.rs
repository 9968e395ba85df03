//! The price levels of one side.

use crate::event::BookSide;

/// How many levels from the touch are searched one by one before bisecting the rest.
///
/// Most updates of a liquid book hit the first few levels, where a short backward scan over
/// contiguous memory beats any tree.
const LINEAR_LEVELS: usize = 12;

/// One price level. `key` grows towards the touch on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PriceLevel {
    key: i64,
    /// Sum of the orders' sizes; 2^32 orders of 2^32 each would just fit.
    pub(crate) size: u64,
    /// Number of orders; 0 for a top-of-book quote, which is not an order.
    pub(crate) count: u32,
}

/// A sorted array of levels with the touch at its end, so that the busy part moves least.
#[derive(Clone, Debug)]
pub(crate) struct Ladder {
    side: BookSide,
    levels: Vec<PriceLevel>,
}

impl Ladder {
    pub(crate) fn new(side: BookSide) -> Self {
        Self { side, levels: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.levels.len()
    }

    /// The price of the `depth`-th level from the touch, and the level.
    #[inline]
    pub(crate) fn level(&self, depth: usize) -> Option<(i64, &PriceLevel)> {
        let at = self.levels.len().checked_sub(depth + 1)?;
        let level = &self.levels[at];
        Some((self.flip(level.key), level))
    }

    pub(crate) fn best_price(&self) -> Option<i64> {
        self.level(0).map(|(price, _)| price)
    }

    /// Adds an order's size to the level at `price` and gives the level's depth.
    pub(crate) fn add(&mut self, price: i64, size: u32, orders: u32) -> usize {
        let key = self.flip(price);
        match self.find(key) {
            Ok(at) => {
                let level = &mut self.levels[at];
                level.size += u64::from(size);
                level.count = level.count.saturating_add(orders);
                self.levels.len() - 1 - at
            }
            Err(at) => {
                self.levels.insert(at, PriceLevel { key, size: u64::from(size), count: orders });
                self.levels.len() - 1 - at
            }
        }
    }

    /// Takes `size` off the level at `price`, and one order if `whole`; gives the depth the level
    /// has, or had if it is gone.
    ///
    /// `None` if there is no such level, which the caller's order table rules out.
    pub(crate) fn remove(&mut self, price: i64, size: u32, whole: bool) -> Option<usize> {
        let at = self.find(self.flip(price)).ok()?;
        let depth = self.levels.len() - 1 - at;
        let level = &mut self.levels[at];
        level.size = level.size.saturating_sub(u64::from(size));
        level.count = level.count.saturating_sub(u32::from(whole));
        if level.size == 0 && level.count == 0 {
            self.levels.remove(at);
        }
        Some(depth)
    }

    pub(crate) fn clear(&mut self) {
        self.levels.clear();
    }

    /// Price to key and back: `!x` is `-x - 1`, which reverses the order and cannot overflow.
    #[inline]
    fn flip(&self, price: i64) -> i64 {
        match self.side {
            BookSide::Bid => price,
            BookSide::Ask => !price,
        }
    }

    /// Position of `key`, or where it belongs.
    #[inline]
    fn find(&self, key: i64) -> Result<usize, usize> {
        let near = self.levels.len().saturating_sub(LINEAR_LEVELS);
        for at in (near..self.levels.len()).rev() {
            let here = self.levels[at].key;
            if here == key {
                return Ok(at);
            }
            if here < key {
                return Err(at + 1);
            }
        }
        self.levels[..near].binary_search_by_key(&key, |level| level.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices(ladder: &Ladder) -> Vec<i64> {
        (0..ladder.len()).map(|d| ladder.level(d).unwrap().0).collect()
    }

    #[test]
    fn both_sides_run_from_the_touch_outwards() {
        let (mut bids, mut asks) = (Ladder::new(BookSide::Bid), Ladder::new(BookSide::Ask));
        for price in [5, -3, i64::MIN, 7, i64::MAX - 1, 0] {
            bids.add(price, 1, 1);
            asks.add(price, 1, 1);
        }
        assert_eq!(prices(&bids), [i64::MAX - 1, 7, 5, 0, -3, i64::MIN]);
        assert_eq!(prices(&asks), [i64::MIN, -3, 0, 5, 7, i64::MAX - 1]);
    }

    #[test]
    fn depth_is_counted_from_the_touch_beyond_the_linear_part() {
        let mut asks = Ladder::new(BookSide::Ask);
        for price in 0..100 {
            assert_eq!(asks.add(price, 2, 1), usize::try_from(price).unwrap());
        }
        assert_eq!(asks.remove(40, 2, true), Some(40));
        assert_eq!(asks.remove(40, 2, true), None);
        assert_eq!(asks.add(40, 9, 1), 40);
        assert_eq!(asks.level(40).map(|(price, level)| (price, level.size)), Some((40, 9)));
    }

    #[test]
    fn sizes_beyond_32_bits_are_kept() {
        let mut bids = Ladder::new(BookSide::Bid);
        for _ in 0..3 {
            bids.add(1, u32::MAX, 1);
        }
        assert_eq!(bids.level(0).unwrap().1.size, 3 * u64::from(u32::MAX));
        bids.remove(1, u32::MAX, true);
        assert_eq!(bids.level(0).unwrap().1.size, 2 * u64::from(u32::MAX));
    }
}
