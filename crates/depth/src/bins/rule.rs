//! When a bin ends and how sizes are condensed.

use std::{fmt, str::FromStr};

use crate::DepthError;

/// When a bin is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinRule {
    /// After this many updates.
    Updates(u32),
    /// Bins on a fixed grid of this many nanoseconds since the epoch. A bin ends when an update of
    /// a later interval arrives; intervals without updates make no bin, and an update that is
    /// older than the open bin is counted in it. A second one in a row that is older by more than
    /// a second begins a bin of its own interval: one odd time swallows nothing.
    TimeNs(u64),
    /// With the update that brings the traded volume of the bin to at least this many units.
    Volume(u64),
}

impl Default for BinRule {
    fn default() -> Self {
        Self::Updates(100)
    }
}

impl BinRule {
    /// Checks that a bin can hold something.
    ///
    /// # Errors
    /// [`DepthError::EmptyBinRule`] if the size is zero.
    pub const fn validate(self) -> Result<Self, DepthError> {
        match self {
            Self::Updates(0) | Self::TimeNs(0) | Self::Volume(0) => Err(DepthError::EmptyBinRule),
            _ => Ok(self),
        }
    }
}

impl fmt::Display for BinRule {
    /// `updates=100`, `time_ns=1000000000` or `volume=500`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Updates(n) => write!(f, "updates={n}"),
            Self::TimeNs(ns) => write!(f, "time_ns={ns}"),
            Self::Volume(units) => write!(f, "volume={units}"),
        }
    }
}

impl FromStr for BinRule {
    type Err = DepthError;

    fn from_str(text: &str) -> Result<Self, DepthError> {
        let unknown = || DepthError::UnknownName {
            what: "bin rule",
            found: text.to_owned(),
            expected: "updates=N, time_ns=N, volume=N",
        };
        let (name, size) = text.split_once('=').ok_or_else(unknown)?;
        match name {
            "updates" => Self::Updates(size.parse().map_err(|_| unknown())?),
            "time_ns" => Self::TimeNs(size.parse().map_err(|_| unknown())?),
            "volume" => Self::Volume(size.parse().map_err(|_| unknown())?),
            _ => return Err(unknown()),
        }
        .validate()
    }
}

/// How the sizes of a level are condensed to the one size of a bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SizeAggregate {
    /// The median; of an even number of sizes the mean of the middle two.
    #[default]
    Median,
    /// The arithmetic mean.
    Mean,
    /// The last size seen.
    Last,
}

impl fmt::Display for SizeAggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Median => "median",
            Self::Mean => "mean",
            Self::Last => "last",
        })
    }
}

impl FromStr for SizeAggregate {
    type Err = DepthError;

    fn from_str(name: &str) -> Result<Self, DepthError> {
        match name {
            "median" => Ok(Self::Median),
            "mean" => Ok(Self::Mean),
            "last" => Ok(Self::Last),
            _ => Err(DepthError::UnknownName {
                what: "size aggregate",
                found: name.to_owned(),
                expected: "median, mean, last",
            }),
        }
    }
}

/// Rows below which the reference implementation refuses its input.
const COMPAT_MIN_ROWS: usize = 500;

/// The assignment of raw rows to bins as the reference implementation does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompatBins {
    /// Consecutive rows that share a bin.
    pub rows_per_bin: usize,
    /// Columns of the image; bins past it are dropped, columns without rows stay zero.
    pub n_bins: usize,
}

impl CompatBins {
    /// The bin of a row, or `None` where the reference drops the row.
    #[must_use]
    pub const fn bin_of(self, row: usize) -> Option<usize> {
        let bin = row / self.rows_per_bin;
        if bin < self.n_bins { Some(bin) } else { None }
    }

