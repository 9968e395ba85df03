/// A linear layer of any width and the logistic function, `1 / (1 + exp(-(w · x + b)))`: the last
/// step from an embedding, or from plain features, to a probability.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearHead {
    /// One weight for each input.
    pub weights: Vec<f32>,
    /// Added to the weighted sum.
    pub bias: f32,
}

/// Steps of the fit; on standardised inputs it has long settled by then.
const FIT_STEPS: usize = 300;

impl LinearHead {
    /// Fits by gradient descent on the mean log loss plus `ridge / 2 · |w|²`, inputs standardised
    /// inside. `rows` is `labels.len()` × `n_inputs`, row-major; `labels[i]` tells whether row `i`
    /// was followed by a rise or a fall. Rows followed by neither (`None`), and those with a value
    /// that is not finite, are left out, so that the head answers with the probability of a rise
    /// given that the mid moves; without a usable row it answers 0.5.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "weights are stored as f32")]
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
    pub fn fit(rows: &[f32], n_inputs: usize, labels: &[Option<bool>], ridge: f64) -> Self {
        let rows: Vec<(&[f32], f64)> = rows
            .chunks_exact(n_inputs.max(1))
            .zip(labels)
            .filter(|(row, _)| super::is_complete(row))
            .filter_map(|(row, up)| Some((row, f64::from(u8::from((*up)?)))))
            .collect();
        if rows.is_empty() {
            return Self { weights: vec![0.0; n_inputs], bias: 0.0 };
        }
        let n = rows.len() as f64;
        let (mean, scale) = moments(rows.iter().map(|(row, _)| *row), n_inputs);
        let standard: Vec<f64> = rows
            .iter()
            .flat_map(|(row, _)| {
                row.iter().zip(&mean).zip(&scale).map(|((&x, m), s)| (f64::from(x) - m) * s)
            })
            .collect();
        let (mut w, mut b) = (vec![0.0; n_inputs], 0.0);
        // The curvature is at most a quarter of the sum of the squared inputs, which are
        // standardised: this step cannot overshoot.
        let step = 4.0 / (n_inputs as f64 + 1.0 + 4.0 * ridge);
        for _ in 0..FIT_STEPS {
            let (mut dw, mut db) = (vec![0.0; n_inputs], 0.0);
            for (x, (_, label)) in standard.chunks_exact(n_inputs).zip(&rows) {
                let z = b + x.iter().zip(&w).map(|(x, w)| x * w).sum::<f64>();
                let error = 1.0 / (1.0 + (-z).exp()) - label;
                db += error / n;
                dw.iter_mut().zip(x).for_each(|(d, x)| *d += error * x / n);
            }
            b -= step * db;
            w.iter_mut().zip(dw).for_each(|(w, d)| *w -= step * (d + ridge * *w));
        }
        w.iter_mut().zip(&scale).for_each(|(w, s)| *w *= s);
        let shift: f64 = w.iter().zip(&mean).map(|(w, m)| w * m).sum();
        Self { weights: w.into_iter().map(|w| w as f32).collect(), bias: (b - shift) as f32 }
    }

    /// Probability for one row, `0..=1`; as many values as there are weights.
    #[inline]
    #[must_use]
    pub fn probability(&self, row: &[f32]) -> f32 {
        let z = self.bias + row.iter().zip(&self.weights).map(|(x, w)| x * w).sum::<f32>();
        1.0 / (1.0 + (-z).exp())
    }
}

/// Mean of each column, and one over its standard deviation; 0 for one that does not vary, which
/// then says nothing.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
pub(super) fn moments<'a>(
    rows: impl Iterator<Item = &'a [f32]> + Clone,
    n_inputs: usize,
) -> (Vec<f64>, Vec<f64>) {
    let mut mean = vec![0.0; n_inputs];
    let n = rows.clone().count().max(1) as f64;
    for row in rows.clone() {
        mean.iter_mut().zip(row).for_each(|(m, &x)| *m += f64::from(x) / n);
    }
    let mut squares = vec![0.0; n_inputs];
    for row in rows {
        for ((s, m), &x) in squares.iter_mut().zip(&mean).zip(row) {
            *s += (f64::from(x) - m).powi(2) / n;
        }
    }
    let scale = squares.iter().zip(&mean).map(|(square, mean): (&f64, &f64)| {
        let std = square.sqrt();
        if std > 1e-12 * mean.abs().max(1e-30) { 1.0 / std } else { 0.0 }
    });
    let scale = scale.collect();
    (mean, scale)
}
