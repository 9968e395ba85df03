//! A trained encoder with its head on bins as they come.

use lob_depth::BinColumns;

use crate::cpu::Embedder;
use crate::source::{LiveState, standardise};
use crate::{BinRow, BinSeries, ContrastiveError, Device, Head, InputSpec, ModelFile};

/// Windows embedded at once, always: matrix products of another height may add up in another order,
/// and a probability shall not depend on which windows it was calculated with.
const AT_ONCE: usize = 64;

/// Bins kept beyond the window before the oldest are dropped.
const SPARE_BINS: usize = 1024;

/// The bins of one instrument as they come, and the window that ends at the newest.
#[derive(Debug)]
pub struct LiveWindow {
    series: BinSeries,
    state: LiveState,
    window: usize,
    /// Whether the newest bin has both sides.
    is_two_sided: bool,
}

impl LiveWindow {
    /// Without a bin, for windows of `window` of them.
    #[must_use]
    pub fn new(window: usize) -> Self {
        Self {
            series: BinSeries::default(),
            state: LiveState::default(),
            window,
            is_two_sided: false,
        }
    }

    /// Takes in bin `i` of `columns`, of the stretch `segment` of the market, whose last update was
    /// at `ts_event` (ns since 1970, `u64::MAX` where unknown).
    pub fn push(&mut self, columns: &BinColumns, i: usize, segment: u32, ts_event: u64) {
        let row = BinRow { file: 0, row: 0, ts_event, mid_steps: 0.0, movement: None, label: None };
        self.is_two_sided = self.series.push_live(columns, i, row, segment, &mut self.state);
        let n_rows = self.series.rows.len();
        if n_rows > 2 * self.window + SPARE_BINS {
            self.series.drop_first(n_rows - self.window);
        }
    }

    /// Appends the window that ends at the newest bin, scaled, to `out`; whether there is one: a bin
    /// without both sides, and the first ones of a stretch, have none.
    pub fn append(&self, scale: &[(f32, f32)], out: &mut Vec<f32>) -> bool {
        let rows = self.series.segments.len();
        let Some(first) = rows.checked_sub(self.window).filter(|_| self.is_two_sided) else {
            return false;
        };
        if self.series.segments.get(first) != self.series.segments.last() {
            return false;
        }
        let values = self.series.values.get(first * scale.len()..).unwrap_or_default();
        let start = out.len();
        out.extend_from_slice(values);
        standardise(&mut out[start..], scale);
        true
    }
}

/// A model of windows of bins, ready to give probabilities.
#[derive(Debug)]
pub struct LiveModel {
    embedder: Embedder,
    head: Head,
    scale: Vec<(f32, f32)>,
    window: usize,
    batch: Vec<f32>,
    embeddings: Vec<f32>,
}

impl LiveModel {
    /// Takes a model with a head whose windows are of bins.
    ///
    /// # Errors
    /// [`ContrastiveError::Config`] for a model without a head or with other windows, and what
    /// [`Embedder::new`] reports.
    pub fn new(file: &ModelFile, device: Device) -> Result<Self, ContrastiveError> {
        let InputSpec::Bins { window, .. } = file.input else {
            let expected = "a model trained with `--input bins`";
            return Err(ContrastiveError::config("model", expected, "one of other windows"));
        };
        let Some(head) = file.head.clone() else {
            let expected = "a model with a head, which `lob train` fits unless `--head-label none`";
            return Err(ContrastiveError::config("model", expected, "one without a head"));
        };
        let embedder = Embedder::new(&file.model, device)?;
        let embeddings = vec![0.0; AT_ONCE * embedder.embedding_dim()];
        let scale = file.scale.clone();
        Ok(Self { embedder, head, scale, window, batch: Vec::new(), embeddings })
    }

    /// Bins of a window.
    #[must_use]
    pub fn window(&self) -> usize {
        self.window
    }

    /// Windows that are worth waiting for.
    #[must_use]
    pub fn at_once(&self) -> usize {
        AT_ONCE
    }

    /// The head.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Mean and inverse deviation of each channel.
    #[must_use]
    pub fn scale(&self) -> &[(f32, f32)] {
        &self.scale
    }

    /// Probabilities of the classes for each of `windows`, windows x classes.
    ///
    /// # Errors
    /// As [`Embedder::embed_into`].
    pub fn probabilities(&mut self, windows: &[f32]) -> Result<Vec<f64>, ContrastiveError> {
        let n_inputs = self.window * self.scale.len();
        let (dim, n_classes) = (self.embedder.embedding_dim(), self.head.bias.len());
        let mut out = vec![0.0; windows.len() / n_inputs.max(1) * n_classes];
        let batches = windows.chunks(AT_ONCE * n_inputs);
        for (batch, out) in batches.zip(out.chunks_mut(AT_ONCE * n_classes)) {
            self.batch.clear();
            self.batch.extend_from_slice(batch);
            self.batch.resize(AT_ONCE * n_inputs, 0.0);
            self.embedder.embed_into(&self.batch, &mut self.embeddings)?;
            for (embedding, out) in
                self.embeddings.chunks_exact(dim).zip(out.chunks_exact_mut(n_classes))
            {
                self.head.probabilities(embedding, out);
            }
        }
        Ok(out)
    }
}
