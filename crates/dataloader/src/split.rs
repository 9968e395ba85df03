use lob_store::StoreError;

use crate::{Dataset, LoaderError, dataset::Run};

/// Shares of a split by time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SplitSpec {
    /// Part of the windows for training, above 0.
    pub train: f64,
    /// Part for validation, at least 0; the rest, above 0, is for testing.
    pub validation: f64,
    /// Windows that begin less than this after a cut are left out, ns. Choose it no shorter than
    /// the labels look ahead.
    pub embargo_ns: u64,
}

/// A data set cut in three by time.
#[derive(Debug, Clone)]
pub struct Splits {
    /// The earliest windows.
    pub train: Dataset,
    /// The windows after them.
    pub validation: Dataset,
    /// The latest windows.
    pub test: Dataset,
    /// The two cuts, ns since 1970.
    pub cuts_ns: [u64; 2],
}

impl Dataset {
    /// Cuts the windows at two moments, the same for all files, so that no bin is on both sides
    /// of a cut. Windows across a cut and those in the embargo after it belong to no part.
    ///
    /// # Errors
    /// The shares are out of range, a page is damaged, or a part whose share is above 0 would be
    /// empty.
    pub fn split(&self, spec: SplitSpec) -> Result<Splits, LoaderError> {
        check(spec)?;
        let first_cut = self.cut(spec.train)?;
        let second_cut = self.cut(spec.train + spec.validation)?.max(first_cut);
        let splits = self.split_at([first_cut, second_cut], spec.embargo_ns)?;
        let has_none = |part: &Self, share: f64| part.is_empty() && share > 0.0;
        for (name, part, share) in [
            ("train", &splits.train, spec.train),
            ("validation", &splits.validation, spec.validation),
            ("test", &splits.test, 1.0 - spec.train - spec.validation),
        ] {
            if has_none(part, share) {
                return Err(LoaderError::Config {
                    option: "split",
                    found: format!("{name} = {share}"),
                    expected: format!(
                        "a share of the `{}` windows that is not empty after cuts and embargo",
                        self.len()
                    ),
                });
            }
        }
        Ok(splits)
    }

    /// The same at two moments that are known, ns since 1970: those that a model was trained with.
    /// A part may be empty.
    ///
    /// # Errors
    /// A page is damaged.
    pub fn split_at(&self, cuts_ns: [u64; 2], embargo_ns: u64) -> Result<Splits, LoaderError> {
        let [first_cut, second_cut] = [cuts_ns[0], cuts_ns[1].max(cuts_ns[0])];
        let mut parts = [Vec::new(), Vec::new(), Vec::new()];
        for run in self.runs() {
            let end = run.first_row + run.rows;
            let row_at = |ts| self.row_at(run, ts);
            let first = row_at(first_cut)?;
            let second = row_at(second_cut)?.max(first);
            let after_first = row_at(first_cut.saturating_add(embargo_ns))?.max(first);
            let after_second = row_at(second_cut.saturating_add(embargo_ns))?.max(second);
            let stretches = [(run.first_row, first), (after_first, second), (after_second, end)];
            for (part, (from, to)) in parts.iter_mut().zip(stretches) {
                if let Some(rows) = to.checked_sub(from) {
                    // Windows of a part keep the stride's phase of the whole data set.
                    let stride = self.window().stride as u64;
                    let from_first = (from - run.first_row).next_multiple_of(stride);
                    let shift = run.first_row + from_first - from;
                    if let Some(rows) = rows.checked_sub(shift) {
                        part.push(Run::new(run.file, from + shift, rows));
                    }
                }
            }
        }
        let [train, validation, test] = parts.map(|runs| self.with_runs(runs));
        Ok(Splits { train, validation, test, cuts_ns: [first_cut, second_cut] })
    }

    /// The earliest moment before which this share of the windows has ended.
    fn cut(&self, share: f64) -> Result<u64, LoaderError> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of at most 1 of a count, rounded"
        )]
        let wanted = (self.len() as f64 * share).round() as u64;
        let mut bounds = Vec::with_capacity(self.runs().len());
        for run in self.runs() {
            let first = self.time(run, run.first_row)?;
            bounds.push((first, self.time(run, run.first_row + run.rows - 1)?.max(first)));
        }
        let mut low = bounds.iter().map(|b| b.0).min().unwrap_or(0);
        let mut high = bounds.iter().map(|b| b.1).max().unwrap_or(0).saturating_add(1);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut ended = 0;
            for (run, &(first, last)) in self.runs().iter().zip(&bounds) {
                ended += match middle {
                    ts if ts <= first => 0,
                    ts if ts > last => self.windows_in(run.rows),
                    ts => self.windows_in(self.row_at(run, ts)? - run.first_row),
                };
            }
            if ended < wanted {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The first row of a run whose time is not before `ts`; the row after its last if none is.
    fn row_at(&self, run: &Run, ts: u64) -> Result<u64, LoaderError> {
        let (mut low, mut high) = (run.first_row, run.first_row + run.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.time(run, middle)? < ts {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// `ts_event` of a row, or of the nearest row before it in the run that has one.
    fn time(&self, run: &Run, row: u64) -> Result<u64, LoaderError> {
        let file = &self.store().files()[run.file];
        for row in (run.first_row..=row).rev() {
            let ts = file.ts_event(row).map_err(|source: StoreError| LoaderError::Sample {
                path: file.path().to_owned(),
                row,
                source: source.into(),
            })?;
            if ts != u64::MAX {
                return Ok(ts);
            }
        }
        Ok(0)
    }
}

fn check(spec: SplitSpec) -> Result<(), LoaderError> {
    let is_share = |x: f64| (0.0..1.0).contains(&x);
    let sum = spec.train + spec.validation;
    match is_share(spec.train) && spec.train > 0.0 && is_share(spec.validation) && sum < 1.0 {
        true => Ok(()),
        false => Err(LoaderError::Config {
            option: "split",
            found: format!("{} and {}", spec.train, spec.validation),
            expected: "shares above 0 that leave some windows for testing".to_owned(),
        }),
    }
}