    /// The rule for an input of `n_rows` rows where `samples` rows of `ticks_per_bin` each were
    /// configured: `samples / ticks_per_bin` columns, and `max(1, n_rows / columns)` rows a bin,
    /// except that an input of exactly twice `samples` rows keeps `ticks_per_bin` rows a bin and
    /// so loses its second half.
    ///
    /// # Errors
    /// [`DepthError::TooFewRows`] below 500 rows, [`DepthError::InvalidSpec`] if there would be no
    /// column.
    pub fn from_samples(
        n_rows: usize,
        samples: usize,
        ticks_per_bin: usize,
    ) -> Result<Self, DepthError> {
        if n_rows < COMPAT_MIN_ROWS {
            return Err(DepthError::TooFewRows { expected: COMPAT_MIN_ROWS, found: n_rows });
        }
        let n_bins = samples.checked_div(ticks_per_bin).unwrap_or(0);
        if n_bins == 0 {
            return Err(DepthError::InvalidSpec {
                reason: format!(
                    "`{samples}` samples at `{ticks_per_bin}` ticks per bin make no bin; use at \
                     least as many samples as ticks per bin"
                ),
            });
        }
        let halved = samples.checked_mul(2) == Some(n_rows);
        let rows_per_bin = if halved { ticks_per_bin } else { (n_rows / n_bins).max(1) };
        Ok(Self { rows_per_bin, n_bins })
    }
}

/// The reference's assignment of `n_rows` rows to `bins` columns configured with `ticks_per_bin`
/// rows each: [`CompatBins::from_samples`] with `bins * ticks_per_bin` samples.
///
/// # Errors
/// As [`CompatBins::from_samples`].
pub fn compat_row_bins(
    n_rows: usize,
    bins: usize,
    ticks_per_bin: usize,
) -> Result<CompatBins, DepthError> {
    CompatBins::from_samples(n_rows, bins.saturating_mul(ticks_per_bin), ticks_per_bin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compat_rule() {
        let bins = |n, samples, ticks| CompatBins::from_samples(n, samples, ticks);
        assert_eq!(bins(500, 25_000, 2_500), Ok(CompatBins { rows_per_bin: 50, n_bins: 10 }));
        assert_eq!(bins(500, 25_000, 50), Ok(CompatBins { rows_per_bin: 1, n_bins: 500 }));
        // Exactly twice the samples: the second half falls off the image.
        let halved = bins(50_000, 25_000, 100).expect("valid");
        assert_eq!(halved, CompatBins { rows_per_bin: 100, n_bins: 250 });
        assert_eq!((halved.bin_of(24_999), halved.bin_of(25_000)), (Some(249), None));
        // A ragged tail is dropped; fewer rows than bins leave columns empty.
        let ragged = bins(1_009, 1_000, 100).expect("valid");
        assert_eq!(
            (ragged.rows_per_bin, ragged.bin_of(999), ragged.bin_of(1_000)),
            (100, Some(9), None)
        );
        assert_eq!(bins(600, 100_000, 100).map(|b| b.rows_per_bin), Ok(1));
        assert_eq!(
            bins(499, 25_000, 50),
            Err(DepthError::TooFewRows { expected: 500, found: 499 })
        );
        assert!(bins(500, 10, 100).is_err() && bins(500, 10, 0).is_err());
        assert_eq!(compat_row_bins(500, 10, 2_500), bins(500, 25_000, 2_500));
    }

    #[test]
    fn names() {
        for rule in [BinRule::Updates(1), BinRule::TimeNs(1_000), BinRule::Volume(7)] {
            assert_eq!(rule.to_string().parse(), Ok(rule));
        }
        for text in ["updates", "updates=-1", "ticks=3", "volume=x"] {
            assert!(text.parse::<BinRule>().is_err(), "{text}");
        }
        assert_eq!("updates=0".parse::<BinRule>(), Err(DepthError::EmptyBinRule));
        for aggregate in [SizeAggregate::Median, SizeAggregate::Mean, SizeAggregate::Last] {
            assert_eq!(aggregate.to_string().parse(), Ok(aggregate));
        }
    }
}
