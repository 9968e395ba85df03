use std::path::Path;
use std::sync::Arc;

use lob_store::Store;

use super::choice::{StoreFacts, open_store};
use super::cuts::{self, Cuts, Cutting, EMBARGO, TEST, TRAIN, VALIDATION};
use super::labels::{self, Asked};
use super::nothing::NoWindows;
use super::{PrepareOptions, Prepared, fill_first_times, parts_note, trained};
use crate::{
    BIN_CHANNELS, BinSeries, ContrastiveError, Origin, Positives, SeriesWindows, TimeSplit,
    WindowSource,
};

pub(super) fn prepare(
    path: &Path,
    window: usize,
    stride: usize,
    options: &PrepareOptions,
) -> Result<Prepared, ContrastiveError> {
    let store = open_store(path, &options.choice)?;
    let series = BinSeries::read(store.files())?;
    let (cuts, parts) = cut(&store, &series, window, options.cutting)?;
    let scale = match &options.scale {
        Some(scale) => scale.clone(),
        None => {
            let rows: Vec<usize> = (0..parts.len()).filter(|&row| parts[row] == TRAIN).collect();
            SeriesWindows::fit_scale(&series.values, &BinSeries::channels(), &rows)?
        }
    };
    let whole = windows(&series, &parts, &scale, (window, stride), options.cutting)?;
    let starts: Vec<usize> = (0..whole.len()).filter_map(|idx| whole.start_row(idx)).collect();
    let of = |part: u8| -> Vec<usize> {
        let is_in = |&idx: &usize| parts[starts[idx]..][..window].iter().all(|p| *p == part);
        (0..starts.len()).filter(is_in).collect()
    };
    let split = match cuts {
        Some(_) => TimeSplit { train: of(TRAIN), validation: of(VALIDATION), test: of(TEST) },
        None => TimeSplit { train: vec![], validation: vec![], test: vec![] },
    };
    let embargo = cuts.map_or("not cut into parts".to_owned(), |cuts| {
        format!("embargo of {} bins after a cut", cuts.embargo)
    });
    let mut notes = vec![parts_note(&split, starts.len(), &embargo)];
    if series.n_skipped > 0 {
        notes.push(format!("{} one-sided bins left out", series.n_skipped));
    }
    let ends: Vec<Option<usize>> = starts.iter().map(|start| Some(start + window)).collect();
    let asked = Asked { store: &store, series: &series, ends: &ends, window, split: &split };
    let tasks = asked.tasks(cuts, &mut notes)?;
    let marks = series.rows.iter().map(|row| {
        let instrument = store.files()[row.file].meta().instrument_id;
        (u64::from(instrument), Some(row.ts_event).filter(|&ts| ts != u64::MAX))
    });
    let mut paired =
        whole.clone().with_positives(options.positives)?.with_marks(marks.collect())?;
    if options.volatility_labels {
        paired = paired.with_labels(volatility_classes(&series, window, &split, &starts))?;
    }
    let (train, validation) = learned(&paired, &parts, cuts, options.cutting, &mut notes)?;
    let origins = origins(&store, &series, &starts, window)?;
    Ok(Prepared {
        train,
        validation,
        trained: trained(&origins, &split),
        origins,
        whole: Arc::new(whole),
        split,
        tasks,
        scale,
        data: Some(store.fingerprint()),
        window,
        facts: Some(StoreFacts::of(&store)),
        cuts,
        inputs: BIN_CHANNELS.iter().map(|(name, _)| (*name).to_owned()).collect(),
        notes,
    })
}

/// All windows. They lie in one part each, unless parts are only marked.
fn windows(
    series: &BinSeries,
    parts: &[u8],
    scale: &[(f32, f32)],
    (window, stride): (usize, usize),
    cutting: Cutting,
) -> Result<SeriesWindows, ContrastiveError> {
    let is_marked = matches!(cutting, Cutting::Marked(_));
    let segments = match is_marked {
        true => series.segments.clone(),
        false => cuts::split_segments(&series.segments, parts),
    };
    SeriesWindows::with_scale(
        series.values.clone(),
        BinSeries::channels(),
        &segments,
        scale.to_vec(),
        (window, stride),
        Positives::Same,
    )?
    .retained(|row| is_marked || parts[row] != EMBARGO)
}

type Pairs = (Arc<dyn WindowSource>, Option<Arc<dyn WindowSource>>);

/// The pairs to train and to validate on. Those to train on may be missing only where the cuts are
/// those of a model.
fn learned(
    paired: &SeriesWindows,
    parts: &[u8],
    cuts: Option<Cuts>,
    cutting: Cutting,
    notes: &mut Vec<String>,
) -> Result<Pairs, ContrastiveError> {
    let nothing = || NoWindows { n_inputs: paired.n_inputs(), layout: paired.layout() };
    if cuts.is_none() || matches!(cutting, Cutting::Marked(_)) {
        return Ok((Arc::new(nothing()), None));
    }
    let part = |wanted: u8| paired.clone().retained(|row| parts[row] == wanted);
    let train: Arc<dyn WindowSource> = match part(TRAIN) {
        Ok(train) => Arc::new(train),
        Err(ContrastiveError::NotEnoughData { .. }) if !cutting.is_new() => Arc::new(nothing()),
        Err(error) => return Err(error),
    };
    let validation: Option<Arc<dyn WindowSource>> = match part(VALIDATION) {
        Ok(validation) => Some(Arc::new(validation)),
        Err(ContrastiveError::NotEnoughData { reason, .. }) => {
            notes.push(format!("no validation pairs: {reason}"));
            None
        }
        Err(error) => return Err(error),
    };
    Ok((train, validation))
}

/// Where the windows that begin in these rows come from.
fn origins(
    store: &Store,
    series: &BinSeries,
    starts: &[usize],
    window: usize,
) -> Result<Vec<Origin>, ContrastiveError> {
    let origins = starts.iter().map(|&start| {
        let (first, last) = (&series.rows[start], &series.rows[start + window - 1]);
        Origin {
            file: first.file,
            row: first.row,
            ts_first: None,
            ts_event: Some(last.ts_event).filter(|&ts| ts != u64::MAX),
            instrument_id: Some(store.files()[first.file].meta().instrument_id),
        }
    });
    let mut origins: Vec<Origin> = origins.collect();
    fill_first_times(store, &mut origins)?;
    Ok(origins)
}

/// Where the rows of a series are cut, and the part of each.
fn cut(
    store: &Store,
    series: &BinSeries,
    window: usize,
    cutting: Cutting,
) -> Result<(Option<Cuts>, Vec<u8>), ContrastiveError> {
    let times = cuts::times(series);
    cuts::check_until(&times, cutting)?;
    let embargo = match cutting {
        Cutting::At(cuts) | Cutting::Marked(cuts) => cuts.embargo,
        _ => cuts::embargo_rows(store, window),
    };
    let moments = cuts::moments(&times, cutting);
    let parts = cuts::parts(series, &times, moments, embargo);
    if cutting.is_new() && !parts.contains(&TRAIN) {
        return Err(ContrastiveError::EmptyPart {
            part: "training",
            reason: format!("there are {} bins with both sides", times.len()),
            hint: "use a longer recording, or smaller bins",
        });
    }
    let cuts = match cutting {
        Cutting::At(cuts) | Cutting::Marked(cuts) => Some(cuts),
        _ => moments.map(|[validation_from, test_from]| {
            let embargo_ns = cuts::pause_ns(series, embargo);
            Cuts { validation_from, test_from, embargo, embargo_ns }
        }),
    };
    Ok((cuts, parts))
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
