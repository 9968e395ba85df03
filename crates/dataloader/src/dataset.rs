use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use lob_depth::{BinColumns, RenderSpec, Renderer};
use lob_store::Store;

use crate::LoaderError;

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
    /// Price movement around the window's last bin.
    pub movement: Option<f64>,
    /// Index of the file in the store.
    pub file: usize,
    /// First row of the window in that file.
    pub row: u64,
    /// `ts_event` of the window's last update, ns since 1970.
    pub ts_event: u64,
}

/// Memory one thread needs to load samples; make it once and reuse it.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) columns: BinColumns,
    pub(crate) renderer: Renderer,
}

/// Windows over a store, rendered on demand.
#[derive(Debug, Clone)]
pub struct Dataset {
    store: Arc<Store>,
    spec: RenderSpec,
    window: WindowSpec,
    root: PathBuf,
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
        let _ = (path, window, render);
        todo!()
    }
    /// Number of windows.
    pub fn len(&self) -> u64 {
        todo!()
    }
    /// Whether there is no window.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Values in one sample: features × 402 × bins.
    pub fn sample_len(&self) -> usize {
        self.spec.len()
    }
    /// How windows are rendered.
    pub fn render_spec(&self) -> &RenderSpec {
        &self.spec
    }
    /// Which windows are samples.
    pub fn window(&self) -> WindowSpec {
        self.window
    }
    /// The store below.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
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
        let _ = (index, scratch, out, &self.root);
        todo!()
    }
}
