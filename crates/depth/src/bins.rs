//! Tick bins: a run of book updates condensed to one column of an image.

mod builder;
mod flow;
mod rule;
mod stats;

pub use builder::BinBuilder;
pub use flow::{EventCounts, OrderFlow};
pub use rule::{BinRule, CompatBins, SizeAggregate, compat_row_bins};

use crate::{NO_PRICE, SLOTS};

/// The aggregates of one bin. Slots are bids 0..10 from the touch outwards, then asks 10..20.
///
/// An update at which a level is absent is skipped in every aggregate of that slot. A slot that
/// never held a level has the price [`NO_PRICE`] and zeros.
#[derive(Debug, Clone, PartialEq)]
pub struct Bin {
    /// Event time of the first update, nanoseconds since the Unix epoch.
    pub ts_event_first: u64,
    /// Event time of the last update, nanoseconds since the Unix epoch.
    pub ts_event_last: u64,
    /// Capture time of the last update, nanoseconds since the Unix epoch.
    pub ts_recv_last: u64,
    /// Number of updates, at least 1.
    pub n_updates: u32,
    /// Sum of the traded sizes.
    pub traded_volume: u64,
    /// Index of the last update in the stream pushed to the builder, from 0.
    pub last_update: u64,
    /// floor(mean price) in steps, [`NO_PRICE`] where the level never existed.
    pub px: [i32; SLOTS],
    /// Size, aggregated by the builder's [`SizeAggregate`].
    pub size: [f64; SLOTS],
    /// Sample variance (ddof 1) of the size; 0 for a level seen once.
    pub size_variance: [f64; SLOTS],
    /// Sum of the order counts.
    pub order_count: [u64; SLOTS],
    /// Best bid of the last update in steps, or [`NO_PRICE`].
    pub last_bid: i32,
    /// Best ask of the last update in steps, or [`NO_PRICE`].
    pub last_ask: i32,
    /// Order flow; `None` where nobody knows it, as for bins of old files.
    pub flow: Option<OrderFlow>,
}

impl Bin {
    /// Whether the last update had both a bid and an ask, so that it has a mid price.
    #[must_use]
    pub const fn has_mid(&self) -> bool {
        self.last_bid != NO_PRICE && self.last_ask != NO_PRICE
    }
}
