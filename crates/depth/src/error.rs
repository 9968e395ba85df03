//! The one error type of the crate.

use std::fmt;

/// Why a depth computation was refused. Every variant says what was found and what to do.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DepthError {
    /// A price step that is not a positive number of 1e-9 price units.
    InvalidStep {
        /// What was given, as text.
        found: String,
    },
    /// A price that does not fit a signed 32-bit number of steps.
    PriceRange {
        /// The price in 1e-9 units.
        price: i64,
        /// The price step in 1e-9 units.
        step: i64,
    },
    /// Too few different prices to tell the step from.
    TooFewPrices {
        /// Number of different prices needed.
        expected: usize,
        /// Number of different prices seen.
        found: usize,
    },
    /// The greatest common divisor of the prices is no plausible price step.
    ImplausibleStep {
        /// The greatest common divisor in 1e-9 units.
        divisor: i64,
        /// The smallest distance of two prices seen, 1e-9 units.
        smallest_gap: i64,
    },
    /// A bin rule of size zero.
    EmptyBinRule,
    /// An update without a time stamp while bins are made by time.
    UndefinedTime {
        /// Index of the update in its stream.
        update: u64,
    },
    /// A render specification that cannot be drawn.
    InvalidSpec {
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// A buffer or column of the wrong length.
    Length {
        /// Which buffer.
        what: &'static str,
        /// Number of elements needed.
        expected: usize,
        /// Number of elements found.
        found: usize,
    },
    /// No update of the window has both a bid and an ask, so there is no mid price.
    EmptyBook,
    /// No level of the window falls on the 402 price rows: the price step is too small.
    OffAxis {
        /// Best bid of the mid price, in steps.
        bid: i32,
        /// Best ask of the mid price, in steps.
        ask: i32,
    },
    /// Fewer input rows than the reference accepts in `compat` binning.
    TooFewRows {
        /// Smallest number of rows accepted.
        expected: usize,
        /// Number of rows found.
        found: usize,
    },
    /// A label specification or training set that gives no classes.
    InvalidLabel {
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// A name that stands for nothing.
    UnknownName {
        /// What was being named (`feature`, `geometry`, ...).
        what: &'static str,
        /// The name given.
        found: String,
        /// The names accepted, separated by commas.
        expected: &'static str,
    },
}

impl fmt::Display for DepthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidStep { found } => write!(
                f,
                "price step `{found}` is not a positive decimal with at most 9 fractional digits"
            ),
            Self::PriceRange { price, step } => write!(
                f,
                "price `{price}` (1e-9 units) is out of range at a price step of `{step}` (1e-9 \
                 units); use a larger price step"
            ),
            Self::TooFewPrices { expected, found } => write!(
                f,
                "only `{found}` different prices seen, `{expected}` are needed to detect the \
                 price step; give it explicitly"
            ),
            Self::ImplausibleStep { divisor, smallest_gap } => write!(
                f,
                "the prices share only `{divisor}` (1e-9 units) as a divisor while the nearest \
                 two are `{smallest_gap}` apart, which is no plausible price step; give it \
                 explicitly"
            ),
            Self::EmptyBinRule => {
                write!(f, "a bin must hold at least `1` update, nanosecond or unit of volume")
            }
            Self::UndefinedTime { update } => {
                write!(f, "update `{update}` has no event time, which bins by time need")
            }
            Self::InvalidSpec { reason } | Self::InvalidLabel { reason } => f.write_str(reason),
            Self::Length { what, expected, found } => {
                write!(f, "{what} holds `{found}` elements, expected `{expected}`")
            }
            Self::EmptyBook => write!(
                f,
                "the book is empty: no bin of the window has both a bid and an ask, so there is \
                 no mid price"
            ),
            Self::OffAxis { bid, ask } => write!(
                f,
                "the image would be empty: no level lies within 402 price steps around the mid \
                 (best bid `{bid}`, best ask `{ask}` steps); use a larger price step"
            ),
            Self::TooFewRows { expected, found } => {
                write!(f, "`{found}` input rows, at least `{expected}` are needed")
            }
            Self::UnknownName { what, found, expected } => {
                write!(f, "unknown {what} `{found}`; use one of `{expected}`")
            }
        }
    }
}

impl std::error::Error for DepthError {}
