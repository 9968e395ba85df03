use super::N_FEATURES;

/// The cause of a model's failure.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Anything that turns features into the probability of a rise.
///
/// A closure over the two slices is a model; so is an encoder with a linear head, without this
/// crate knowing of it.
pub trait Model {
    /// Writes one probability (`0..=1`) into `out` for each row of `features`
    /// (`out.len()` × [`N_FEATURES`], row-major, all finite).
    ///
    /// # Errors
    /// Whatever keeps the model from answering.
    fn predict(&mut self, features: &[f32], out: &mut [f32]) -> Result<(), BoxError>;
}

impl<F: FnMut(&[f32], &mut [f32]) -> Result<(), BoxError>> Model for F {
    fn predict(&mut self, features: &[f32], out: &mut [f32]) -> Result<(), BoxError> {
        self(features, out)
    }
}

/// Logistic regression on the features, `1 / (1 + exp(-(w · x + b)))`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticModel {
    /// One weight for each feature, in the order of [`super::FEATURE_NAMES`].
    pub weights: [f32; N_FEATURES],
    /// Added to the weighted sum.
    pub bias: f32,
}

/// Steps of the fit; on ten standardised features it has long settled by then.
const FIT_STEPS: usize = 300;

impl LogisticModel {
    /// A fixed rule of thumb, not fitted to anything: the book leans the way its queues and its
    /// order flow do. For demonstrations and for measuring speed.
    #[must_use]
    pub fn queue_pressure() -> Self {
        let mut weights = [0.0; N_FEATURES];
        weights[7] = 2.0;
        weights[8] = 1.0;
        weights[9] = 0.5;
        Self { weights, bias: 0.0 }
    }

    /// Fits by gradient descent on the mean log loss plus `ridge / 2 · |w|²`, features
    /// standardised inside. `labels[i]` tells whether row `i` was followed by a rise; rows with a
    /// null feature are left out. Without a usable row the model answers 0.5.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "weights are stored as f32")]
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
    pub fn fit(features: &super::FeatureMatrix, labels: &[bool], ridge: f64) -> Self {
        let rows: Vec<(&[f32], f64)> = features
            .rows()
            .zip(labels)
            .filter(|(row, _)| super::is_complete(row))
            .map(|(row, &up)| (row, f64::from(u8::from(up))))
            .collect();
        if rows.is_empty() {
            return Self { weights: [0.0; N_FEATURES], bias: 0.0 };
        }
        let n = rows.len() as f64;
        let mean: [f64; N_FEATURES] =
            std::array::from_fn(|f| rows.iter().map(|(row, _)| f64::from(row[f])).sum::<f64>() / n);
        let scale: [f64; N_FEATURES] = std::array::from_fn(|f| {
            let squares = rows.iter().map(|(row, _)| (f64::from(row[f]) - mean[f]).powi(2));
            let std = (squares.sum::<f64>() / n).sqrt();
            if std > 1e-12 * mean[f].abs().max(1e-30) { 1.0 / std } else { 0.0 }
        });
        let (mut w, mut b) = ([0.0; N_FEATURES], 0.0);
        for _ in 0..FIT_STEPS {
            let (mut dw, mut db) = ([0.0; N_FEATURES], 0.0);
            for (row, label) in &rows {
                let x: [f64; N_FEATURES] =
                    std::array::from_fn(|f| (f64::from(row[f]) - mean[f]) * scale[f]);
                let z = b + x.iter().zip(&w).map(|(x, w)| x * w).sum::<f64>();
                let error = 1.0 / (1.0 + (-z).exp()) - label;
                db += error / n;
                dw.iter_mut().zip(x).for_each(|(d, x)| *d += error * x / n);
            }
            // The curvature is at most a quarter of the sum of the squared features, which are
            // standardised: this step cannot overshoot.
            let step = 4.0 / (N_FEATURES as f64 + 1.0 + 4.0 * ridge);
            b -= step * db;
            w.iter_mut().zip(dw).for_each(|(w, d)| *w -= step * (d + ridge * *w));
        }
        let weights: [f64; N_FEATURES] = std::array::from_fn(|f| w[f] * scale[f]);
        let shift: f64 = weights.iter().zip(mean).map(|(w, m)| w * m).sum();
        Self { weights: weights.map(|w| w as f32), bias: (b - shift) as f32 }
    }
}

impl Model for LogisticModel {
    fn predict(&mut self, features: &[f32], out: &mut [f32]) -> Result<(), BoxError> {
        for (row, p) in features.chunks_exact(N_FEATURES).zip(out) {
            let z = self.bias + row.iter().zip(&self.weights).map(|(x, w)| x * w).sum::<f32>();
            *p = 1.0 / (1.0 + (-z).exp());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FeatureMatrix;

    #[test]
    fn fit_finds_the_feature_that_decides() {
        let mut features = FeatureMatrix::default();
        let mut labels = Vec::new();
        for i in 0..200_u8 {
            let mut row = [f32::from(i % 7); N_FEATURES];
            row[8] = f32::from(i % 10) - 4.5;
            row[3] = 2.0; // constant
            features.push(&row);
            labels.push(row[8] > 0.0);
        }
        features.push(&[f32::NAN; N_FEATURES]);
        labels.push(true);
        let mut model = LogisticModel::fit(&features, &labels, 1e-3);
        assert_eq!(model.weights[3], 0.0);
        assert!(model.weights[8] > 10.0 * model.weights[0].abs());
        let mut p = [0.0; 200];
        model.predict(&features.values()[..200 * N_FEATURES], &mut p).unwrap();
        assert!(p.iter().zip(&labels).all(|(p, &up)| (*p > 0.5) == up));
    }

    #[test]
    fn no_usable_row_is_undecided() {
        let mut model = LogisticModel::fit(&FeatureMatrix::default(), &[], 0.1);
        let mut p = [0.0];
        model.predict(&[1.0; N_FEATURES], &mut p).unwrap();
        assert_eq!(p, [0.5]);
    }
}
