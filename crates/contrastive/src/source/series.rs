use super::{PairKey, WindowSource};
use crate::{ContrastiveError, Rng};

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
    values: Vec<f32>,
    n_channels: usize,
    spec: SeriesSpec,
    starts: Vec<Start>,
}

#[derive(Debug, Clone, Copy)]
struct Start {
    row: usize,
    segment: u32,
    segment_rows: (usize, usize),
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
        mut values: Vec<f32>,
        n_channels: usize,
        segments: &[u32],
        fit_rows: std::ops::Range<usize>,
        spec: SeriesSpec,
    ) -> Result<Self, ContrastiveError> {
        if n_channels == 0 || spec.window == 0 || spec.stride == 0 {
            let found = format!("{n_channels}, {}, {}", spec.window, spec.stride);
            return Err(ContrastiveError::config("channels, window, stride", "above 0", found));
        }
        if values.len() != segments.len() * n_channels {
            return Err(ContrastiveError::Shape {
                what: "the series",
                expected: segments.len() * n_channels,
                found: values.len(),
            });
        }
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(ContrastiveError::NotFinite {
                window: at / n_channels,
                position: at % n_channels,
                value: values[at],
            });
        }
        if fit_rows.is_empty() || fit_rows.end > segments.len() {
            let found = format!("{fit_rows:?} of {} rows", segments.len());
            return Err(ContrastiveError::config("fit_rows", "a range of rows", found));
        }
        standardise(&mut values, n_channels, fit_rows);
        let starts = starts(segments, spec);
        if starts.is_empty() {
            return Err(ContrastiveError::NotEnoughData {
                reason: format!(
                    "no segment of the {} rows has room for two windows of {} rows",
                    segments.len(),
                    spec.window
                ),
                hint: "use a shorter window, smaller bins or a longer recording",
            });
        }
        Ok(Self { values, n_channels, spec, starts })
    }

    /// First row of window `idx`, or `None` past the end.
    #[must_use]
    pub fn start_row(&self, idx: usize) -> Option<usize> {
        self.starts.get(idx).map(|s| s.row)
    }

    fn copy_window(&self, row: usize, out: &mut [f32]) {
        let from = row * self.n_channels;
        out.copy_from_slice(&self.values[from..from + self.spec.window * self.n_channels]);
    }

    /// A start for the positive of `anchor`, uniform over the allowed rows on both sides.
    fn positive_row(&self, anchor: Start, rng: &mut Rng) -> usize {
        let SeriesSpec { window, max_gap, .. } = self.spec;
        let (first, end) = anchor.segment_rows;
        let last_start = end - window;
        let after = (anchor.row + window)..=last_start.min(anchor.row + window + max_gap);
        let n_after = after.clone().count();
        let before_end = anchor.row.checked_sub(window).filter(|&row| row >= first);
        let before_first = before_end.map(|row| row.saturating_sub(max_gap).max(first));
        let n_before = before_end.zip(before_first).map_or(0, |(end, first)| end - first + 1);
        let pick = rng.below(n_after + n_before);
        if pick < n_after {
            anchor.row + window + pick
        } else {
            before_first.unwrap_or(first) + pick - n_after
        }
    }
}

/// Starts of all windows with at least one positive: a segment needs room for two windows, and
/// the window must leave room for another one before or after itself.
fn starts(segments: &[u32], spec: SeriesSpec) -> Vec<Start> {
    let mut out = Vec::new();
    let mut first = 0;
    for chunk in segments.chunk_by(|a, b| a == b) {
        let end = first + chunk.len();
        let mut row = first;
        while row + spec.window <= end {
            let room_after = end - (row + spec.window) >= spec.window;
            let room_before = row - first >= spec.window;
            if room_after || room_before {
                out.push(Start { row, segment: chunk[0], segment_rows: (first, end) });
            }
            row += spec.stride;
        }
        first = end;
    }
    out
}

/// `k` numbers below `n`, all different where `n` allows it (Floyd's sampling, Bentley and Floyd,
/// 1987): the same anchor twice in a batch would be its own negative.
fn distinct(k: usize, n: usize, rng: &mut Rng) -> Vec<usize> {
    if k > n {
        return (0..k).map(|_| rng.below(n)).collect();
    }
    let mut out: Vec<usize> = Vec::with_capacity(k);
    for j in n - k..n {
        let pick = rng.below(j + 1);
        out.push(if out.contains(&pick) { j } else { pick });
    }
    out
}

