use std::path::Path;
use std::sync::Arc;

use lob_store::Store;

use super::labels::{self, Asked};
use super::{Origin, PrepareOptions, Prepared, SHARES, parts_note};
use crate::{BinSeries, ContrastiveError, Positives, SeriesWindows, TimeSplit, WindowSource};

/// Parts of a split in time, as numbers in row order.
const TRAIN: u8 = 0;
const VALIDATION: u8 = 1;
const TEST: u8 = 2;
const EMBARGO: u8 = 3;

pub(super) fn prepare(
    path: &Path,
    window: usize,
    stride: usize,
    options: &PrepareOptions,
) -> Result<Prepared, ContrastiveError> {
    let store = open(path)?;
    let series = BinSeries::read(store.files())?;
    let embargo = embargo_rows(&store, window);
    let parts = parts(&series, embargo);
    let channels = BinSeries::channels();
    let scale = match &options.scale {
        Some(scale) => scale.clone(),
        None => {
            let rows: Vec<usize> = (0..parts.len()).filter(|&row| parts[row] == TRAIN).collect();
            SeriesWindows::fit_scale(&series.values, &channels, &rows)?
        }
    };
    let segments = split_segments(&series.segments, &parts);
    let whole = SeriesWindows::with_scale(
        series.values.clone(),
        channels,
        &segments,
        scale.clone(),
        (window, stride),
        Positives::Same,
    )?
    .retained(|row| parts[row] != EMBARGO)?;

    let starts: Vec<usize> = (0..whole.len()).filter_map(|idx| whole.start_row(idx)).collect();
    let of = |part: u8| (0..starts.len()).filter(|&idx| parts[starts[idx]] == part).collect();
    let split = TimeSplit { train: of(TRAIN), validation: of(VALIDATION), test: of(TEST) };
    let mut notes =
        vec![parts_note(&split, starts.len(), &format!("embargo of {embargo} bins after a cut"))];
    if series.n_skipped > 0 {
        notes.push(format!("{} one-sided bins left out", series.n_skipped));
    }
    let ends: Vec<Option<usize>> = starts.iter().map(|start| Some(start + window)).collect();
    let asked = Asked { store: &store, series: &series, ends: &ends, window, split: &split };
    let tasks = asked.tasks(&mut notes)?;

    let marks = series.rows.iter().map(|row| {
        let instrument = store.files()[row.file].meta().instrument_id;
        (u64::from(instrument), Some(row.ts_event).filter(|&ts| ts != u64::MAX))
    });
    let mut paired =
        whole.clone().with_positives(options.positives)?.with_marks(marks.collect())?;
    if options.volatility_labels {
        paired = paired.with_labels(volatility_classes(&series, window, &split, &starts))?;
    }
    let part = |wanted: u8| paired.clone().retained(|row| parts[row] == wanted);
    let origins = origins(&store, &series, &starts, window);
    let validation: Option<Arc<dyn WindowSource>> = match part(VALIDATION) {
        Ok(validation) => Some(Arc::new(validation)),
        Err(ContrastiveError::NotEnoughData { reason, .. }) => {
            notes.push(format!("no validation pairs: {reason}"));
            None
        }
        Err(error) => return Err(error),
    };
    Ok(Prepared {
        train: Arc::new(part(TRAIN)?),
        validation,
        origins,
        whole: Arc::new(whole),
        split,
        tasks,
        scale,
        data: Some(store.fingerprint()),
        window,
        notes,
    })
}

/// Where each window is and when it ends.
fn origins(store: &Store, series: &BinSeries, starts: &[usize], window: usize) -> Vec<Origin> {
    let origin = |&start: &usize| {
        let (first, last) = (&series.rows[start], &series.rows[start + window - 1]);
        Origin {
            file: first.file,
            row: first.row,
            ts_event: Some(last.ts_event).filter(|&ts| ts != u64::MAX),
            instrument_id: Some(store.files()[first.file].meta().instrument_id),
        }
    };
    starts.iter().map(origin).collect()
}

pub(super) fn open(path: &Path) -> Result<Store, ContrastiveError> {
    Store::open(path)
        .map_err(|source| ContrastiveError::Open { path: path.to_owned(), source: source.into() })
}

/// Bins after a cut that say too much about the bins before it: as far as a label looks, and a
/// window.
pub(super) fn embargo_rows(store: &Store, window: usize) -> usize {
    let reach = store.files().iter().map(|file| {
        let (meta, rows) = (file.meta(), file.len().max(1));
        let updates_a_bin = (meta.updates / rows).max(1);
        let label = &meta.label;
        (label.lookback + label.offset + label.lookforward).div_ceil(updates_a_bin)
    });
    window + usize::try_from(reach.max().unwrap_or(0)).unwrap_or(usize::MAX / 2)
}

/// The part of each row: cut by time over all files, with an embargo after each cut.
fn parts(series: &BinSeries, embargo: usize) -> Vec<u8> {
    let mut latest = 0;
    let times: Vec<u64> = series
        .rows
        .iter()
        .map(|row| {
            if row.ts_event != u64::MAX {
                latest = row.ts_event;
            }
            latest
        })
        .collect();
    let mut sorted = times.clone();
    sorted.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a count"
    )]
    let cut = |share: f64| {
        sorted.get((sorted.len() as f64 * share).round() as usize).copied().unwrap_or(u64::MAX)
    };
    let cuts = [cut(SHARES[0]), cut(SHARES[0] + SHARES[1])];
    let mut out = Vec::with_capacity(times.len());
    let (mut previous, mut left): (Option<(usize, u8)>, usize) = (None, 0);
    for (row, &ts) in series.rows.iter().zip(&times) {
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
fn split_segments(segments: &[u32], parts: &[u8]) -> Vec<u32> {
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

/// Third of the volatility inside the window that ends at each row, for a supervised loss.
fn volatility_classes(
    series: &BinSeries,
    window: usize,
    split: &TimeSplit,
    starts: &[usize],
) -> Vec<i64> {
    let inside: Vec<Option<f64>> =
        starts.iter().map(|start| labels::volatility(series, start + 1..start + window)).collect();
    let classes = labels::thirds(&inside, &split.train);
    let mut out = vec![-1; series.rows.len()];
    for (start, class) in starts.iter().zip(classes) {
        if let Some(class) = class {
            out[start + window - 1] = i64::from(class);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BinRow;

    #[test]
    fn cuts_are_in_time_with_an_embargo_in_each_file() {
        // Two instruments of the same ten moments, one file each.
        let row = |file, at: u64| BinRow {
            file,
            row: at,
            ts_event: if at == 3 { u64::MAX } else { at },
            mid_steps: 0.0,
            movement: None,
            label: None,
        };
        let rows: Vec<BinRow> =
            [0, 1].into_iter().flat_map(|file| (0..10).map(move |at| row(file, at))).collect();
        let series = BinSeries { values: vec![], segments: vec![0; 20], rows, n_skipped: 0 };
        let found = parts(&series, 1);
        // 70 % of the moments come before 7, 80 % before 8; one row of embargo after each cut.
        let expected = [0, 0, 0, 0, 0, 0, 0, 3, 3, 2];
        assert_eq!(found[..10], expected);
        assert_eq!(found[10..], expected);
        let segments = split_segments(&series.segments[..10], &found[..10]);
        assert_eq!(segments, [0, 0, 0, 0, 0, 0, 0, 1, 1, 2]);
    }
}
