//! Where a source is cut in time, and what lies on which side.

use lob_store::{LabelKind, LabelUnit, NamedLabel, Store, StoreMeta};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::SHARES;
use crate::{BinSeries, ContrastiveError, Origin};

/// The moments at which a store is cut into training, validation and test part, all ns since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cuts {
    /// First moment of the validation part; the training part lies before.
    pub validation_from: u64,
    /// First moment of the test part, not before that of the validation part.
    pub test_from: u64,
    /// Bins of each file left out after each cut.
    pub embargo: usize,
    /// The same as a time, for windows that are images.
    pub embargo_ns: u64,
}

/// How a store is to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cutting {
    /// After 70 % and 80 % of its bins.
    #[default]
    Shares,
    /// The training part ends before this moment; a third of what follows is for validation.
    Until(u64),
    /// Where it was cut before: as a model says. Parts may be empty.
    At(Cuts),
    /// There too, but a window over a cut or in the embargo is a window as well, of no part: for
    /// embeddings, not for training.
    Marked(Cuts),
    /// Not at all: there are windows, and no parts.
    Whole,
}

impl Cutting {
    /// Whether the parts are being chosen, so that there must be something to train on.
    pub(super) fn is_new(self) -> bool {
        matches!(self, Self::Shares | Self::Until(_))
    }
}

/// First and last moment of something, ns since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    /// The first.
    pub first: u64,
    /// The last, which belongs to it.
    pub last: u64,
}

impl TimeRange {
    /// From the first to the last update of windows; `None` where no time is known.
    #[must_use]
    pub fn of_windows(origins: &[Origin]) -> Option<Self> {
        Self::of(origins.iter().flat_map(|o| [o.ts_first, o.ts_event]).flatten())
    }

    /// The range of all these moments; `None` for none.
    pub(crate) fn of(moments: impl IntoIterator<Item = u64>) -> Option<Self> {
        moments.into_iter().fold(None, |range: Option<Self>, at| {
            Some(range.map_or(Self { first: at, last: at }, |r| Self {
                first: r.first.min(at),
                last: r.last.max(at),
            }))
        })
    }
}

impl std::fmt::Display for TimeRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", utc(self.first), utc(self.last))
    }
}

/// Nanoseconds since 1970 as RFC 3339 in UTC.
#[must_use]
pub fn utc(ns: u64) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ns)).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{ns} ns since 1970"))
}

/// Parts of a split in time, as numbers in row order.
pub(super) const TRAIN: u8 = 0;
pub(super) const VALIDATION: u8 = 1;
pub(super) const TEST: u8 = 2;
pub(super) const EMBARGO: u8 = 3;

/// Time of each row; a row without one has that of the row before.
pub(super) fn times(series: &BinSeries) -> Vec<u64> {
    let mut latest = 0;
    let time = |row: &crate::BinRow| {
        if row.ts_event != u64::MAX {
            latest = row.ts_event;
        }
        latest
    };
    series.rows.iter().map(time).collect()
}

/// The two moments for rows of these times; `None` where nothing is cut.
pub(super) fn moments(times: &[u64], cutting: Cutting) -> Option<[u64; 2]> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a count"
    )]
    let at = |first: usize, share: f64| {
        let place = first + ((sorted.len() - first) as f64 * share).round() as usize;
        sorted.get(place).copied().unwrap_or(u64::MAX)
    };
    match cutting {
        Cutting::Shares => Some([at(0, SHARES[0]), at(0, SHARES[0] + SHARES[1])]),
        Cutting::Until(moment) => {
            let first = sorted.partition_point(|&ts| ts < moment);
            Some([moment, at(first, SHARES[1] / (1.0 - SHARES[0]))])
        }
        Cutting::At(cuts) | Cutting::Marked(cuts) => Some([cuts.validation_from, cuts.test_from]),
        Cutting::Whole => None,
    }
}

/// Refuses an end of training that leaves nothing on one of its sides.
pub(super) fn check_until(times: &[u64], cutting: Cutting) -> Result<(), ContrastiveError> {
    let Cutting::Until(moment) = cutting else { return Ok(()) };
    let Some(range) = TimeRange::of(times.iter().copied()) else { return Ok(()) };
    let part = match (range.first < moment, moment <= range.last) {
        (true, true) => return Ok(()),
        (false, _) => "training",
        _ => "validation and the test",
    };
    Err(ContrastiveError::EmptyPart {
        part,
        reason: format!("training is to end before {}, the bins are of {range}", utc(moment)),
        hint: "choose an end of training inside that range",
    })
}

/// The part of each row: cut by time over all files, with an embargo of rows after each cut. All
/// rows are of one part where nothing is cut.
pub(super) fn parts(
    series: &BinSeries,
    times: &[u64],
    cuts: Option<[u64; 2]>,
    embargo: usize,
) -> Vec<u8> {
    let Some(cuts) = cuts else { return vec![TRAIN; times.len()] };
    let mut out = Vec::with_capacity(times.len());
    let (mut previous, mut left): (Option<(usize, u8)>, usize) = (None, 0);
    for (row, &ts) in series.rows.iter().zip(times) {
        let part = u8::from(ts >= cuts[0]) + u8::from(ts >= cuts[1]);
        match previous {
            Some((file, before)) if file == row.file && part > before => left = embargo,
            Some((file, _)) if file != row.file => left = 0,
            _ => {}
        }
        previous = Some((row.file, part));
        out.push(if left > 0 { EMBARGO } else { part });
        left = left.saturating_sub(1);
    }
    out
}

