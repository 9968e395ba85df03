//! Multinomial logistic regression.

use super::kernels;
use super::minimise::{Limits, minimise};
use super::{Rows, knn::largest, score::Confusion};

/// Penalties tried, from the strongest: each starts from the solution of the one before. The loss
/// is a mean over rows, so the last is scikit-learn's C = 2 for 5,000 rows.
const PENALTIES: [f64; 7] = [1.0, 0.1, 0.03, 0.01, 0.003, 1e-3, 1e-4];

/// Penalties in a row that score no better, after which weaker ones, which take longest, are left.
const PATIENCE: usize = 2;

const LIMITS: Limits = Limits { steps: 100, slope: 3e-5 };

/// Probabilities of classes that are a softmax of linear functions of standardised features.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Logistic {
    /// classes x dim.
    pub(crate) weights: Vec<f32>,
    /// One for each class.
    pub(crate) bias: Vec<f32>,
    /// Balanced accuracy on the validation rows.
    pub(crate) validation: f64,
}

/// What each training row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weighting {
    /// The inverse share of its class, which aims at balanced accuracy.
    Balanced,
    /// The same for all, so that probabilities are those of the training rows.
    Natural,
}

impl Logistic {
    /// Minimises the mean weighted cross-entropy plus `penalty / 2` times the sum of squared
    /// weights (the bias is free), for the penalty that scores best on the validation rows (mean
    /// recall; the stronger of equal ones). `None` where no fit has a finite value, or there is
    /// nothing to fit.
    pub(crate) fn fit(
        train: &Rows,
        classes: &[u32],
        (validation, validation_classes): (&Rows, &[u32]),
        n_classes: usize,
        weighting: Weighting,
    ) -> Option<Self> {
        let loss = Loss::new(train, classes, n_classes, weighting)?;
        let mut x = vec![0.0; n_classes * (train.dim + 1)];
        let mut best: Option<Self> = None;
        let mut n_worse = 0;
        for penalty in PENALTIES {
            let value = minimise(&mut x, LIMITS, |x, gradient| loss.at(x, gradient, penalty));
            if !value.is_finite() {
                break;
            }
            let mut fitted = Self::of(&x, train.dim, n_classes);
            let found = fitted.predict(validation);
            fitted.validation =
                Confusion::count(validation_classes, &found, n_classes).balanced_accuracy();
            if best.as_ref().is_none_or(|other| fitted.validation > other.validation) {
                (best, n_worse) = (Some(fitted), 0);
            } else {
                n_worse += 1;
                if n_worse == PATIENCE {
                    break;
                }
            }
        }
        best
    }

    #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
    fn of(x: &[f64], dim: usize, n_classes: usize) -> Self {
        let (weights, bias) = x.split_at(dim * n_classes);
        Self {
            weights: weights.iter().map(|&w| w as f32).collect(),
            bias: bias.iter().map(|&b| b as f32).collect(),
            validation: f64::NAN,
        }
    }

    /// Probability of each class.
    pub(crate) fn probabilities(&self, row: &[f32], out: &mut [f64]) {
        for (class, out) in out.iter_mut().enumerate() {
            let weights = &self.weights[class * row.len()..(class + 1) * row.len()];
            *out = f64::from(self.bias[class]) + f64::from(kernels::dot(row, weights));
        }
        softmax(out);
    }

    /// The class of each row; `None` where a probability is no number.
    pub(crate) fn predict(&self, rows: &Rows) -> Vec<Option<u32>> {
        let mut scores = vec![0.0; self.bias.len()];
        let class = |row| {
            self.probabilities(row, &mut scores);
            largest(&scores)
        };
        rows.iter().map(class).collect()
    }
}

/// `exp(x - max)` over their sum, in place; the logarithm of the sum of the exponentials.
pub(super) fn softmax(scores: &mut [f64]) -> f64 {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - most).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
    most + sum.ln()
}

/// Weight of each training row, `1 / n` on average; `None` without rows.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn row_weights(
    classes: &[u32],
    n_classes: usize,
    weighting: Weighting,
) -> Option<Vec<f64>> {
    let mut counts = vec![0_usize; n_classes];
    classes.iter().for_each(|&class| counts[class as usize] += 1);
    let present = counts.iter().filter(|&&n| n > 0).count();
    (present > 0).then(|| match weighting {
        Weighting::Natural => vec![1.0 / classes.len() as f64; classes.len()],
        Weighting::Balanced => {
            let weight = |&class: &u32| 1.0 / (present * counts[class as usize]) as f64;
            classes.iter().map(weight).collect()
        }
    })
}

/// The function that is minimised.
struct Loss<'a> {
    rows: &'a Rows,
    classes: &'a [u32],
    weights: Vec<f64>,
    n_classes: usize,
}

impl<'a> Loss<'a> {
    fn new(
        rows: &'a Rows,
        classes: &'a [u32],
        n_classes: usize,
        weighting: Weighting,
    ) -> Option<Self> {
        let weights = row_weights(classes, n_classes, weighting)?;
        Some(Self { rows, classes, weights, n_classes })
    }

