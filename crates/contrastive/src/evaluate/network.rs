//! A small network trained on the labels: what supervision makes of hand statistics.

use super::kernels;
use super::logistic::{Weighting, row_weights, softmax};
use super::minimise::{Limits, minimise};
use super::{Rows, knn::largest, score::Confusion};
use crate::Rng;

/// Units of the hidden layer.
const HIDDEN: usize = 32;

/// Penalties tried, from the strongest; each fit starts from the same weights.
const PENALTIES: [f64; 3] = [0.1, 0.01, 0.001];

const LIMITS: Limits = Limits { steps: 40, slope: 1e-4 };

/// One hidden layer of `tanh` units and a softmax.
#[derive(Debug)]
pub(super) struct Network {
    /// `HIDDEN` x (dim + 1), the bias last.
    hidden: Vec<f32>,
    /// classes x (`HIDDEN` + 1).
    out: Vec<f32>,
    n_classes: usize,
}

impl Network {
    /// Minimises the balanced cross-entropy plus `penalty / 2` times the sum of squared weights
    /// with L-BFGS, for the penalty that scores best on the validation rows. `None` where no fit
    /// has a finite value.
    pub(super) fn fit(
        train: &Rows,
        classes: &[u32],
        (validation, validation_classes): (&Rows, &[u32]),
        n_classes: usize,
        seed: u64,
    ) -> Option<Self> {
        let weights = row_weights(classes, n_classes, Weighting::Balanced)?;
        let mut rng = Rng::at(seed, 37, 0, 0);
        let mut layer = |outputs: usize, inputs: usize| -> Vec<f64> {
            let deviation = (1.0 / (inputs as f64).max(1.0)).sqrt();
            let weight = |i| match i % (inputs + 1) {
                last if last == inputs => 0.0,
                _ => deviation * f64::from(rng.normal_f32()),
            };
            (0..outputs * (inputs + 1)).map(weight).collect()
        };
        let mut start = layer(HIDDEN, train.dim);
        start.extend(layer(n_classes, HIDDEN));
        let loss = Loss { rows: train, classes, weights, n_classes };
        let mut best: Option<(f64, Self)> = None;
        for penalty in PENALTIES {
            let mut x = start.clone();
            let value = minimise(&mut x, LIMITS, |x, gradient| loss.at(x, gradient, penalty));
            if !value.is_finite() {
                continue;
            }
            let network = Self::of(&x, train.dim, n_classes);
            let found = network.predict(validation);
            let score = Confusion::count(validation_classes, &found, n_classes).balanced_accuracy();
            if best.as_ref().is_none_or(|(other, _)| score > *other) {
                best = Some((score, network));
            }
        }
        best.map(|(_, network)| network)
    }

    #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
    fn of(x: &[f64], dim: usize, n_classes: usize) -> Self {
        let (hidden, out) = x.split_at(HIDDEN * (dim + 1));
        let single = |x: &[f64]| x.iter().map(|&w| w as f32).collect();
        Self { hidden: single(hidden), out: single(out), n_classes }
    }

    /// The class of each row; `None` where a score is no number.
    pub(super) fn predict(&self, rows: &Rows) -> Vec<Option<u32>> {
        let (mut units, mut scores) = (vec![0.0; HIDDEN], vec![0.0; self.n_classes]);
        let class = |row| {
            layer(&self.hidden, row, |unit, sum| units[unit] = sum.tanh());
            layer(&self.out, &units, |class, sum| scores[class] = f64::from(sum));
            largest(&scores)
        };
        rows.iter().map(class).collect()
    }
}

/// Weighted sums of the inputs plus a bias, one for each row of weights.
fn layer(weights: &[f32], inputs: &[f32], mut each: impl FnMut(usize, f32)) {
    for (unit, weights) in weights.chunks_exact(inputs.len() + 1).enumerate() {
        each(unit, kernels::dot(inputs, weights) + weights[inputs.len()]);
    }
}

struct Loss<'a> {
    rows: &'a Rows,
    classes: &'a [u32],
    weights: Vec<f64>,
    n_classes: usize,
}

