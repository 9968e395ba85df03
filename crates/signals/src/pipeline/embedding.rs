use super::head::moments;
use super::model::BoxError;
use super::{FeatureMatrix, LinearHead, Model, N_FEATURES, is_complete};

/// Anything that turns windows of features into embeddings: a closure, or a network's forward pass.
pub trait Encode {
    /// Embeds `windows` (n × window × [`N_FEATURES`], oldest row first) into `out` (n × dimension).
    ///
    /// # Errors
    /// Whatever keeps the encoder from answering.
    fn encode(&mut self, windows: &[f32], out: &mut [f32]) -> Result<(), BoxError>;
}

impl<F: FnMut(&[f32], &mut [f32]) -> Result<(), BoxError>> Encode for F {
    fn encode(&mut self, windows: &[f32], out: &mut [f32]) -> Result<(), BoxError> {
        self(windows, out)
    }
}

/// Features brought to mean 0 and deviation 1, with figures fitted on training rows only.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureScale {
    mean: [f32; N_FEATURES],
    factor: [f32; N_FEATURES],
}

impl FeatureScale {
    /// Leaves features as they are.
    #[must_use]
    pub fn identity() -> Self {
        Self { mean: [0.0; N_FEATURES], factor: [1.0; N_FEATURES] }
    }

    /// Fitted on the complete rows of `features`; a feature that does not vary becomes 0.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
    pub fn fit(features: &FeatureMatrix) -> Self {
        let rows = features.values().chunks_exact(N_FEATURES);
        let complete = rows.filter(|row| is_complete(row));
        let (mean, factor) = moments(complete, N_FEATURES);
        Self {
            mean: std::array::from_fn(|f| mean[f] as f32),
            factor: std::array::from_fn(|f| factor[f] as f32),
        }
    }

    /// Appends a scaled row to `out`.
    pub fn apply(&self, row: &[f32], out: &mut Vec<f32>) {
        let scaled = row.iter().zip(&self.mean).zip(&self.factor).map(|((x, m), f)| (x - m) * f);
        out.extend(scaled);
    }
}

/// An encoder over the last rows of features and a linear head on its embedding.
///
/// Until `window` rows have come in it answers NaN, "no answer yet".
#[derive(Debug, Clone)]
pub struct EmbeddingModel<E> {
    encoder: E,
    scale: FeatureScale,
    head: LinearHead,
    window: usize,
    /// Scaled rows, the newest last; never more than twice the window.
    history: Vec<f32>,
    batch: Vec<f32>,
    embeddings: Vec<f32>,
}

/// Windows handed to the encoder at once: enough for matrix products to be efficient, few enough
/// that the copies stay in a few megabytes.
const WINDOWS_AT_ONCE: usize = 256;

impl<E: Encode> EmbeddingModel<E> {
    /// Joins an encoder of windows of `window` rows (at least 1) with a head, which has one weight
    /// for each dimension of the embedding.
    pub fn new(encoder: E, window: usize, scale: FeatureScale, head: LinearHead) -> Self {
        let window = window.max(1);
        Self {
            encoder,
            scale,
            head,
            window,
            history: Vec::with_capacity(2 * window * N_FEATURES),
            batch: Vec::new(),
            embeddings: Vec::new(),
        }
    }

    /// Rows the encoder looks back on.
    #[must_use]
    pub fn window(&self) -> usize {
        self.window
    }

    /// Takes the next row; whether a whole window is there.
    fn remember(&mut self, row: &[f32]) -> bool {
        let whole = self.window * N_FEATURES;
        if self.history.len() == 2 * whole {
            self.history.copy_within(whole + N_FEATURES.., 0);
            self.history.truncate(whole - N_FEATURES);
        }
        self.scale.apply(row, &mut self.history);
        self.history.len() >= whole
    }

    /// Encodes the windows collected in `batch` and answers for them.
    fn answer(&mut self, out: &mut [f32]) -> Result<(), BoxError> {
        let dim = self.head.weights.len();
        self.embeddings.resize(out.len() * dim, 0.0);
        self.encoder.encode(&self.batch, &mut self.embeddings)?;
        self.batch.clear();
        for (p, embedding) in out.iter_mut().zip(self.embeddings.chunks_exact(dim.max(1))) {
            *p = self.head.probability(embedding);
        }
        Ok(())
    }
}

