//! Fitting bins and labels to the amount of data.
//!
//! The defaults (100 updates a bin, 500 bins a window, labels over 5,000 updates) suit millions of
//! updates. The real example file has 43,790: at the defaults not one window. So the suite chooses,
//! and says what it chose.

use serde::{Deserialize, Serialize};

/// Updates per bin, from the default downwards.
const STEPS: [u32; 7] = [100, 50, 20, 10, 5, 2, 1];

/// How many windows' worth of bins the busiest instrument should have.
const WANTED_WINDOWS: u64 = 4;

/// Shortest window worth looking at.
const MIN_BINS: usize = 16;

/// The chosen sizes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fit {
    /// Book updates per bin.
    pub ticks_per_bin: u32,
    /// Bins per window.
    pub n_bins: usize,
    /// Label look-back in updates.
    pub lookback: usize,
    /// Label look-forward in updates.
    pub lookforward: usize,
    /// Label offset in updates.
    pub offset: usize,
    /// What was changed from the defaults, in words.
    pub notes: Vec<String>,
}

impl Fit {
    /// Chooses for an instrument with `updates` book updates; `None` when even the shortest window
    /// does not fit.
    pub(crate) fn choose(updates: u64, n_bins: usize) -> Option<Self> {
        let fits =
            |ticks: u32, bins: usize| updates / u64::from(ticks) >= bins as u64 * WANTED_WINDOWS;
        let mut notes = Vec::new();
        let ticks_per_bin = STEPS.into_iter().find(|&ticks| fits(ticks, n_bins)).unwrap_or(1);
        let mut bins = n_bins;
        while !fits(ticks_per_bin, bins) {
            bins /= 2;
            if bins < MIN_BINS {
                return None;
            }
        }
        if ticks_per_bin != STEPS[0] {
            notes.push(format!(
                "{ticks_per_bin} updates a bin instead of {}: the busiest instrument has {updates} book \
                 updates, and {n_bins} bins a window should fit at least {WANTED_WINDOWS} times",
                STEPS[0]
            ));
        }
        if bins != n_bins {
            notes.push(format!(
                "{bins} bins a window instead of {n_bins}: no more fit in {updates} updates"
            ));
        }
        // A label needs look-back + offset + look-forward updates; keep that below a quarter.
        let reach = usize::try_from(updates / 10).unwrap_or(usize::MAX).clamp(1, 5000);
        if reach != 5000 {
            notes.push(format!(
                "labels over {reach} updates instead of 5000, to fit {updates} updates"
            ));
        }
        Some(Self {
            ticks_per_bin,
            n_bins: bins,
            lookback: reach,
            lookforward: reach,
            offset: reach / 10,
            notes,
        })
    }

    /// The next smaller choice, when the longest run without a break has only `longest` bins of
    /// this size; `None` when nothing is left to try.
    pub(crate) fn smaller(&self, longest: u64) -> Option<Self> {
        let reason = format!("the longest run without a break has {longest} bins");
        let mut smaller = self.clone();
        if let Some(&ticks) = STEPS.iter().find(|ticks| **ticks < self.ticks_per_bin) {
            smaller.ticks_per_bin = ticks;
            smaller.notes.push(format!("then {ticks} updates a bin: {reason}"));
        } else {
            smaller.n_bins /= 2;
            if smaller.n_bins < MIN_BINS {
                return None;
            }
            smaller.notes.push(format!("then {} bins a window: {reason}", smaller.n_bins));
        }
        Some(smaller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_data_gets_small_bins_and_says_so() {
        let check = |updates, expected: Option<(u32, usize)>| {
            let fit = Fit::choose(updates, 500);
            assert_eq!(fit.map(|f| (f.ticks_per_bin, f.n_bins)), expected, "{updates}");
        };
        check(1_000_000, Some((100, 500)));
        check(200_000, Some((100, 500)));
        check(199_999, Some((50, 500)));
        check(43_790, Some((20, 500)));
        check(2_000, Some((1, 500)));
        check(1_999, Some((1, 250)));
        check(124, Some((1, 31)));
        check(4, None);
        let fit = Fit::choose(43_790, 500).unwrap();
        assert_eq!(fit.smaller(100).map(|f| (f.ticks_per_bin, f.n_bins)), Some((10, 500)));
        let least = Fit { ticks_per_bin: 1, n_bins: 16, ..fit };
        assert_eq!(least.smaller(3), None);
        assert!(!Fit::choose(43_790, 500).unwrap().notes.is_empty());
        assert!(Fit::choose(1_000_000, 500).unwrap().notes.is_empty());
    }
}