impl Loss<'_> {
    #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
    fn at(&self, x: &[f64], gradient: &mut [f64], penalty: f64) -> f64 {
        let (dim, n_classes) = (self.rows.dim, self.n_classes);
        let network = Network::of(x, dim, n_classes);
        let of_out = HIDDEN * (dim + 1);
        let mut sums = kernels::Sums::new(x.len());
        let (mut units, mut scores) = (vec![0.0_f32; HIDDEN], vec![0.0_f64; n_classes]);
        let mut back = vec![0.0_f32; HIDDEN];
        let mut value = 0.0;
        for ((row, &class), &weight) in self.rows.iter().zip(self.classes).zip(&self.weights) {
            layer(&network.hidden, row, |unit, sum| units[unit] = sum.tanh());
            layer(&network.out, &units, |class, sum| scores[class] = f64::from(sum));
            let own = scores[class as usize];
            value += weight * (softmax(&mut scores) - own);
            back.fill(0.0);
            for (c, p) in scores.iter().enumerate() {
                let slope = (weight * (p - f64::from(u8::from(c == class as usize)))) as f32;
                let first = c * (HIDDEN + 1);
                sums.add(of_out + first, slope, &units);
                sums.add(of_out + first + HIDDEN, slope, &[1.0]);
                kernels::add_scaled(&mut back, slope, &network.out[first..first + HIDDEN]);
            }
            for (unit, (slope, activation)) in back.iter().zip(&units).enumerate() {
                let slope = slope * (1.0 - activation * activation);
                sums.add(unit * (dim + 1), slope, row);
                sums.add(unit * (dim + 1) + dim, slope, &[1.0]);
            }
            sums.next_row();
        }
        for ((slope, sum), w) in gradient.iter_mut().zip(sums.finish()).zip(x) {
            *slope = sum + penalty * w;
        }
        value + 0.5 * penalty * x.iter().map(|w| w * w).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes that no line parts: the sign of a product.
    fn quadrants(n: usize, seed: u64) -> (Rows, Vec<u32>) {
        let mut rng = Rng::new(seed);
        let values: Vec<f32> = (0..2 * n).map(|_| rng.normal_f32()).collect();
        let classes = values.chunks_exact(2).map(|x| u32::from(x[0] * x[1] > 0.0)).collect();
        (Rows { dim: 2, values }, classes)
    }

    #[test]
    fn what_no_line_parts_is_learned() {
        let (train, validation, test) = (quadrants(600, 1), quadrants(200, 2), quadrants(600, 3));
        let chosen = (&validation.0, &*validation.1);
        let network = Network::fit(&train.0, &train.1, chosen, 2, 1).unwrap();
        let score = Confusion::count(&test.1, &network.predict(&test.0), 2).balanced_accuracy();
        assert!(score > 0.9, "{score}");
        let odd = Rows { dim: 2, values: vec![f32::NAN, 0.0] };
        assert_eq!(network.predict(&odd), [None]);
        let mut broken = train.0.clone();
        broken.values[5] = f32::NAN;
        assert!(Network::fit(&broken, &train.1, chosen, 2, 1).is_none());
    }

    #[test]
    fn the_slope_of_the_loss_is_its_own() {
        let (rows, classes) = quadrants(40, 4);
        let weights = row_weights(&classes, 2, Weighting::Balanced).unwrap();
        let loss = Loss { rows: &rows, classes: &classes, weights, n_classes: 2 };
        let mut rng = Rng::new(5);
        let n = HIDDEN * 3 + 2 * (HIDDEN + 1);
        let x: Vec<f64> = (0..n).map(|_| 0.5 * f64::from(rng.normal_f32())).collect();
        let (mut slope, mut unused) = (vec![0.0; n], vec![0.0; n]);
        loss.at(&x, &mut slope, 0.1);
        for i in (0..n).step_by(7) {
            let mut shifted = |by: f64| {
                let mut x = x.clone();
                x[i] += by;
                loss.at(&x, &mut unused, 0.1)
            };
            let numeric = (shifted(1e-2) - shifted(-1e-2)) / 2e-2;
            assert!((slope[i] - numeric).abs() < 2e-3, "{i}: {} {numeric}", slope[i]);
        }
    }
}
