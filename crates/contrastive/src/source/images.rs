use lob_dataloader::{Dataset, SampleMeta, Scratch};

use super::{PairKey, WindowSource};
use crate::{ContrastiveError, Rng};

/// Partners tried for one anchor, and anchors tried for one pair, before giving up.
const MAX_TRIES: usize = 64;

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
/// The positive of an image is one of the same segment that shares no bin with it. Positions in
/// the keys are rows of the store, so an ignore radius is in bins.
#[derive(Debug)]
pub struct ImageWindows {
    dataset: Dataset,
    spec: ImageSpec,
    scratch: Scratch,
    image: Vec<f32>,
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
            image: vec![0.0; dataset.sample_len()],
            scale: Vec::new(),
            scratch: Scratch::default(),
            spec,
            dataset,
        })
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
        let mut window = vec![0.0; self.n_inputs()];
        let mut sums = vec![(0.0_f64, 0.0_f64); window.len()];
        let every = fit.len().div_ceil(MAX_FITTED);
        let chosen = fit.step_by(every);
        let n = chosen.len() as f64;
        for idx in chosen {
            self.load(idx, &mut window)?;
            for ((sum, squares), &x) in sums.iter_mut().zip(&window) {
                *sum += f64::from(x);
                *squares += f64::from(x) * f64::from(x);
            }
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

    /// Renders window `idx` and averages it into `out`.
    fn load(&mut self, idx: usize, out: &mut [f32]) -> Result<SampleMeta, ContrastiveError> {
        let meta = self
            .dataset
            .get(idx as u64, &mut self.scratch, &mut self.image)
            .map_err(|source| ContrastiveError::Source { window: idx, source: source.into() })?;
        let (rows, bins) = (self.spec.row_pool, self.spec.bin_pool);
        let per_row = self.n_bins.div_ceil(bins);
        let out_planes = out.chunks_exact_mut(self.n_rows.div_ceil(rows) * per_row);
        for (plane, out) in self.image.chunks_exact(self.n_rows * self.n_bins).zip(out_planes) {
            let blocks = plane.chunks(rows * self.n_bins).zip(out.chunks_exact_mut(per_row));
            for (block, out) in blocks {
                average(block, self.n_bins, bins, out);
            }
        }
        for (x, (mean, inverse)) in out.iter_mut().zip(&self.scale) {
            *x = (*x - mean) * inverse;
        }
        Ok(meta)
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
        &mut self,
        rng: &mut Rng,
        anchor_out: &mut [f32],
        positive_out: &mut [f32],
    ) -> Result<PairKey, ContrastiveError> {
        let stride = self.dataset.window().stride;
        let nearest = self.n_bins.div_ceil(stride);
        for _ in 0..MAX_TRIES {
            let idx = rng.below(self.len());
            let steps = nearest + rng.below(self.spec.max_gap + 1);
            let after = rng.below(2) == 0;
            let other = self.neighbour(idx, steps, after);
            let Some(other) = other.or_else(|| self.neighbour(idx, steps, !after)) else {
                continue;
            };
            let anchor = self.load(idx, anchor_out)?;
            let positive = self.load(other, positive_out)?;
            let group = self.group(&anchor);
            if group == self.group(&positive)
                && anchor.row.abs_diff(positive.row) == (steps * stride) as u64
            {
                let (anchor, positive) = (position(anchor.row), position(positive.row));
                return Ok(PairKey { group, anchor, positive });
            }
        }
        Err(ContrastiveError::NotEnoughData {
            reason: format!("no two of {} windows lie apart in one segment", self.len()),
            hint: "use a shorter window, smaller bins or a longer recording",
        })
    }
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

    fn window(&mut self, idx: usize, out: &mut [f32]) -> Result<(), ContrastiveError> {
        self.load(idx, out).map(|_| ())
    }

    fn pairs(
        &mut self,
        rng: &mut Rng,
        anchors: &mut [f32],
        positives: &mut [f32],
        keys: &mut [PairKey],
    ) -> Result<(), ContrastiveError> {
        let n = self.n_inputs();
        let rows = anchors.chunks_exact_mut(n).zip(positives.chunks_exact_mut(n));
        for (key, (anchor, positive)) in keys.iter_mut().zip(rows) {
            *key = self.pair(rng, anchor, positive)?;
        }
        Ok(())
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
