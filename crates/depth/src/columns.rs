//! Bins in columns: the form images are rendered from.

use std::ops::Range;

use crate::{Bin, NO_PRICE, SLOTS};

/// A window of bins, borrowed. The planes are `n x 20` numbers, one row of 20 slots a bin; planes
/// of features that are not rendered may be empty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BinSlice<'a> {
    /// Prices in steps, [`NO_PRICE`] where a slot has none.
    pub px: &'a [i32],
    /// Aggregated sizes.
    pub size: &'a [f64],
    /// Sample variances of the size.
    pub variance: &'a [f64],
    /// Sums of order counts.
    pub count: &'a [f64],
    /// Best bid of the update the mid is taken from, in steps, or [`NO_PRICE`].
    pub last_bid: i32,
    /// Best ask of the update the mid is taken from, in steps, or [`NO_PRICE`].
    pub last_ask: i32,
}

impl BinSlice<'_> {
    /// Number of bins.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.px.len() / SLOTS
    }

    /// Whether there is no bin.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.px.is_empty()
    }
}

/// Bins in columns, owned and reusable.
///
/// The first four vectors hold 20 numbers a bin and the last two one; keep them so when filling
/// them directly.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BinColumns {
    /// Prices in steps, [`NO_PRICE`] where a slot has none.
    pub px: Vec<i32>,
    /// Aggregated sizes.
    pub size: Vec<f64>,
    /// Sample variances of the size.
    pub variance: Vec<f64>,
    /// Sums of order counts, exact up to 2^53.
    pub count: Vec<f64>,
    /// Best bid of the last update of each bin, in steps, or [`NO_PRICE`].
    pub last_bid: Vec<i32>,
    /// Best ask of the last update of each bin, in steps, or [`NO_PRICE`].
    pub last_ask: Vec<i32>,
}

impl BinColumns {
    /// Number of bins.
    #[must_use]
    pub fn len(&self) -> usize {
        self.last_bid.len()
    }

    /// Whether there is no bin.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last_bid.is_empty()
    }

    /// Appends a bin.
    #[expect(clippy::cast_precision_loss, reason = "order counts stay far below 2^53")]
    pub fn push(&mut self, bin: &Bin) {
        self.px.extend_from_slice(&bin.px);
        self.size.extend_from_slice(&bin.size);
        self.variance.extend_from_slice(&bin.size_variance);
        self.count.extend(bin.order_count.iter().map(|&count| count as f64));
        self.last_bid.push(bin.last_bid);
        self.last_ask.push(bin.last_ask);
    }

    /// Removes all bins and keeps the memory.
    pub fn clear(&mut self) {
        self.px.clear();
        self.size.clear();
        self.variance.clear();
        self.count.clear();
        self.last_bid.clear();
        self.last_ask.clear();
    }

    /// The window of these bins. Its mid is that of its last bin, or of the latest bin of the
    /// window with both sides if the last has not both.
    ///
    /// # Panics
    /// If the range reaches past the end, as slicing does.
    #[must_use]
    pub fn as_slice(&self, range: Range<usize>) -> BinSlice<'_> {
        let (bids, asks) = (&self.last_bid[range.clone()], &self.last_ask[range.clone()]);
        let (last_bid, last_ask) = latest_touch(bids, asks);
        let slots = range.start * SLOTS..range.end * SLOTS;
        let plane = |plane| slots_or_empty(plane, slots.clone());
        BinSlice {
            px: &self.px[slots.clone()],
            size: plane(&self.size),
            variance: plane(&self.variance),
            count: plane(&self.count),
            last_bid,
            last_ask,
        }
    }
}

/// A plane that was not filled stays empty in every window.
fn slots_or_empty(plane: &[f64], slots: Range<usize>) -> &[f64] {
    if plane.is_empty() { plane } else { &plane[slots] }
}

/// The best bid and ask, in steps, of the latest bin that has both; [`NO_PRICE`] twice if none.
fn latest_touch(bids: &[i32], asks: &[i32]) -> (i32, i32) {
    bids.iter()
        .zip(asks)
        .rev()
        .find(|&(&bid, &ask)| bid != NO_PRICE && ask != NO_PRICE)
        .map_or((NO_PRICE, NO_PRICE), |(&bid, &ask)| (bid, ask))
}
