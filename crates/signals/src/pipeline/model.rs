use super::{FeatureMatrix, LinearHead, N_FEATURES};

/// The cause of a model's failure.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Anything that turns features into the probability of a rise.
///
/// A closure over the two slices is a model; [`EmbeddingModel`](super::EmbeddingModel) puts an
/// encoder and a linear head behind it, without this crate knowing what encodes.
pub trait Model {
    /// Writes one probability (`0..=1`) into `out` for each row of `features`
    /// (`out.len()` × [`N_FEATURES`], row-major, all finite), or NaN for "no answer yet". Rows come
    /// in the order of time, each once: a model may remember them until it is reset.
    ///
    /// # Errors
    /// Whatever keeps the model from answering.
    fn predict(&mut self, features: &[f32], out: &mut [f32]) -> Result<(), BoxError>;

    /// Forgets all rows. A model without a memory need not do anything.
    fn reset(&mut self) {}
}

impl<F: FnMut(&[f32], &mut [f32]) -> Result<(), BoxError>> Model for F {
    fn predict(&mut self, features: &[f32], out: &mut [f32]) -> Result<(), BoxError> {
        self(features, out)
    }
}

impl Model for Box<dyn Model> {
    fn predict(&mut self, features: &[f32], out: &mut [f32]) -> Result<(), BoxError> {
        self.as_mut().predict(features, out)
    }

    fn reset(&mut self) {
        self.as_mut().reset();
    }
}

/// Logistic regression on the features of one row, see [`LinearHead`].
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticModel {
    /// One weight for each feature, in the order of [`super::FEATURE_NAMES`].
    pub weights: [f32; N_FEATURES],
    /// Added to the weighted sum.
    pub bias: f32,
}

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

    /// Fits as [`LinearHead::fit`] does; `labels[i]` tells whether row `i` was followed by a rise or
    /// a fall.
    #[must_use]
    pub fn fit(features: &FeatureMatrix, labels: &[Option<bool>], ridge: f64) -> Self {
        let head = LinearHead::fit(features.values(), N_FEATURES, labels, ridge);
        Self { weights: std::array::from_fn(|f| head.weights[f]), bias: head.bias }
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

    #[test]
    fn fit_finds_the_feature_that_decides() {
        let mut features = FeatureMatrix::default();
        let mut labels = Vec::new();
        for i in 0..200_u8 {
            let mut row = [f32::from(i % 7); N_FEATURES];
            row[8] = f32::from(i % 10) - 4.5;
            row[3] = 2.0; // constant
            features.push(&row);
            labels.push(Some(row[8] > 0.0));
        }
        features.push(&[f32::NAN; N_FEATURES]);
        labels.push(Some(true));
        // What is followed by no move says nothing of the direction.
        features.push(&[1e3; N_FEATURES]);
        labels.push(None);
        let mut model = LogisticModel::fit(&features, &labels, 1e-3);
        assert_eq!(model.weights[3], 0.0);
        assert!(model.weights[8] > 10.0 * model.weights[0].abs());
        let mut p = [0.0; 200];
        model.predict(&features.values()[..200 * N_FEATURES], &mut p).unwrap();
        assert!(p.iter().zip(&labels).all(|(p, &up)| Some(*p > 0.5) == up));
    }

    #[test]
    fn no_usable_row_is_undecided() {
        let mut model = LogisticModel::fit(&FeatureMatrix::default(), &[], 0.1);
        let mut p = [0.0];
        model.predict(&[1.0; N_FEATURES], &mut p).unwrap();
        assert_eq!(p, [0.5]);
    }
}
