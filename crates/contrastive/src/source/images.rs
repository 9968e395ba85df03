use lob_dataloader::{Dataset, LoaderError, SampleMeta};
use lob_depth::{Feature, Geometry};

use super::pairing::{self, Positives};
use super::{PairKey, Place, WindowScratch, WindowSource};
use crate::{ContrastiveError, Layout, Mirror, Rng};

/// Most windows looked at to find the scale of the inputs.
const MAX_FITTED: usize = 256;

/// Deviation of an input, in units of a normalised image, below which it says nothing.
const MIN_DEVIATION: f64 = 1e-3;

/// How depth images become inputs of an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSpec {
    /// Price rows averaged into one value, at least 1; 6 makes 67 rows of the 402.
    pub row_pool: usize,
    /// Bins averaged into one value, at least 1.
    pub bin_pool: usize,
    /// Most window starts beyond the nearest one that does not overlap.
    pub max_gap: usize,
}

/// Depth images of a data set, averaged down and flattened: feature, row, bin.
///
/// The positive of an image is one of the same segment that shares no bin with it, or follows
/// another rule. Positions in the keys are rows of the store, so an ignore radius is in bins.
/// Windows without a two-sided bin cannot be drawn and are passed over.
#[derive(Debug)]
pub struct ImageWindows {
    dataset: Dataset,
    spec: ImageSpec,
    positives: Positives,
    /// Mean and inverse deviation of each input; empty until standardised.
    scale: Vec<(f32, f32)>,
    n_features: usize,
    n_rows: usize,
    n_bins: usize,
}

impl ImageWindows {
    /// Windows of `dataset`, rendered whenever they are asked for.
    ///
    /// # Errors
    /// [`ContrastiveError::Config`] for a pool of 0 and [`ContrastiveError::NotEnoughData`] for
    /// fewer than two windows.
    pub fn new(dataset: Dataset, spec: ImageSpec) -> Result<Self, ContrastiveError> {
        if spec.row_pool == 0 || spec.bin_pool == 0 {
            let found = format!("{} and {}", spec.row_pool, spec.bin_pool);
            return Err(ContrastiveError::config("row_pool, bin_pool", "at least 1", found));
        }
        if dataset.len() < 2 {
            return Err(ContrastiveError::NotEnoughData {
                reason: format!("the data set has {} windows", dataset.len()),
                hint: "use a shorter window, smaller bins or a longer recording",
            });
        }
        let n_features = dataset.render_spec().features.len().max(1);
        let n_bins = dataset.window().n_bins;
        Ok(Self {
            n_features,
            n_rows: dataset.sample_len() / (n_features * n_bins),
            n_bins,
            scale: Vec::new(),
            positives: Positives::Apart { max_gap: spec.max_gap * dataset.window().stride },
            spec,
            dataset,
        })
    }

    /// The same windows with another rule for positives, in bins.
    #[must_use]
    pub fn with_positives(mut self, positives: Positives) -> Self {
        self.positives = positives;
        self
    }

    /// The same windows scaled with means and inverse deviations fitted before: what a stored
    /// model needs.
    ///
    /// # Errors
    /// [`ContrastiveError::Shape`] unless there is one for each input.
    pub fn with_scale(mut self, scale: Vec<(f32, f32)>) -> Result<Self, ContrastiveError> {
        if scale.len() != self.n_inputs() {
            let (expected, found) = (self.n_inputs(), scale.len());
            return Err(ContrastiveError::Shape { what: "the scale", expected, found });
        }
        self.scale = scale;
        Ok(self)
    }

    /// Mean and inverse deviation of each input; empty until standardised.
    #[must_use]
    pub fn scale(&self) -> &[(f32, f32)] {
        &self.scale
    }