/// `(x - mean) / std` by channel with population variance; a constant channel becomes 0.
#[expect(clippy::cast_possible_truncation, reason = "back to the storage precision")]
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
fn standardise(values: &mut [f32], n_channels: usize, fit_rows: std::ops::Range<usize>) {
    let n = fit_rows.len() as f64;
    for channel in 0..n_channels {
        let fit = || fit_rows.clone().map(|row| f64::from(values[row * n_channels + channel]));
        let mean = fit().sum::<f64>() / n;
        let std = (fit().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        // Round-off leaves a constant channel with a spread of a few ulps, not of exactly 0.
        let scale = if std > 1e-9 * mean.abs().max(1e-30) { 1.0 / std } else { 0.0 };
        for value in values.iter_mut().skip(channel).step_by(n_channels) {
            *value = ((f64::from(*value) - mean) * scale) as f32;
        }
    }
}

impl WindowSource for SeriesWindows {
    fn len(&self) -> usize {
        self.starts.len()
    }

    fn n_inputs(&self) -> usize {
        self.spec.window * self.n_channels
    }

    fn window(&mut self, idx: usize, out: &mut [f32]) -> Result<(), ContrastiveError> {
        let start = self.starts.get(idx).ok_or(ContrastiveError::Shape {
            what: "the list of windows",
            expected: idx + 1,
            found: self.starts.len(),
        })?;
        self.copy_window(start.row, out);
        Ok(())
    }

    #[expect(clippy::cast_possible_wrap, reason = "a row number is far below 2^63")]
    fn pairs(
        &mut self,
        rng: &mut Rng,
        anchors: &mut [f32],
        positives: &mut [f32],
        keys: &mut [PairKey],
    ) -> Result<(), ContrastiveError> {
        let n = self.n_inputs();
        let rows = anchors.chunks_exact_mut(n).zip(positives.chunks_exact_mut(n));
        let drawn = distinct(keys.len(), self.starts.len(), rng);
        for ((key, idx), (anchor_out, positive_out)) in keys.iter_mut().zip(drawn).zip(rows) {
            let anchor = self.starts[idx];
            let positive = self.positive_row(anchor, rng);
            self.copy_window(anchor.row, anchor_out);
            self.copy_window(positive, positive_out);
            *key = PairKey {
                group: u64::from(anchor.segment),
                anchor: anchor.row as i64,
                positive: positive as i64,
            };
        }
        Ok(())
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
            let Ok(mut source) = made else {
                prop_assert!(lens.iter().all(|&n| n < 2 * window));
                return Ok(());
            };
            let mut keys = vec![PairKey::default(); 20];
            let (mut a, mut p) = (vec![0.0; 20 * window], vec![0.0; 20 * window]);
            source.pairs(&mut Rng::new(seed), &mut a, &mut p, &mut keys).unwrap();
            for key in keys {
                let gap = key.anchor.abs_diff(key.positive);
                prop_assert!(gap >= window as u64 && gap <= (window + max_gap) as u64);
                for start in [key.anchor, key.positive] {
                    let start = usize::try_from(start).unwrap();
                    prop_assert_eq!(u64::from(segments[start]), key.group);
                    prop_assert_eq!(u64::from(segments[start + window - 1]), key.group);
                }
            }
        }
    }

    #[test]
    fn draws_are_distinct_when_they_can_be() {
        let mut rng = Rng::new(5);
        for (k, n) in [(0, 1), (1, 1), (5, 5), (5, 9), (20, 400)] {
            let mut drawn = distinct(k, n, &mut rng);
            drawn.sort_unstable();
            drawn.dedup();
            assert!(drawn.len() == k && drawn.iter().all(|&i| i < n));
        }
        assert_eq!(distinct(7, 3, &mut rng).len(), 7);
    }

    #[test]
    fn channels_are_standardised_on_the_fit_rows_only() {
        let values: Vec<f32> =
            (0..8).flat_map(|i| [if i < 4 { i as f32 } else { 100.0 }, 5.0]).collect();
        let spec = SeriesSpec { window: 1, stride: 1, max_gap: 0 };
        let mut source = SeriesWindows::new(values, 2, &[0; 8], 0..4, spec).unwrap();
        let mut out = [0.0; 2];
        source.window(0, &mut out).unwrap();
        // mean 1.5, population variance 1.25
        assert!((out[0] + 1.5 / 1.25_f32.sqrt()).abs() < 1e-6);
        assert_eq!(out[1], 0.0);
        source.window(7, &mut out).unwrap();
        assert!(out[0] > 80.0);
        assert!(source.window(8, &mut out).is_err());
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
