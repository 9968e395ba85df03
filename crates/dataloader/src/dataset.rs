use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use lob_depth::{BinColumns, BinSlice, DepthError, Dtype, Feature, RenderSpec, Renderer};
use lob_store::{BinFile, LabelPlace, Planes, Store};

use crate::{LoaderError, cache::BlockCache};

/// Default budget of the decoded blocks.
const CACHE_BYTES: usize = 128 << 20;

/// Which windows of a store are samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSpec {
    /// Bins in a window, at least 1; must equal the `n_bins` of the rendering.
    pub n_bins: usize,
    /// Rows from one window to the next, at least 1.
    pub stride: usize,
}

/// What a sample is besides its image.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleMeta {
    /// Class of the window's last bin.
    pub label: Option<i32>,
    /// Value of its label: price movement around the bin, unless the data set has another.
    pub movement: Option<f64>,
    /// Index of the file in the store.
    pub file: usize,
    /// First row of the window in that file.
    pub row: u64,
    /// `ts_event` of the window's last update, ns since 1970; `u64::MAX` where unknown.
    pub ts_event: u64,
}

/// Memory one thread needs to load samples; make it once and reuse it.
#[derive(Debug, Default)]
pub struct Scratch {
    columns: BinColumns,
    renderer: Renderer,
}

/// A stretch of rows without a break, and the windows that begin in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) file: usize,
    pub(crate) first_row: u64,
    pub(crate) rows: u64,
    /// Windows in the runs before.
    start: u64,
}

impl Run {
    pub(crate) fn new(file: usize, first_row: u64, rows: u64) -> Self {
        Self { file, first_row, rows, start: 0 }
    }
}

/// Windows over a store, rendered on demand. Cloning shares the store and its cache.
#[derive(Debug, Clone)]
pub struct Dataset {
    store: Arc<Store>,
    cache: Arc<BlockCache>,
    planes: Planes,
    render: RenderSpec,
    window: WindowSpec,
    runs: Arc<[Run]>,
    len: u64,
    /// Where each file has the label of samples.
    labels: Arc<[LabelPlace]>,
    #[cfg(test)]
    pub(crate) panic_at: Option<u64>,
}

impl Dataset {
    /// Opens the store at `path` and lays windows over it.
    ///
    /// # Errors
    /// The store cannot be opened, an option is out of range, or no run is long enough.
    pub fn open(
        path: impl AsRef<Path>,
        window: WindowSpec,
        render: RenderSpec,
    ) -> Result<Self, LoaderError> {
        Self::new(Arc::new(Store::open(path)?), window, render)
    }

    /// Lays windows over an open store.
    ///
    /// # Errors
    /// An option is out of range, or no run is long enough.
    pub fn new(
        store: Arc<Store>,
        window: WindowSpec,
        render: RenderSpec,
    ) -> Result<Self, LoaderError> {
        let config = |option, found: String, expected: &str| {
            Err(LoaderError::Config { option, found, expected: expected.to_owned() })
        };
        if let Err(source) = render.validate() {
            return config("render", source.to_string(), "an image that can be drawn");
        }
        if window.n_bins != render.n_bins {
            let expected = format!("`{}`, the bins of the rendering", render.n_bins);
            return config("window.n_bins", window.n_bins.to_string(), &expected);
        }
        if window.stride == 0 {
            return config("window.stride", "0".to_owned(), "at least 1");
        }
        let planes = planes(&render);
        let runs: Vec<Run> = store
            .files()
            .iter()
            .enumerate()
            .flat_map(|(at, file)| file.meta().segments.iter().map(move |run| (at, run)))
            .map(|(file, run)| Run::new(file, run.first_row, run.rows))
            .collect();
        let longest = runs.iter().map(|run| run.rows).max().unwrap_or(0);
        let path = store.path().to_owned();
        let labels = vec![LabelPlace::MOVEMENT; store.files().len()].into();
        let dataset = Self {
            store,
            cache: Arc::new(BlockCache::new(planes, CACHE_BYTES)),
            planes,
            render,
            window,
            runs: Arc::new([]),
            len: 0,
            labels,
            #[cfg(test)]
            panic_at: None,
        }
        .with_runs(runs);
        match dataset.len {
            0 => Err(LoaderError::NoWindow { path, n_bins: window.n_bins, longest }),
            _ => Ok(dataset),
        }
    }

    /// The same windows with another budget, in bytes, for decoded bins; 0 switches the cache
    /// off. The default is 128 MiB.
    #[must_use]
    pub fn with_cache_bytes(mut self, bytes: usize) -> Self {
        self.cache = Arc::new(BlockCache::new(self.planes, bytes));
        self
    }

    /// The same windows with another label, one of [`StoreMeta::labels`](lob_store::StoreMeta) of
    /// every file; the default is `reversal`.
    ///
    /// # Errors
    /// A file has no label of this name.
    pub fn with_label(mut self, name: &str) -> Result<Self, LoaderError> {
        let places = self.store.files().iter().map(|file| file.label_place(name));
        self.labels = places.collect::<Result<Vec<_>, _>>()?.into();
        Ok(self)
    }