    #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
    fn at(&self, x: &[f64], gradient: &mut [f64], penalty: f64) -> f64 {
        let (dim, n_classes) = (self.rows.dim, self.n_classes);
        let (weights, bias) = x.split_at(dim * n_classes);
        let single: Vec<f32> = weights.iter().map(|&w| w as f32).collect();
        let (slopes, bias_slopes) = gradient.split_at_mut(dim * n_classes);
        bias_slopes.fill(0.0);
        let mut sums = kernels::Sums::new(dim * n_classes);
        let mut scores = vec![0.0; n_classes];
        let mut value = 0.0;
        for ((row, &class), &weight) in self.rows.iter().zip(self.classes).zip(&self.weights) {
            for (c, score) in scores.iter_mut().enumerate() {
                *score = bias[c] + f64::from(kernels::dot(row, &single[c * dim..(c + 1) * dim]));
            }
            let own = scores[class as usize];
            value += weight * (softmax(&mut scores) - own);
            for (c, p) in scores.iter().enumerate() {
                let slope = weight * (p - f64::from(u8::from(c == class as usize)));
                bias_slopes[c] += slope;
                sums.add(c * dim, slope as f32, row);
            }
            sums.next_row();
        }
        for ((slope, sum), w) in slopes.iter_mut().zip(sums.finish()).zip(weights) {
            *slope = sum + penalty * w;
        }
        value + 0.5 * penalty * weights.iter().map(|w| w * w).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;

    /// One feature, three clouds in a row: the middle one is what one-hot targets hide.
    fn ordered(n: usize, seed: u64) -> (Rows, Vec<u32>) {
        let mut rng = Rng::new(seed);
        let classes: Vec<u32> = (0..n).map(|i| u32::try_from(i % 3).unwrap()).collect();
        let values = classes.iter().map(|&c| c as f32 - 1.0 + 0.08 * rng.normal_f32()).collect();
        (Rows { dim: 1, values }, classes)
    }

    fn accuracy(probe: &Logistic, (rows, classes): &(Rows, Vec<u32>)) -> f64 {
        Confusion::count(classes, &probe.predict(rows), 3).balanced_accuracy()
    }

    #[test]
    fn the_middle_of_ordered_classes_is_seen() {
        let (train, validation, test) = (ordered(300, 1), ordered(90, 2), ordered(600, 3));
        let chosen = (&validation.0, &*validation.1);
        let probe = Logistic::fit(&train.0, &train.1, chosen, 3, Weighting::Balanced).unwrap();
        assert!(accuracy(&probe, &test) > 0.99, "{probe:?}");
        assert!(probe.validation > 0.99);
    }

    #[test]
    fn the_slope_of_the_loss_is_its_own() {
        let (rows, classes) = {
            let mut rng = Rng::new(4);
            let values = (0..60 * 5).map(|_| rng.normal_f32()).collect();
            (
                Rows { dim: 5, values },
                (0..60).map(|_| u32::try_from(rng.below(3)).unwrap()).collect::<Vec<_>>(),
            )
        };
        let loss = Loss::new(&rows, &classes, 3, Weighting::Balanced).unwrap();
        let mut rng = Rng::new(5);
        let x: Vec<f64> = (0..18).map(|_| f64::from(rng.normal_f32())).collect();
        let (mut slope, mut unused) = (vec![0.0; 18], vec![0.0; 18]);
        loss.at(&x, &mut slope, 0.3);
        for i in 0..x.len() {
            let mut shifted = |by: f64| {
                let mut x = x.clone();
                x[i] += by;
                loss.at(&x, &mut unused, 0.3)
            };
            let numeric = (shifted(1e-2) - shifted(-1e-2)) / 2e-2;
            assert!((slope[i] - numeric).abs() < 1e-3, "{i}: {} {numeric}", slope[i]);
        }
    }

    /// By hand: two classes, one binary feature, no penalty to speak of. The fitted probabilities
    /// are the shares in each group.
    #[test]
    fn natural_probabilities_are_shares() {
        let groups = [(-1.0_f32, 30, 10), (1.0, 20, 60)];
        let mut rows = Rows { dim: 1, values: Vec::new() };
        let mut classes = Vec::new();
        for (x, zeros, ones) in groups {
            rows.values.extend(std::iter::repeat_n(x, zeros + ones));
            classes.extend(std::iter::repeat_n(0, zeros).chain(std::iter::repeat_n(1, ones)));
        }
        let loss = Loss::new(&rows, &classes, 2, Weighting::Natural).unwrap();
        let mut x = vec![0.0; 4];
        minimise(&mut x, Limits { steps: 200, slope: 1e-9 }, |x, g| loss.at(x, g, 1e-9));
        let fitted = Logistic::of(&x, 1, 2);
        for (x, zeros, ones) in groups {
            let mut p = [0.0; 2];
            fitted.probabilities(&[x], &mut p);
            let share = ones as f64 / (zeros + ones) as f64;
            assert!((p[1] - share).abs() < 1e-3, "{p:?} {share}");
        }
    }

    #[test]
    fn a_score_that_is_no_number_is_no_class() {
        let (train, validation) = (ordered(90, 1), ordered(90, 2));
        let chosen = (&validation.0, &*validation.1);
        let fit = |rows: &Rows| Logistic::fit(rows, &train.1, chosen, 3, Weighting::Balanced);
        let odd = Rows { dim: 1, values: vec![0.0, f32::NAN, f32::INFINITY] };
        let found: Vec<bool> =
            fit(&train.0).unwrap().predict(&odd).iter().map(Option::is_some).collect();
        assert_eq!(found, [true, false, false]);
        let mut broken = train.0.clone();
        broken.values[7] = f32::NAN;
        assert!(fit(&broken).is_none());
        assert!(Logistic::fit(&Rows::default(), &[], chosen, 3, Weighting::Balanced).is_none());
    }
}
