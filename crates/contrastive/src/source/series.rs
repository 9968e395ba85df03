mod scale;

use std::ops::Range;
use std::sync::Arc;

pub(crate) use self::scale::standardise;
use self::scale::{check_finite, check_shape, fitted};
use super::pairing::{self, Positives};
use super::sampling::{Sampling, window_starts};
use super::{PairKey, Place, WindowScratch, WindowSource};
use crate::{ContrastiveError, Layout, Mirror, Rng};

/// How windows are cut from a series and which of them are positives of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesSpec {
    /// Rows in a window, at least 1.
    pub window: usize,
    /// Rows between the starts of neighbouring windows, at least 1.
    pub stride: usize,
    /// Most rows between the end of one window of a pair and the start of the other. The two
    /// never overlap, so that a shared stretch cannot give the answer away.
    pub max_gap: usize,
}

/// Windows of a multi-channel series: bins by features, or any other recorded signal.
///
/// The positive of a window is another one of the same segment, up to `max_gap` rows away.
/// Windows never cross a segment.
#[derive(Debug, Clone)]
pub struct SeriesWindows {
    values: Arc<[f32]>,
    channels: Vec<Mirror>,
    window: usize,
    positives: Positives,
    segments: Vec<Segment>,
    /// Class of each row, or nothing.
    labels: Vec<i64>,
    /// Instrument and time of each row, or nothing.
    marks: Vec<(u64, Option<u64>)>,
    starts: Vec<Start>,
    /// What each channel was shifted by and multiplied with.
    scale: Vec<(f32, f32)>,
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    id: u32,
    first: usize,
    end: usize,
}

#[derive(Debug, Clone, Copy)]
struct Start {
    row: usize,
    segment: Segment,
}

impl SeriesWindows {
    /// Cuts `values` (rows × `n_channels`, row-major; one `segments` entry per row, equal values
    /// adjacent) and standardises each channel in place to mean 0, variance 1 over `fit_rows`.
    /// Pass only training rows as `fit_rows`, so that test data does not leak into the scale.
    ///
    /// # Errors
    /// [`ContrastiveError::Config`], [`ContrastiveError::Shape`] or
    /// [`ContrastiveError::NotFinite`] for input that does not fit, and
    /// [`ContrastiveError::NotEnoughData`] when no pair of windows exists.
    pub fn new(
        values: Vec<f32>,
        n_channels: usize,
        segments: &[u32],
        fit_rows: Range<usize>,
        spec: SeriesSpec,
    ) -> Result<Self, ContrastiveError> {
        if fit_rows.is_empty() || fit_rows.end > segments.len() {
            let found = format!("{fit_rows:?} of {} rows", segments.len());
            return Err(ContrastiveError::config("fit_rows", "a range of rows", found));
        }
        if n_channels == 0 {
            return Err(ContrastiveError::config("channels, window, stride", "above 0", 0));
        }
        check_shape(&values, n_channels, segments)?;
        let rows: Vec<usize> = fit_rows.collect();
        let channels = vec![Mirror::Keep; n_channels];
        let scale = Self::fit_scale(&values, &channels, &rows)?;
        let positives = Positives::Apart { max_gap: spec.max_gap };
        Self::with_scale(values, channels, segments, scale, (spec.window, spec.stride), positives)
    }

    /// The same from values whose channels know bid and ask, with a scale fitted before (see
    /// [`fit_scale`](Self::fit_scale)) and any rule for positives.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when the scale has another number of channels.
    pub fn with_scale(
        mut values: Vec<f32>,
        channels: Vec<Mirror>,
        segments: &[u32],
        scale: Vec<(f32, f32)>,
        (window, stride): (usize, usize),
        positives: Positives,
    ) -> Result<Self, ContrastiveError> {
        if scale.len() != channels.len() {
            let (expected, found) = (channels.len(), scale.len());
            return Err(ContrastiveError::Shape { what: "the scale", expected, found });
        }
        let n_channels = channels.len();
        if n_channels == 0 || window == 0 || stride == 0 {
            let found = format!("{n_channels}, {window}, {stride}");
            return Err(ContrastiveError::config("channels, window, stride", "above 0", found));
        }
        check_shape(&values, n_channels, segments)?;
        standardise(&mut values, &scale);
        // A scale fitted elsewhere may not fit these values at all.
        check_finite(&values, n_channels)?;
        let mut first = 0;
        let parts = segments.chunk_by(|a, b| a == b).map(|chunk| {
            let end = first + chunk.len();
            Segment { id: chunk[0], first: std::mem::replace(&mut first, end), end }
        });
        let series = Self {
            segments: parts.collect(),
            values: values.into(),
            channels,
            window,
            positives,
            labels: Vec::new(),
            marks: Vec::new(),
            starts: Vec::new(),
            scale,
        };
        series.sampled(Sampling::Sequential { stride })
    }

