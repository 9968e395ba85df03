use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use lob_dataloader::{Dataset, LoaderError, SplitSpec, WindowSpec};
use lob_depth::{BinColumns, Feature, RenderSpec};
use lob_store::Store;

use super::choice::{StoreFacts, open_store};
use super::cuts::{self, Cuts, Cutting};
use super::labels::Asked;
use super::nothing::NoWindows;
use super::{PrepareOptions, Prepared, SHARES, fill_first_times, parts_note, trained};
use crate::{
    BinSeries, ContrastiveError, ImageSpec, ImageWindows, InputSpec, Layout, Origin, PairKey, Rng,
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
    let planes = planes(path, features)?;
    let store = Arc::new(open_store(path, &options.choice)?);
    let series = BinSeries::read(store.files())?;
    let render = RenderSpec { n_bins: window, features: planes, ..RenderSpec::default() };
    let dataset = Dataset::new(Arc::clone(&store), WindowSpec { n_bins: window, stride }, render)
        .map_err(|source| failed(path, source))?;
    let (cuts, parts) = cut(path, &store, &series, &dataset, options.cutting)?;
    let spec = ImageSpec { row_pool: *row_pool, bin_pool: *bin_pool, max_gap: 0 };
    let open_part = |dataset: &Dataset| -> Result<ImageWindows, ContrastiveError> {
        Ok(ImageWindows::new(dataset.clone(), spec)?.with_positives(options.positives))
    };
    let scale = match &options.scale {
        Some(scale) => scale.clone(),
        None => fitted(open_part(&parts[0])?)?,
    };
    let scaled = |dataset: &Dataset| open_part(dataset)?.with_scale(scale.clone());

    let mut origins = Vec::new();
    let mut whole = Vec::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        origins.extend(places(part, window).map_err(|source| failed(path, source))?);
        whole.push(scaled(part)?);
    }
    let ends = ends(&series, &origins, window);
    for (origin, end) in origins.iter_mut().zip(&ends) {
        let last = end.and_then(|end| series.rows.get(end - 1));
        origin.ts_event = last.map(|row| row.ts_event).filter(|&ts| ts != u64::MAX);
    }
    fill_first_times(&store, &mut origins)?;
    let split = split(&parts, &origins, cuts, options.cutting);
    let mut notes = vec![parts_note(&split, origins.len(), &embargo_note(cuts))];
    let asked = Asked { store: &store, series: &series, ends: &ends, window, split: &split };
    let tasks = asked.tasks(cuts, &mut notes)?;
    let whole = Joined(whole);
    let (train, validation) = learned(&parts, &whole, scaled)?;
    if validation.is_none() && options.cutting.is_new() {
        notes.push("no validation pairs: the embargo leaves no window of that part".to_owned());
    }
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
        inputs: features.clone(),
        notes,
    })
}

type Pairs = (Arc<dyn WindowSource>, Option<Arc<dyn WindowSource>>);

/// The pairs to train and to validate on, of the parts where there are three.
fn learned(
    parts: &[Dataset],
    whole: &Joined,
    scaled: impl Fn(&Dataset) -> Result<ImageWindows, ContrastiveError>,
) -> Result<Pairs, ContrastiveError> {
    let some = |part: &Dataset| Some(part).filter(|part| !part.is_empty()).map(&scaled).transpose();
    let (train, validation) = match parts {
        [train, validation, _] => (some(train)?, some(validation)?),
        _ => (None, None),
    };
    let train: Arc<dyn WindowSource> = match train {
        Some(train) => Arc::new(train),
        None => Arc::new(NoWindows { n_inputs: whole.n_inputs(), layout: whole.layout() }),
    };
    Ok((train, validation.map(|part| Arc::new(part) as Arc<dyn WindowSource>)))
}

fn embargo_note(cuts: Option<Cuts>) -> String {
    match cuts {
        Some(cuts) => format!("embargo of about {} bins", cuts.embargo),
        None => "not cut into parts".to_owned(),
    }
}

