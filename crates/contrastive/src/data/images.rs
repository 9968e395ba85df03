use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use lob_dataloader::{Dataset, LoaderError, SplitSpec, WindowSpec};
use lob_depth::{BinColumns, Feature, RenderSpec};

use super::bins::{embargo_rows, open};
use super::labels::Asked;
use super::{Origin, PrepareOptions, Prepared, SHARES, parts_note};
use crate::{
    BinSeries, ContrastiveError, ImageSpec, ImageWindows, InputSpec, Layout, PairKey, Rng,
    TimeSplit, WindowScratch, WindowSource,
};

pub(super) fn prepare(
    path: &Path,
    input: &InputSpec,
    options: &PrepareOptions,
) -> Result<Prepared, ContrastiveError> {
    let InputSpec::Images { window, stride, row_pool, bin_pool, features } = input else {
        return Err(ContrastiveError::config("input", "images", format!("{input:?}")));
    };
    let (window, stride) = (*window, *stride);
    let failed = |source: LoaderError| ContrastiveError::Open {
        path: path.to_owned(),
        source: source.into(),
    };
    let features = planes(path, features)?;
    let store = Arc::new(open(path)?);
    let series = BinSeries::read(store.files())?;
    let embargo = embargo_rows(&store, window);
    let render = RenderSpec { n_bins: window, features, ..RenderSpec::default() };
    let dataset = Dataset::new(Arc::clone(&store), WindowSpec { n_bins: window, stride }, render)
        .map_err(failed)?;
    let split = SplitSpec {
        train: SHARES[0],
        validation: SHARES[1],
        embargo_ns: pause_ns(&series, embargo),
    };
    let parts = dataset.split(split).map_err(failed)?;
    let spec = ImageSpec { row_pool: *row_pool, bin_pool: *bin_pool, max_gap: 0 };
    let open_part = |dataset: &Dataset| -> Result<ImageWindows, ContrastiveError> {
        Ok(ImageWindows::new(dataset.clone(), spec)?.with_positives(options.positives))
    };
    let train = open_part(&parts.train)?;
    let train = match &options.scale {
        Some(scale) => train.with_scale(scale.clone())?,
        None => {
            let n = train.len();
            train.standardised(0..n)?
        }
    };
    let scale = train.scale().to_vec();
    let scaled = |dataset: &Dataset| open_part(dataset)?.with_scale(scale.clone());

    let mut origins = Vec::new();
    let mut sizes = [0; 3];
    let mut whole = Vec::new();
    for (part, size) in [&parts.train, &parts.validation, &parts.test].into_iter().zip(&mut sizes) {
        *size = usize::try_from(part.len()).unwrap_or(usize::MAX);
        origins.extend(places(part, window).map_err(failed)?);
        whole.push(scaled(part)?);
    }
    let [n_train, n_validation, n_test] = sizes;
    let split = TimeSplit {
        train: (0..n_train).collect(),
        validation: (n_train..n_train + n_validation).collect(),
        test: (n_train + n_validation..n_train + n_validation + n_test).collect(),
    };
    let embargoed = format!("embargo of about {embargo} bins");
    let mut notes = vec![parts_note(&split, origins.len(), &embargoed)];
    let ends = ends(&series, &origins, window);
    let asked = Asked { store: &store, series: &series, ends: &ends, window, split: &split };
    let tasks = asked.tasks(&mut notes)?;
    for (origin, end) in origins.iter_mut().zip(&ends) {
        let last = end.and_then(|end| series.rows.get(end - 1));
        origin.ts_event = last.map(|row| row.ts_event).filter(|&ts| ts != u64::MAX);
    }
    Ok(Prepared {
        train: Arc::new(train),
        validation: Some(Arc::new(scaled(&parts.validation)?)),
        origins,
        whole: Arc::new(Joined(whole)),
        split,
        tasks,
        scale,
        data: Some(store.fingerprint()),
        window,
        notes,
    })
}

/// The planes of these names.
fn planes(path: &Path, names: &[String]) -> Result<Vec<Feature>, ContrastiveError> {
    let found: Result<Vec<Feature>, _> = names.iter().map(|name| name.parse()).collect();
    found.map_err(|source: lob_depth::DepthError| ContrastiveError::Open {
        path: path.to_owned(),
        source: source.into(),
    })
}

/// File and row of every window.
fn places(dataset: &Dataset, window: usize) -> Result<Vec<Origin>, LoaderError> {
    debug_assert_eq!(dataset.window().n_bins, window);
    let mut columns = BinColumns::default();
    (0..dataset.len())
        .map(|idx| {
            let (file, row) = dataset.bins(idx, &mut columns)?;
            let instrument_id = dataset.store().files().get(file).map(|f| f.meta().instrument_id);
            Ok(Origin { file, row, ts_event: None, instrument_id })
        })
        .collect()
}

/// The series row after each window's last one; `None` where that one is one-sided.
fn ends(series: &BinSeries, origins: &[Origin], window: usize) -> Vec<Option<usize>> {
    let rows: HashMap<(usize, u64), usize> =
        series.rows.iter().enumerate().map(|(at, row)| ((row.file, row.row), at)).collect();
    let last = |o: &Origin| rows.get(&(o.file, o.row + window as u64 - 1)).map(|at| at + 1);
    origins.iter().map(last).collect()
}

/// How long this many bins take at the median pace.
fn pause_ns(series: &BinSeries, bins: usize) -> u64 {
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

/// Sources of the same shape, one after the other; pairs come from the first.
#[derive(Debug)]
struct Joined(Vec<ImageWindows>);

impl WindowSource for Joined {
    fn len(&self) -> usize {
        self.0.iter().map(WindowSource::len).sum()
    }

    fn n_inputs(&self) -> usize {
        self.0.first().map_or(0, WindowSource::n_inputs)
    }

    fn layout(&self) -> Layout {
        self.0.first().map_or(Layout::series(0, 1), WindowSource::layout)
    }

    fn window(
        &self,
        idx: usize,
        scratch: &mut WindowScratch,
        out: &mut [f32],
    ) -> Result<(), ContrastiveError> {
        let mut at = idx;
        for part in &self.0 {
            if at < part.len() {
                return part.window(at, scratch, out);
            }
            at -= part.len();
        }
        let (expected, found) = (idx + 1, self.len());
        Err(ContrastiveError::Shape { what: "the list of windows", expected, found })
    }

    fn pairs(
        &self,
        scratch: &mut WindowScratch,
        rng: &mut Rng,
        anchors: &mut [f32],
        positives: &mut [f32],
        keys: &mut [PairKey],
    ) -> Result<(), ContrastiveError> {
        match self.0.first() {
            Some(first) => first.pairs(scratch, rng, anchors, positives, keys),
            None => Ok(()),
        }
    }
}