    /// Mean and inverse deviation of each channel over some rows; the mean of a channel that
    /// changes its sign with the sides is 0 by symmetry.
    ///
    /// # Errors
    /// [`ContrastiveError::Config`] for no rows or one past the end.
    pub fn fit_scale(
        values: &[f32],
        channels: &[Mirror],
        rows: &[usize],
    ) -> Result<Vec<(f32, f32)>, ContrastiveError> {
        let n = channels.len().max(1);
        let n_rows = values.len() / n;
        if rows.is_empty() || rows.iter().any(|&row| row >= n_rows) {
            let found = format!("{} rows to fit on of {n_rows}", rows.len());
            return Err(ContrastiveError::config("fit_rows", "rows of the series", found));
        }
        let fit = |(channel, mirror): (usize, &Mirror)| {
            let column = rows.iter().map(|row| values[row * n + channel]);
            fitted(column, *mirror == Mirror::Negate)
        };
        Ok(channels.iter().enumerate().map(fit).collect())
    }

    /// The same series with other windows of each segment.
    ///
    /// # Errors
    /// [`ContrastiveError::NotEnoughData`] when no window has a positive.
    pub fn sampled(mut self, sampling: Sampling) -> Result<Self, ContrastiveError> {
        self.starts.clear();
        for (n, &segment) in self.segments.iter().enumerate() {
            let sampling = match sampling {
                Sampling::Random { n: wanted, seed } => {
                    Sampling::Random { n: wanted, seed: seed.wrapping_add(n as u64) }
                }
                other => other,
            };
            let starts = window_starts(segment.end - segment.first, self.window, sampling);
            self.starts
                .extend(starts.iter().map(|row| Start { row: segment.first + row, segment }));
        }
        self.keep_paired()
    }

    /// The same windows with another rule for positives.
    ///
    /// # Errors
    /// [`ContrastiveError::NotEnoughData`] when no window has a positive under the rule.
    pub fn with_positives(mut self, positives: Positives) -> Result<Self, ContrastiveError> {
        self.positives = positives;
        self.keep_paired()
    }

    /// The windows that lie in `rows`, with their positives: the part of a split in time.
    ///
    /// # Errors
    /// [`ContrastiveError::NotEnoughData`] when no window with a positive is left.
    pub fn within(mut self, rows: Range<usize>) -> Result<Self, ContrastiveError> {
        for start in &mut self.starts {
            start.segment.first = start.segment.first.max(rows.start);
            start.segment.end = start.segment.end.min(rows.end);
        }
        let window = self.window;
        self.starts.retain(|s| s.row >= s.segment.first && s.row + window <= s.segment.end);
        self.keep_paired()
    }

    /// The windows whose first row is wanted, every one of them with its positives unchanged.
    ///
    /// # Errors
    /// [`ContrastiveError::NotEnoughData`] when none is left.
    pub fn retained(
        mut self,
        mut is_wanted: impl FnMut(usize) -> bool,
    ) -> Result<Self, ContrastiveError> {
        self.starts.retain(|start| is_wanted(start.row));
        self.keep_paired()
    }

    /// The same windows with a class for each row; a pair has that of the anchor's last row.
    ///
    /// # Errors
    /// [`ContrastiveError::Shape`] unless there is one for each row.
    pub fn with_labels(mut self, labels: Vec<i64>) -> Result<Self, ContrastiveError> {
        let rows = self.values.len() / self.channels.len();
        if labels.len() != rows {
            let found = labels.len();
            return Err(ContrastiveError::Shape { what: "the classes", expected: rows, found });
        }
        self.labels = labels;
        Ok(self)
    }

    /// The same windows with the instrument and the time (ns since 1970, where known) of each row,
    /// for the false-negative mask.
    ///
    /// # Errors
    /// [`ContrastiveError::Shape`] unless there is one for each row.
    pub fn with_marks(mut self, marks: Vec<(u64, Option<u64>)>) -> Result<Self, ContrastiveError> {
        let rows = self.values.len() / self.channels.len();
        if marks.len() != rows {
            let found = marks.len();
            return Err(ContrastiveError::Shape { what: "the marks", expected: rows, found });
        }
        self.marks = marks;
        Ok(self)
    }

    #[expect(clippy::cast_possible_wrap, reason = "a row number is far below 2^63")]
    fn key(&self, anchor: Start, positive: usize) -> PairKey {
        let group = u64::from(anchor.segment.id);
        let mark = |row: usize| self.marks.get(row).copied().unwrap_or((group, None));
        let place = |row: usize| Place { row: row as i64, ts_event: mark(row).1 };
        let label = self.labels.get(anchor.row + self.window - 1).copied();
        PairKey {
            instrument: mark(anchor.row).0,
            group,
            anchor: place(anchor.row),
            positive: place(positive),
            label: label.unwrap_or(group as i64),
        }
    }