    /// The same windows with each input shifted and scaled to mean 0 and variance 1 over `fit`.
    ///
    /// Depth images of one instrument are nearly alike: without this all windows point the same
    /// way and an encoder starts out collapsed. Pass only training windows as `fit`, so that test
    /// data does not leak into the scale; at most 256 of them, evenly spread, are looked at. Inputs that
    /// hardly vary become 0.
    ///
    /// # Errors
    /// [`ContrastiveError::Config`] for a range that is empty or too long, or a window that cannot
    /// be read.
    pub fn standardised(mut self, fit: std::ops::Range<usize>) -> Result<Self, ContrastiveError> {
        if fit.is_empty() || fit.end > self.len() {
            let found = format!("{fit:?} of {} windows", self.len());
            return Err(ContrastiveError::config("fit", "a range of windows", found));
        }
        self.scale.clear();
        let layout = self.layout();
        let (mut scratch, mut window) = (WindowScratch::default(), vec![0.0; self.n_inputs()]);
        let mut sums = vec![(0.0_f64, 0.0_f64); window.len()];
        let every = fit.len().div_ceil(MAX_FITTED);
        let mut n = 0.0;
        for idx in fit.step_by(every) {
            if self.load(idx, &mut scratch, &mut window)?.is_none() {
                continue;
            }
            // Both sides alike: a flipped image must be as typical as the image itself.
            for _ in 0..2 {
                for ((sum, squares), &x) in sums.iter_mut().zip(&window) {
                    *sum += f64::from(x);
                    *squares += f64::from(x) * f64::from(x);
                }
                n += 1.0;
                layout.flip_sides(&mut window);
            }
        }
        if n == 0.0 {
            return Err(ContrastiveError::NotEnoughData {
                reason: "no window has a bin with a bid and an ask".into(),
                hint: "look at the store with `lob inspect`",
            });
        }
        let scale = sums.iter().map(|(sum, squares)| {
            let mean = sum / n;
            let deviation = (squares / n - mean * mean).max(0.0).sqrt();
            let inverse = if deviation > MIN_DEVIATION { 1.0 / deviation } else { 0.0 };
            #[expect(clippy::cast_possible_truncation, reason = "inputs are f32")]
            (mean as f32, inverse as f32)
        });
        self.scale = scale.collect();
        Ok(self)
    }

    /// Renders window `idx` and averages it into `out`; `None` if it has no two-sided bin.
    fn load(
        &self,
        idx: usize,
        scratch: &mut WindowScratch,
        out: &mut [f32],
    ) -> Result<Option<SampleMeta>, ContrastiveError> {
        let image = &mut scratch.image;
        image.resize(self.dataset.sample_len(), 0.0);
        let meta = match self.dataset.get(idx as u64, &mut scratch.images, image) {
            Ok(meta) => meta,
            Err(error) if error.is_empty_book() => return Ok(None),
            Err(source) => return Err(unreadable(idx, source)),
        };
        let (rows, bins) = (self.spec.row_pool, self.spec.bin_pool);
        let per_row = self.n_bins.div_ceil(bins);
        let out_planes = out.chunks_exact_mut(self.n_rows.div_ceil(rows) * per_row);
        for (plane, out) in image.chunks_exact(self.n_rows * self.n_bins).zip(out_planes) {
            let blocks = plane.chunks(rows * self.n_bins).zip(out.chunks_exact_mut(per_row));
            for (block, out) in blocks {
                average(block, self.n_bins, bins, out);
            }
        }
        for (x, (mean, inverse)) in out.iter_mut().zip(&self.scale) {
            *x = (*x - mean) * inverse;
        }
        Ok(Some(meta))
    }

    /// Number that windows of one segment share.
    fn group(&self, meta: &SampleMeta) -> u64 {
        let segments = &self.dataset.store().files()[meta.file].meta().segments;
        let segment = segments.partition_point(|s| s.first_row <= meta.row);
        ((meta.file as u64) << 32) | segment as u64
    }

    /// A window `steps` starts before or after `idx`, if there is one.
    fn neighbour(&self, idx: usize, steps: usize, after: bool) -> Option<usize> {
        if after { Some(idx + steps).filter(|&i| i < self.len()) } else { idx.checked_sub(steps) }
    }

    fn pair(
        &self,
        idx: usize,
        scratch: &mut WindowScratch,
        rng: &mut Rng,
        (anchor_out, positive_out): pairing::Out<'_>,
    ) -> Result<Option<PairKey>, ContrastiveError> {
        scratch.check_stop()?;
        let stride = self.dataset.window().stride;
        let (least, most) = self.positives.distances(self.n_bins);
        let (least, most) = (least.div_ceil(stride), (most / stride).max(least.div_ceil(stride)));
        let steps = least + rng.below(most - least + 1);
        let after = rng.below(2) == 0;
        let other = self.neighbour(idx, steps, after);
        let Some(other) = other.or_else(|| self.neighbour(idx, steps, !after)) else {
            return Ok(None);
        };
        let Some(anchor) = self.load(idx, scratch, anchor_out)? else { return Ok(None) };
        if other == idx {
            positive_out.copy_from_slice(anchor_out);
            return Ok(Some(self.key(&anchor, &anchor)));
        }
        let Some(positive) = self.load(other, scratch, positive_out)? else { return Ok(None) };
        let is_pair = self.group(&anchor) == self.group(&positive)
            && anchor.row.abs_diff(positive.row) == (steps * stride) as u64;
        Ok(is_pair.then(|| self.key(&anchor, &positive)))
    }

