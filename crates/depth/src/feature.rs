//! The planes an image can have.

use std::{fmt, str::FromStr};

use crate::DepthError;

/// What one plane of an image shows.
///
/// Planes are always drawn in the order of this enum, whatever order was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// Size resting at a price, aggregated over the bin by the store's rule (median by default).
    Volume,
    /// Sample variance of that size within the bin.
    Variance,
    /// Sum over the bin of the number of resting orders. The name is the reference's: these are
    /// order counts of the book, not trades.
    TradeCounts,
}

impl Feature {
    /// Every feature, in plane order.
    pub const ALL: [Self; 3] = [Self::Volume, Self::Variance, Self::TradeCounts];

    /// The name used in files and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::Variance => "variance",
            Self::TradeCounts => "trade_counts",
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

    /// Accepts the names of [`Feature::name`], and `trade_count` for `trade_counts`.
    fn from_str(name: &str) -> Result<Self, DepthError> {
        match name {
            "volume" => Ok(Self::Volume),
            "variance" => Ok(Self::Variance),
            "trade_counts" | "trade_count" => Ok(Self::TradeCounts),
            _ => Err(DepthError::UnknownName {
                what: "feature",
                found: name.to_owned(),
                expected: "volume, variance, trade_counts",
            }),
        }
    }
}