    fn keep_paired(mut self) -> Result<Self, ContrastiveError> {
        let (window, positives, n_before) = (self.window, self.positives, self.starts.len());
        self.starts.retain(|start| partners(*start, window, positives).len() > 0);
        if self.starts.is_empty() {
            let rows = self.values.len() / self.channels.len();
            return Err(ContrastiveError::NotEnoughData {
                reason: format!(
                    "no segment of the {rows} rows has room for two windows of {window} rows \
                     ({n_before} windows, none with a partner)"
                ),
                hint: "use a shorter window, smaller bins or a longer recording",
            });
        }
        Ok(self)
    }

    /// First row of window `idx`, or `None` past the end.
    #[must_use]
    pub fn start_row(&self, idx: usize) -> Option<usize> {
        self.starts.get(idx).map(|s| s.row)
    }

    /// Mean and inverse deviation that each channel was standardised with.
    #[must_use]
    pub fn scale(&self) -> &[(f32, f32)] {
        &self.scale
    }
}

fn partners(start: Start, window: usize, positives: Positives) -> pairing::Partners {
    let last = start.segment.end - window;
    positives.partners(start.row, window, start.segment.first, last)
}

impl WindowSource for SeriesWindows {
    fn len(&self) -> usize {
        self.starts.len()
    }

    fn n_inputs(&self) -> usize {
        self.window * self.channels.len()
    }

    fn layout(&self) -> Layout {
        Layout::Series { n_steps: self.window, channels: self.channels.clone() }
    }

    fn window(
        &self,
        idx: usize,
        _: &mut WindowScratch,
        out: &mut [f32],
    ) -> Result<(), ContrastiveError> {
        let start = self.starts.get(idx).ok_or(ContrastiveError::Shape {
            what: "the list of windows",
            expected: idx + 1,
            found: self.starts.len(),
        })?;
        let from = start.row * self.channels.len();
        out.copy_from_slice(&self.values[from..from + self.window * self.channels.len()]);
        Ok(())
    }

    fn pairs(
        &self,
        scratch: &mut WindowScratch,
        rng: &mut Rng,
        anchors: &mut [f32],
        positives: &mut [f32],
        keys: &mut [PairKey],
    ) -> Result<(), ContrastiveError> {
        self.pairs_of_part(scratch, rng, 0..keys.len(), anchors, positives, keys)
    }

    fn pairs_of_part(
        &self,
        scratch: &mut WindowScratch,
        rng: &mut Rng,
        part: Range<usize>,
        anchors: &mut [f32],
        positives: &mut [f32],
        keys: &mut [PairKey],
    ) -> Result<(), ContrastiveError> {
        let (n_inputs, n_channels) = (self.n_inputs(), self.channels.len());
        let pair = |idx: usize, rng: &mut Rng, out: Option<pairing::Out<'_>>| {
            scratch.check_stop()?;
            let anchor = self.starts[idx];
            let Some(positive) = partners(anchor, self.window, self.positives).pick(rng) else {
                return Ok(None);
            };
            if let Some((anchor_out, positive_out)) = out {
                for (row, out) in [(anchor.row, anchor_out), (positive, positive_out)] {
                    out.copy_from_slice(&self.values[row * n_channels..][..n_inputs]);
                }
            }
            Ok(Some(self.key(anchor, positive)))
        };
        let out = (anchors, positives);
        pairing::draw(self.starts.len(), n_inputs, rng, part, out, keys, pair)
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "small test numbers")]
mod tests {
    use super::*;
    use crate::Rng;
    use proptest::prelude::*;

    fn ramp(n_rows: usize) -> Vec<f32> {
        (0..n_rows).map(|i| i as f32).collect()
    }