impl<E: Encode> Model for EmbeddingModel<E> {
    fn predict(&mut self, features: &[f32], out: &mut [f32]) -> Result<(), BoxError> {
        let rows = features.chunks(WINDOWS_AT_ONCE * N_FEATURES);
        for (rows, out) in rows.zip(out.chunks_mut(WINDOWS_AT_ONCE)) {
            let mut first = out.len();
            for (i, row) in rows.chunks_exact(N_FEATURES).enumerate() {
                if self.remember(row) {
                    first = first.min(i);
                    let newest = self.history.len() - self.window * N_FEATURES;
                    self.batch.extend_from_slice(&self.history[newest..]);
                }
            }
            let (early, answered) = out.split_at_mut(first);
            early.fill(f32::NAN);
            if !answered.is_empty() {
                self.answer(answered)?;
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.history.clear();
    }
}

/// All windows of `features` (scaled) that end on each of `ends`, for training a head: the rows
/// before `window - 1` have none and are left out, and so are ends with a null row in their window.
/// Returns the windows, row-major, and the ends they belong to.
#[must_use]
pub fn windows_ending_at(
    features: &FeatureMatrix,
    scale: &FeatureScale,
    window: usize,
    ends: impl Iterator<Item = usize>,
) -> (Vec<f32>, Vec<usize>) {
    let (mut windows, mut kept) = (Vec::new(), Vec::new());
    for end in ends {
        let Some(first) = (end + 1).checked_sub(window) else { continue };
        let Some(rows) = features.values().get(first * N_FEATURES..(end + 1) * N_FEATURES) else {
            continue;
        };
        if is_complete(rows) {
            rows.chunks_exact(N_FEATURES).for_each(|row| scale.apply(row, &mut windows));
            kept.push(end);
        }
    }
    (windows, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum of the first feature over the window, as a one-dimensional embedding.
    fn sums(window: usize) -> impl Encode {
        move |windows: &[f32], out: &mut [f32]| -> Result<(), BoxError> {
            for (w, o) in windows.chunks_exact(window * N_FEATURES).zip(out) {
                *o = w.chunks_exact(N_FEATURES).map(|row| row[0]).sum();
            }
            Ok(())
        }
    }

    fn rows(n: u16) -> Vec<f32> {
        (0..n).flat_map(|i| [f32::from(i); N_FEATURES]).collect()
    }

    #[test]
    fn windows_roll_and_batches_of_any_size_agree() {
        let head = LinearHead { weights: vec![0.001], bias: 0.0 };
        let whole = {
            let mut model = EmbeddingModel::new(sums(4), 4, FeatureScale::identity(), head.clone());
            let mut out = vec![0.0; 700];
            model.predict(&rows(700), &mut out).unwrap();
            out
        };
        assert!(whole[..3].iter().all(|p| p.is_nan()));
        for (i, p) in whole.iter().enumerate().skip(3) {
            let sum: f32 = (i - 3..=i).map(|x| f32::from(u16::try_from(x).unwrap())).sum();
            assert_eq!(*p, head.probability(&[sum]), "at {i}");
        }
        let mut model = EmbeddingModel::new(sums(4), 4, FeatureScale::identity(), head);
        for _ in 0..2 {
            let mut out = vec![0.0; 700];
            for (row, p) in rows(700).chunks_exact(N_FEATURES).zip(out.chunks_exact_mut(1)) {
                model.predict(row, p).unwrap();
            }
            let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&whole), bits(&out));
            model.reset();
        }
    }

    #[test]
    fn scale_standardises_and_windows_skip_nulls() {
        let mut features = FeatureMatrix::default();
        for i in 0..6_u8 {
            let x = if i == 2 { f32::NAN } else { f32::from(i) };
            features.push(&[x; N_FEATURES]);
        }
        let scale = FeatureScale::fit(&features);
        let (windows, ends) = windows_ending_at(&features, &scale, 2, 0..7);
        assert_eq!(ends, [1, 4, 5]);
        assert_eq!(windows.len(), 3 * 2 * N_FEATURES);
        // 0, 1, 3, 4, 5: mean 2.6, variance 3.44
        assert!((windows[0] - (0.0 - 2.6) / 3.44_f32.sqrt()).abs() < 1e-6);
    }
}