    fn key(&self, anchor: &SampleMeta, positive: &SampleMeta) -> PairKey {
        let group = self.group(anchor);
        let place = |meta: &SampleMeta| Place {
            row: position(meta.row),
            ts_event: Some(meta.ts_event).filter(|&ts| ts != u64::MAX),
        };
        PairKey {
            instrument: self.dataset.store().files()[anchor.file].meta().instrument_id.into(),
            group,
            anchor: place(anchor),
            positive: place(positive),
            label: anchor.label.map_or(group.cast_signed(), i64::from),
        }
    }
}

fn unreadable(window: usize, source: LoaderError) -> ContrastiveError {
    ContrastiveError::Source { window, source: source.into() }
}

fn position(row: u64) -> i64 {
    i64::try_from(row).unwrap_or(i64::MAX)
}

/// Means over all rows of `block` and `pool` neighbouring bins.
#[expect(clippy::cast_precision_loss, reason = "a block has far fewer than 2^24 values")]
fn average(block: &[f32], n_bins: usize, pool: usize, out: &mut [f32]) {
    let n_rows = block.len() / n_bins;
    out.fill(0.0);
    for row in block.chunks_exact(n_bins) {
        for (bins, out) in row.chunks(pool).zip(out.iter_mut()) {
            *out += bins.iter().sum::<f32>();
        }
    }
    for (i, out) in out.iter_mut().enumerate() {
        let width = pool.min(n_bins - i * pool);
        *out /= (n_rows * width) as f32;
    }
}

impl WindowSource for ImageWindows {
    fn len(&self) -> usize {
        usize::try_from(self.dataset.len()).unwrap_or(usize::MAX)
    }

    fn n_inputs(&self) -> usize {
        let (rows, bins) = (self.spec.row_pool, self.spec.bin_pool);
        self.n_features * self.n_rows.div_ceil(rows) * self.n_bins.div_ceil(bins)
    }

    fn layout(&self) -> Layout {
        let spec = self.dataset.render_spec();
        let planes = spec.planes().map(|feature| match feature {
            Feature::Microprice => Mirror::Keep,
            _ => Mirror::Negate,
        });
        // Only the contiguous price axis is symmetric about its middle.
        let planes: Vec<Mirror> = match spec.geometry {
            Geometry::Contiguous => planes.collect(),
            Geometry::Compat => return Layout::series(self.n_inputs(), 1),
        };
        Layout::Image {
            planes,
            n_rows: self.n_rows.div_ceil(self.spec.row_pool),
            n_bins: self.n_bins.div_ceil(self.spec.bin_pool),
        }
    }

    fn window(
        &self,
        idx: usize,
        scratch: &mut WindowScratch,
        out: &mut [f32],
    ) -> Result<(), ContrastiveError> {
        self.load(idx, scratch, out)?.map(drop).ok_or(ContrastiveError::EmptyWindow { window: idx })
    }

    fn pairs(
        &self,
        scratch: &mut WindowScratch,
        rng: &mut Rng,
        anchors: &mut [f32],
        positives: &mut [f32],
        keys: &mut [PairKey],
    ) -> Result<(), ContrastiveError> {
        let (n_windows, n_inputs) = (self.len(), self.n_inputs());
        let (all, out) = (0..keys.len(), (anchors, positives));
        // A window may turn out to have nothing to show only when it is rendered, and then another
        // takes its place: a part of a batch would not know which.
        pairing::draw(n_windows, n_inputs, rng, all, out, keys, |idx, rng, out| match out {
            Some(out) => self.pair(idx, scratch, rng, out),
            None => Ok(None),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::average;

    #[test]
    fn blocks_are_averaged_with_a_narrow_last_one() {
        let mut out = [0.0; 2];
        average(&[1.0, 3.0, 10.0, 5.0, 7.0, 20.0], 3, 2, &mut out);
        assert_eq!(out, [4.0, 15.0]);
        let mut out = [0.0; 3];
        average(&[1.0, 3.0, 10.0], 3, 1, &mut out);
        assert_eq!(out, [1.0, 3.0, 10.0]);
    }
}