    proptest! {
        #[test]
        fn pairs_do_not_overlap_and_stay_in_their_segment(
            lens in proptest::collection::vec(1_usize..40, 1..5),
            window in 1_usize..8, stride in 1_usize..5, max_gap in 0_usize..10, seed in 0_u64..100,
        ) {
            let segments: Vec<u32> =
                lens.iter().zip(0..).flat_map(|(&n, id)| std::iter::repeat_n(id, n)).collect();
            let rows = segments.len();
            let spec = SeriesSpec { window, stride, max_gap };
            let made = SeriesWindows::new(ramp(rows), 1, &segments, 0..rows, spec);
            let Ok(source) = made else {
                prop_assert!(lens.iter().all(|&n| n < 2 * window));
                return Ok(());
            };
            let mut keys = vec![PairKey::default(); 20];
            let (mut a, mut p) = (vec![0.0; 20 * window], vec![0.0; 20 * window]);
            source.pairs(&mut WindowScratch::default(), &mut Rng::new(seed), &mut a, &mut p, &mut keys).unwrap();
            for key in keys {
                let gap = key.anchor.row.abs_diff(key.positive.row);
                prop_assert!(gap >= window as u64 && gap <= (window + max_gap) as u64);
                for start in [key.anchor.row, key.positive.row] {
                    let start = usize::try_from(start).unwrap();
                    prop_assert_eq!(u64::from(segments[start]), key.group);
                    prop_assert_eq!(u64::from(segments[start + window - 1]), key.group);
                }
            }
        }

        #[test]
        fn a_part_in_time_never_looks_outside(
            window in 1_usize..6, from in 0_usize..60, n in 0_usize..40, shift in 1_usize..5,
            seed in 0_u64..50,
        ) {
            let rows = from..(from + n).min(100);
            let segments: Vec<u32> = (0..100).map(|row| row / 30).collect();
            let spec = SeriesSpec { window, stride: 1, max_gap: 5 };
            let source = SeriesWindows::new(ramp(100), 1, &segments, 0..100, spec).unwrap();
            let near = source.with_positives(Positives::Near { max_shift: shift }).unwrap();
            let Ok(part) = near.within(rows.clone()) else { return Ok(()) };
            let mut keys = vec![PairKey::default(); 10];
            let (mut a, mut p) = (vec![0.0; 10 * window], vec![0.0; 10 * window]);
            part.pairs(&mut WindowScratch::default(), &mut Rng::new(seed), &mut a, &mut p, &mut keys).unwrap();
            for key in keys {
                prop_assert!((1..=shift as u64).contains(&key.anchor.row.abs_diff(key.positive.row)));
                for start in [key.anchor.row, key.positive.row] {
                    let start = usize::try_from(start).unwrap();
                    prop_assert!(rows.contains(&start) && start + window <= rows.end);
                }
            }
        }
    }

    #[test]
    fn channels_are_standardised_on_the_fit_rows_only() {
        let values: Vec<f32> =
            (0..8).flat_map(|i| [if i < 4 { i as f32 } else { 100.0 }, 5.0]).collect();
        let spec = SeriesSpec { window: 1, stride: 1, max_gap: 0 };
        let source = SeriesWindows::new(values.clone(), 2, &[0; 8], 0..4, spec).unwrap();
        let mut out = [0.0; 2];
        source.window(0, &mut WindowScratch::default(), &mut out).unwrap();
        // mean 1.5, population variance 1.25
        assert!((out[0] + 1.5 / 1.25_f32.sqrt()).abs() < 1e-6);
        assert_eq!(out[1], 0.0);
        source.window(7, &mut WindowScratch::default(), &mut out).unwrap();
        assert!(out[0] > 80.0);
        assert!(source.window(8, &mut WindowScratch::default(), &mut out).is_err());

        // A channel that knows the sides keeps its zero: root mean square of 0, 1, 2, 3.
        let channels = [Mirror::Negate, Mirror::Keep];
        let scale = SeriesWindows::fit_scale(&values, &channels, &[0, 1, 2, 3]).unwrap();
        assert_eq!(scale[0].0, 0.0);
        assert!((scale[0].1 - 1.0 / 3.5_f32.sqrt()).abs() < 1e-6);
        let again = SeriesWindows::with_scale(
            values,
            channels.to_vec(),
            &[0; 8],
            scale.clone(),
            (1, 1),
            Positives::Same,
        );
        assert_eq!(again.unwrap().scale(), scale);
    }

    #[test]
    fn labels_go_with_the_last_row_of_the_anchor() {
        let spec = SeriesSpec { window: 3, stride: 1, max_gap: 0 };
        let source = SeriesWindows::new(ramp(20), 1, &[4; 20], 0..20, spec).unwrap();
        assert!(source.clone().with_labels(vec![0; 19]).is_err());
        let source = source.with_labels((100..120).collect()).unwrap();
        let mut keys = [PairKey::default(); 5];
        source
            .pairs(
                &mut WindowScratch::default(),
                &mut Rng::new(1),
                &mut [0.0; 15],
                &mut [0.0; 15],
                &mut keys,
            )
            .unwrap();
        assert!(keys.iter().all(|key| key.label == key.anchor.row + 102 && key.group == 4));
    }

    #[test]
    fn bad_input_is_named() {
        let spec = SeriesSpec { window: 4, stride: 1, max_gap: 0 };
        let message = |values, segments: &[u32]| {
            let rows = segments.len();
            SeriesWindows::new(values, 1, segments, 0..rows, spec).unwrap_err().to_string()
        };
        assert!(message(ramp(7), &[0; 7]).contains("room for two windows of 4 rows"));
        assert!(message(ramp(3), &[0; 4]).contains("expected 4"));
        assert!(message(vec![0.0, f32::NAN], &[0; 2]).contains("`NaN`"));
    }
}