/// Segments that also end where a part ends.
pub(super) fn split_segments(segments: &[u32], parts: &[u8]) -> Vec<u32> {
    let mut id = 0;
    let mut out = Vec::with_capacity(segments.len());
    for row in 0..segments.len() {
        if row > 0 && (segments[row] != segments[row - 1] || parts[row] != parts[row - 1]) {
            id += 1;
        }
        out.push(id);
    }
    out
}

/// How long this many bins take at the median pace, ns.
pub(super) fn pause_ns(series: &BinSeries, bins: usize) -> u64 {
    let mut pauses: Vec<u64> = series
        .rows
        .windows(2)
        .zip(series.segments.windows(2))
        .filter(|(rows, segments)| {
            segments[0] == segments[1] && rows.iter().all(|row| row.ts_event != u64::MAX)
        })
        .map(|(rows, _)| rows[1].ts_event.saturating_sub(rows[0].ts_event))
        .collect();
    pauses.sort_unstable();
    let median = pauses.get(pauses.len() / 2).copied().unwrap_or(0);
    median.saturating_mul(bins as u64)
}

/// Bins after a cut that say too much about the bins before it: as far as a label looks, and a
/// window.
pub(super) fn embargo_rows(store: &Store, window: usize) -> usize {
    let reach = store.files().iter().map(|file| {
        let (meta, label) = (file.meta(), &file.meta().label);
        let around = label.lookback + label.offset + label.lookforward;
        let around = around.div_ceil(updates_a_bin(meta, file.len()));
        meta.labels.iter().map(|label| reach(meta, file.len(), label)).fold(around, u64::max)
    });
    window + usize::try_from(reach.max().unwrap_or(0)).unwrap_or(usize::MAX / 2)
}

/// Updates of a bin of a file of so many rows, on average.
pub(super) fn updates_a_bin(meta: &StoreMeta, rows: u64) -> u64 {
    (meta.updates / rows.max(1)).max(1)
}

/// Bins after a row of such a file that its label depends on.
pub(super) fn reach(meta: &StoreMeta, rows: u64, label: &NamedLabel) -> u64 {
    let updates = match label.kind {
        LabelKind::Reversal => meta.label.offset + meta.label.lookforward,
        _ => label.horizon,
    };
    match label.unit {
        LabelUnit::Bins => label.horizon,
        LabelUnit::Seconds => bins_in(meta, rows, label.horizon.saturating_mul(1_000_000_000)),
        _ => updates.div_ceil(updates_a_bin(meta, rows)),
    }
}

/// Bins of a file in a time, at its mean pace; all of them where the file takes none.
fn bins_in(meta: &StoreMeta, rows: u64, ns: u64) -> u64 {
    let took = meta.segments.iter().map(|s| s.ts_last.saturating_sub(s.ts_first)).sum::<u64>();
    let bins = (u128::from(ns) * u128::from(rows)).checked_div(u128::from(took));
    bins.map_or(rows, |bins| u64::try_from(bins + 1).unwrap_or(rows)).min(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BinRow;

    fn series(times: &[(usize, u64)]) -> BinSeries {
        let row = |&(file, at): &(usize, u64)| BinRow {
            file,
            row: at,
            ts_event: at,
            mid_steps: 0.0,
            movement: None,
            label: None,
        };
        let rows: Vec<BinRow> = times.iter().map(row).collect();
        BinSeries { values: vec![], segments: vec![0; rows.len()], rows, n_skipped: 0 }
    }

    #[test]
    fn cuts_are_in_time_with_an_embargo_in_each_file() {
        // Two instruments of the same ten moments, one file each.
        let all: Vec<_> = [0, 1].into_iter().flat_map(|f| (0..10).map(move |at| (f, at))).collect();
        let mut series = series(&all);
        for row in &mut series.rows {
            row.ts_event = if row.row == 3 { u64::MAX } else { row.row };
        }
        let times = times(&series);
        let cuts = moments(&times, Cutting::Shares);
        // 70 % of the moments come before 7, 80 % before 8; one row of embargo after each cut.
        assert_eq!(cuts, Some([7, 8]));
        let found = parts(&series, &times, cuts, 1);
        let expected = [0, 0, 0, 0, 0, 0, 0, 3, 3, 2];
        assert_eq!(found[..10], expected);
        assert_eq!(found[10..], expected);
        let segments = split_segments(&series.segments[..10], &found[..10]);
        assert_eq!(segments, [0, 0, 0, 0, 0, 0, 0, 1, 1, 2]);
    }

    #[test]
    fn training_ends_where_it_is_told_to() {
        let times: Vec<u64> = (10..40).collect();
        // 18 moments follow: a third of them is for validation.
        assert_eq!(moments(&times, Cutting::Until(22)), Some([22, 28]));
        assert_eq!(moments(&times, Cutting::Whole), None);
        for (moment, part) in
            [(10, Some("training")), (11, None), (39, None), (40, Some("validation"))]
        {
            let found = check_until(&times, Cutting::Until(moment)).map_err(|e| e.to_string());
            match part {
                None => assert_eq!(found, Ok(())),
                Some(part) => {
                    let said = found.unwrap_err();
                    assert!(said.contains(part) && said.contains("1970-01-01T00:00:00"), "{said}");
                }
            }
        }
    }

    #[test]
    fn moments_are_read_by_people() {
        let range = TimeRange::of([1_704_196_800_000_000_005, 1_704_153_600_000_000_000]).unwrap();
        let expected = "2024-01-02T00:00:00Z to 2024-01-02T12:00:00.000000005Z";
        assert_eq!(range.to_string(), expected);
        assert_eq!(TimeRange::of([]), None);
        // The year 2554 is the last that 64 bits reach.
        assert!(utc(u64::MAX).starts_with("2554-07-21"), "{}", utc(u64::MAX));
    }
}