    /// The same store, cache and rendering over other runs.
    pub(crate) fn with_runs(&self, runs: Vec<Run>) -> Self {
        let mut start = 0;
        let mut kept = Vec::with_capacity(runs.len());
        for run in runs {
            let n = self.windows_in(run.rows);
            if n > 0 {
                kept.push(Run { start, ..run });
                start += n;
            }
        }
        Self { runs: kept.into(), len: start, ..self.clone() }
    }

    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Windows in a run of this many rows.
    pub(crate) fn windows_in(&self, rows: u64) -> u64 {
        match rows.checked_sub(self.window.n_bins as u64) {
            Some(spare) => spare / self.window.stride as u64 + 1,
            None => 0,
        }
    }

    /// Number of windows.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no window: only a part of a split can be so.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Values in one sample: features × 402 × bins.
    pub fn sample_len(&self) -> usize {
        self.render.len()
    }

    /// How windows are rendered.
    pub fn render_spec(&self) -> &RenderSpec {
        &self.render
    }

    /// Which windows are samples.
    pub fn window(&self) -> WindowSpec {
        self.window
    }

    /// The store below.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Decoded blocks found in the cache, and those that were not, since it was made.
    pub fn cache_hits_and_misses(&self) -> (u64, u64) {
        (self.cache.hits(), self.cache.misses())
    }

    /// File number and first row of sample `index`.
    fn locate(&self, index: u64) -> Result<(usize, u64), LoaderError> {
        if index >= self.len {
            return Err(LoaderError::OutOfRange { index, len: self.len });
        }
        let at = self.runs.partition_point(|run| run.start <= index) - 1;
        let run = self.runs[at];
        Ok((run.file, run.first_row + (index - run.start) * self.window.stride as u64))
    }

    /// Path of the file and first row of sample `index`, for messages.
    pub(crate) fn place(&self, index: u64) -> (PathBuf, u64) {
        match self.locate(index) {
            Ok((file, row)) => (self.store.files()[file].path().to_owned(), row),
            Err(_) => (self.store.path().to_owned(), 0),
        }
    }

    /// Renders sample `index` into `out`, which has [`sample_len`](Self::sample_len) values.
    ///
    /// # Errors
    /// The index or the length of `out` is wrong, a page is damaged, or the window cannot be
    /// rendered; file and row are named.
    pub fn get(
        &self,
        index: u64,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> Result<SampleMeta, LoaderError> {
        self.load(index, scratch, |renderer, spec, bins| renderer.render(spec, bins, out))
    }

    /// Renders sample `index` to the bytes of a number format, as [`Renderer::render_bytes`] does.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_bytes(
        &self,
        index: u64,
        scratch: &mut Scratch,
        dtype: Dtype,
        out: &mut [u8],
    ) -> Result<SampleMeta, LoaderError> {
        self.load(index, scratch, |renderer, spec, bins| {
            renderer.render_bytes(spec, bins, dtype, out)
        })
    }

    fn load(
        &self,
        index: u64,
        scratch: &mut Scratch,
        render: impl FnOnce(&mut Renderer, &RenderSpec, BinSlice<'_>) -> Result<(), DepthError>,
    ) -> Result<SampleMeta, LoaderError> {
        let columns = self.bins(index, &mut scratch.columns)?;
        #[cfg(test)]
        assert_ne!(self.panic_at, Some(index), "a made-up fault");
        let (file, row) = columns;
        let _scope = lob_scope::scope!("render");
        let bins = scratch.columns.as_slice(0..self.window.n_bins);
        let rendered = render(&mut scratch.renderer, &self.render, bins);
        rendered.map_err(|source| self.sample_error(file, row, source))?;
        self.meta(file, row)
    }

    /// Replaces the content of `bins` by the bins of sample `index`, prices and the planes its
    /// rendering needs; gives the number of the file and the window's first row.
    ///
    /// # Errors
    /// The index is wrong or a page is damaged; file and row are named.
    pub fn bins(&self, index: u64, bins: &mut BinColumns) -> Result<(usize, u64), LoaderError> {
        let _scope = lob_scope::scope!("read_bins");
        let (at, row) = self.locate(index)?;
        bins.clear();
        let rows = row..row + self.window.n_bins as u64;
        let read = self.cache.read(at, self.file(at), rows, bins);
        read.map_err(|source| self.sample_error(at, row, source))?;
        Ok((at, row))
    }

    /// Class of sample `index`, without its image.
    ///
    /// # Errors
    /// The index is wrong or a page is damaged; file and row are named.
    pub fn label(&self, index: u64) -> Result<Option<i32>, LoaderError> {
        let (file, row) = self.locate(index)?;
        Ok(self.meta(file, row)?.label)
    }

    fn meta(&self, file: usize, row: u64) -> Result<SampleMeta, LoaderError> {
        let last =
            self.file(file).row_label(row + self.window.n_bins as u64 - 1, self.labels[file]);
        let last = last.map_err(|source| self.sample_error(file, row, source))?;
        let (label, movement, ts_event) = (last.label, last.movement, last.ts_event);
        Ok(SampleMeta { label, movement, file, row, ts_event })
    }

    fn file(&self, at: usize) -> &BinFile {
        &self.store.files()[at]
    }

    fn sample_error(
        &self,
        file: usize,
        row: u64,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> LoaderError {
        let path = self.file(file).path().to_owned();
        LoaderError::Sample { path, row, source: Box::new(source) }
    }
}

/// The planes a rendering reads.
fn planes(render: &RenderSpec) -> Planes {
    let has = |feature| render.features.contains(&feature);
    Planes {
        size: [Feature::Volume, Feature::OrderFlowImbalance, Feature::Microprice]
            .into_iter()
            .any(has),
        variance: has(Feature::Variance),
        count: has(Feature::TradeCounts),
    }
}