/// Mean and inverse deviation of each input of these images.
fn fitted(images: ImageWindows) -> Result<Vec<(f32, f32)>, ContrastiveError> {
    let n = images.len();
    Ok(images.standardised(0..n)?.scale().to_vec())
}

fn failed(path: &Path, source: LoaderError) -> ContrastiveError {
    ContrastiveError::Open { path: path.to_owned(), source: source.into() }
}

/// Where the windows are cut, and those of training, validation and test part; all of them as one
/// where parts are only marked, or there are none.
fn cut(
    path: &Path,
    store: &Store,
    series: &BinSeries,
    dataset: &Dataset,
    cutting: Cutting,
) -> Result<(Option<Cuts>, Vec<Dataset>), ContrastiveError> {
    let embargo = cuts::embargo_rows(store, dataset.window().n_bins);
    let embargo_ns = cuts::pause_ns(series, embargo);
    let (cuts, parts) = match cutting {
        Cutting::Whole => return Ok((None, vec![dataset.clone()])),
        Cutting::Marked(cuts) => return Ok((Some(cuts), vec![dataset.clone()])),
        Cutting::Shares => {
            // An embargo may leave a part empty: who needs it says so.
            let spec = SplitSpec { train: SHARES[0], validation: SHARES[1], embargo_ns: 0 };
            let parts = dataset.split(spec).map_err(|source| failed(path, source))?;
            let [validation_from, test_from] = parts.cuts_ns;
            let parts = dataset.split_at(parts.cuts_ns, embargo_ns);
            let parts = parts.map_err(|source| failed(path, source))?;
            (Cuts { validation_from, test_from, embargo, embargo_ns }, parts)
        }
        Cutting::Until(_) | Cutting::At(_) => {
            let times = cuts::times(series);
            cuts::check_until(&times, cutting)?;
            let cuts = match (cutting, cuts::moments(&times, cutting)) {
                (Cutting::At(cuts), _) => cuts,
                (_, Some([validation_from, test_from])) => {
                    Cuts { validation_from, test_from, embargo, embargo_ns }
                }
                (_, None) => return Ok((None, vec![dataset.clone()])),
            };
            let at = [cuts.validation_from, cuts.test_from];
            let parts = dataset.split_at(at, cuts.embargo_ns);
            let parts = parts.map_err(|source| failed(path, source))?;
            if cutting.is_new() && parts.train.is_empty() {
                return Err(ContrastiveError::EmptyPart {
                    part: "training",
                    reason: format!("no image ends before {}", cuts::utc(cuts.validation_from)),
                    hint: "choose a later end of training, or a shorter window",
                });
            }
            (cuts, parts)
        }
    };
    Ok((Some(cuts), vec![parts.train, parts.validation, parts.test]))
}

/// Which windows are for what.
fn split(parts: &[Dataset], origins: &[Origin], cuts: Option<Cuts>, cutting: Cutting) -> TimeSplit {
    let mut split = TimeSplit { train: vec![], validation: vec![], test: vec![] };
    let Some(cuts) = cuts else { return split };
    if let ([train, validation, _], false) = (parts, matches!(cutting, Cutting::Marked(_))) {
        let of = |part: &Dataset| usize::try_from(part.len()).unwrap_or(usize::MAX);
        let (first, second) = (of(train), of(train) + of(validation));
        split.train = (0..first).collect();
        split.validation = (first..second).collect();
        split.test = (second..origins.len()).collect();
        return split;
    }
    for (idx, origin) in origins.iter().enumerate() {
        let Some((first, last)) = origin.ts_first.zip(origin.ts_event) else { continue };
        let (second, third) = (
            cuts.validation_from.saturating_add(cuts.embargo_ns),
            cuts.test_from.saturating_add(cuts.embargo_ns),
        );
        if last < cuts.validation_from {
            split.train.push(idx);
        } else if first >= second && last < cuts.test_from {
            split.validation.push(idx);
        } else if first >= third {
            split.test.push(idx);
        }
    }
    split
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
            Ok(Origin { file, row, ts_first: None, ts_event: None, instrument_id })
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
