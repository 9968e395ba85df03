//! The planes an image can have.

use std::{fmt, str::FromStr};

use crate::DepthError;

/// What one plane of an image shows.
///
/// Planes are always drawn in the order of this enum, whatever order was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// Size resting at a price, aggregated over the bin by the store's rule (median by default).
    Volume,
    /// Sample variance of that size within the bin.
    Variance,
    /// Sum over the bin of the number of resting orders. The name is the reference's: these are
    /// order counts of the book, not trades.
    TradeCounts,
    /// Change of resting size from the bin before, at each price: of the bids minus of the asks,
    /// so positive means buying pressure. With q(b, p) the aggregated size of bin b at price p,
    /// the cell is `(q_bid(b, p) - q_bid(b-1, p)) - (q_ask(b, p) - q_ask(b-1, p))`.
    ///
    /// This is order flow imbalance (Cont, Kukanov and Stoikov 2014) taken at every price instead
    /// of at the best ones only. Prices deeper than the tenth level of either bin are not known
    /// there and count as unchanged; the first column has no bin before it and is zero.
    OrderFlowImbalance,
    /// Where the size-weighted mid `(bid · ask_size + ask · bid_size) / (bid_size + ask_size)` of
    /// the bin's best level lies (Gatheral and Oomen 2010): one unit, shared by the two prices
    /// around it in proportion to its distance from the other. A bin without a best bid and ask
    /// has an empty column.
    Microprice,
}

impl Feature {
    /// Every feature, in plane order.
    pub const ALL: [Self; 5] = [
        Self::Volume,
        Self::Variance,
        Self::TradeCounts,
        Self::OrderFlowImbalance,
        Self::Microprice,
    ];
    /// The features of cumulated depth, those of the reference.
    pub const DEPTH: [Self; 3] = [Self::Volume, Self::Variance, Self::TradeCounts];

    /// The name used in files and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::Variance => "variance",
            Self::TradeCounts => "trade_counts",
            Self::OrderFlowImbalance => "order_flow_imbalance",
            Self::Microprice => "microprice",
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Feature {
    type Err = DepthError;

    /// Accepts the names of [`Feature::name`], `trade_count` for `trade_counts` and `ofi` for
    /// `order_flow_imbalance`.
    fn from_str(name: &str) -> Result<Self, DepthError> {
        match name {
            "volume" => Ok(Self::Volume),
            "variance" => Ok(Self::Variance),
            "trade_counts" | "trade_count" => Ok(Self::TradeCounts),
            "order_flow_imbalance" | "ofi" => Ok(Self::OrderFlowImbalance),
            "microprice" => Ok(Self::Microprice),
            _ => Err(DepthError::UnknownName {
                what: "feature",
                found: name.to_owned(),
                expected: "volume, variance, trade_counts, order_flow_imbalance, microprice",
            }),
        }
    }
}
