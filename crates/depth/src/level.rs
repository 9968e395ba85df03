//! The book as this crate sees it: ten levels a side, in fixed-point prices.

use crate::Event;

/// Levels on each side of the book.
pub const LEVELS: usize = 10;
/// Level slots of a bin: bids 0..10 from the touch outwards, then asks 10..20.
pub const SLOTS: usize = 2 * LEVELS;
/// Price rows of an image.
pub const ROWS: usize = 402;
/// The fixed-point price that means "no price".
pub const UNDEF_PRICE: i64 = i64::MAX;
/// Fixed-point price units in one unit of the currency: prices are multiples of 1e-9.
pub const PRICE_SCALE: i64 = 1_000_000_000;
/// A price in steps that does not exist.
pub const NO_PRICE: i32 = i32::MIN;

/// One level of both sides. Prices in 1e-9 units, [`UNDEF_PRICE`] where the side has no such level.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Bid price, 1e-9 units.
    pub bid_px: i64,
    /// Ask price, 1e-9 units.
    pub ask_px: i64,
    /// Bid size, in the instrument's units.
    pub bid_sz: u32,
    /// Ask size, in the instrument's units.
    pub ask_sz: u32,
    /// Number of bid orders.
    pub bid_ct: u32,
    /// Number of ask orders.
    pub ask_ct: u32,
}

impl Level {
    /// A level that neither side has.
    pub const EMPTY: Self = Self {
        bid_px: UNDEF_PRICE,
        ask_px: UNDEF_PRICE,
        bid_sz: 0,
        ask_sz: 0,
        bid_ct: 0,
        ask_ct: 0,
    };
}

impl Default for Level {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Anything that shows the ten best levels of a book.
pub trait Levels {
    /// Level `i`, 0 the touch; `i` is below [`LEVELS`].
    fn level(&self, i: usize) -> Level;
}

impl Levels for [Level; LEVELS] {
    #[inline]
    fn level(&self, i: usize) -> Level {
        self[i]
    }
}

/// What a bin needs to know about an update besides the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UpdateMeta {
    /// Exchange time, nanoseconds since the Unix epoch; `u64::MAX` if unknown.
    pub ts_event: u64,
    /// Capture time, nanoseconds since the Unix epoch.
    pub ts_recv: u64,
    /// Size traded by this update, 0 if it is no trade.
    pub traded_size: u32,
    /// What its record says happened.
    pub event: Event,
}
