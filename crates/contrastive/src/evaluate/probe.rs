use super::{Rows, knn::largest, linear, score::balanced_accuracy};

/// Penalties tried, as multiples of the number of training rows.
const PENALTIES: [f64; 7] = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0];

/// A linear classifier: ridge regression on one column for each class, in closed form. Rows are
/// weighted by the inverse share of their class, so that it aims at balanced accuracy.
#[derive(Debug)]
pub(super) struct Probe {
    /// dim × classes.
    weights: Vec<f64>,
    /// One for each class.
    bias: Vec<f64>,
}

impl Probe {
    /// Fits on standardised rows, with the penalty that scores best on the validation rows; `None`
    /// where no penalty has a solution.
    pub(super) fn fit(
        train: &Rows,
        classes: &[u32],
        (validation, validation_classes): (&Rows, &[u32]),
        n_classes: usize,
    ) -> Option<Self> {
        let system = System::new(train, classes, n_classes);
        let mut best: Option<(f64, Self)> = None;
        for penalty in PENALTIES {
            let Some(probe) = system.solve(penalty) else { continue };
            let found = probe.predict(validation);
            let score = balanced_accuracy(validation_classes, &found, n_classes);
            if best.as_ref().is_none_or(|(other, _)| score > *other) {
                best = Some((score, probe));
            }
        }
        // A penalty above 0 makes the matrix positive definite: round-off can only defeat the
        // smallest, sums that overflow all of them.
        best.map(|(_, probe)| probe)
    }

    /// The class of each row; `None` where a score is no number.
    pub(super) fn predict(&self, rows: &Rows) -> Vec<Option<u32>> {
        let n_classes = self.bias.len();
        rows.iter()
            .map(|row| {
                let mut scores = self.bias.clone();
                for (x, weights) in row.iter().zip(self.weights.chunks_exact(n_classes)) {
                    let x = f64::from(*x);
                    scores.iter_mut().zip(weights).for_each(|(score, w)| *score += x * w);
                }
                largest(&scores)
            })
            .collect()
    }
}

/// The normal equations without their penalty.
struct System {
    /// Training rows times the root of their weight, centred by weight.
    rows: Rows,
    /// Weighted mean of each feature.
    mean: Vec<f64>,
    gram: Vec<f64>,
    side: usize,
    is_dual: bool,
    /// Targets times the root of their weight, centred: rows × classes.
    targets: Vec<f64>,
    /// Weighted mean of each target.
    target_mean: Vec<f64>,
    n: f64,
}

impl System {
    #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn new(train: &Rows, classes: &[u32], n_classes: usize) -> Self {
        let n = classes.len() as f64;
        let mut counts = vec![0.0_f64; n_classes];
        classes.iter().for_each(|&class| counts[class as usize] += 1.0);
        let present = counts.iter().filter(|&&c| c > 0.0).count().max(1) as f64;
        let weight = |class: u32| n / (present * counts[class as usize]);
        let mut mean = vec![0.0; train.dim];
        for (row, &class) in train.iter().zip(classes) {
            let w = weight(class) / n;
            mean.iter_mut().zip(row).for_each(|(m, &x)| *m += w * f64::from(x));
        }
        let target_mean: Vec<f64> =
            counts.iter().map(|&c| if c > 0.0 { 1.0 / present } else { 0.0 }).collect();
        let mut rows = train.clone();
        let mut targets = Vec::with_capacity(classes.len() * n_classes);
        for (row, &class) in rows.values.chunks_exact_mut(train.dim.max(1)).zip(classes) {
            let root = weight(class).sqrt();
            for (x, m) in row.iter_mut().zip(&mean) {
                *x = ((f64::from(*x) - m) * root) as f32;
            }
            for (c, m) in target_mean.iter().enumerate() {
                let is_own = f64::from(u8::from(c == class as usize));
                targets.push((is_own - m) * root);
            }
        }
        let (gram, side, is_dual) = linear::gram(&rows);
        Self { rows, mean, gram, side, is_dual, targets, target_mean, n }
    }

    fn solve(&self, penalty: f64) -> Option<Probe> {
        let n_classes = self.target_mean.len();
        let mut a = self.gram.clone();
        for i in 0..self.side {
            a[i * self.side + i] += penalty * self.n;
        }
        let mut b = if self.is_dual { self.targets.clone() } else { self.project(&self.targets) };
        if !linear::solve(&mut a, self.side, &mut b, n_classes) {
            return None;
        }
        let weights = if self.is_dual { self.project(&b) } else { b };
        let mut bias = self.target_mean.clone();
        for (m, weights) in self.mean.iter().zip(weights.chunks_exact(n_classes)) {
            bias.iter_mut().zip(weights).for_each(|(bias, w)| *bias -= m * w);
        }
        Some(Probe { weights, bias })
    }

    /// `Rᵀ M` for a matrix of rows × classes.
    fn project(&self, matrix: &[f64]) -> Vec<f64> {
        let n_classes = self.target_mean.len();
        let mut out = vec![0.0; self.rows.dim * n_classes];
        for (row, values) in self.rows.iter().zip(matrix.chunks_exact(n_classes)) {
            for (x, out) in row.iter().zip(out.chunks_exact_mut(n_classes)) {
                let x = f64::from(*x);
                out.iter_mut().zip(values).for_each(|(o, v)| *o += x * v);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;

    fn clouds(n: usize, dim: usize, seed: u64) -> (Rows, Vec<u32>) {
        let mut rng = Rng::new(seed);
        // Class 2 is rare; the classes differ in the first two features only.
        let classes: Vec<u32> = (0..n).map(|i| [0, 1, 0, 1, 2, 0, 1][i % 7]).collect();
        let values = classes.iter().flat_map(|&class| {
            let centre = [[2.0, 0.0], [-2.0, 0.0], [0.0, 3.0]][class as usize];
            (0..dim)
                .map(|d| rng.normal_f32() * 0.5 + centre.get(d).copied().unwrap_or(0.0))
                .collect::<Vec<f32>>()
        });
        (Rows { dim, values: values.collect() }, classes)
    }

    #[test]
    fn separate_clouds_are_told_apart_in_both_forms() {
        // 140 rows of 5 features use the primal form, of 300 features the dual one.
        for (dim, least) in [(5, 0.95), (300, 0.8)] {
            let (train, classes) = clouds(140, dim, 1);
            let (validation, validation_classes) = clouds(70, dim, 2);
            let (test, expected) = clouds(140, dim, 3);
            let probe =
                Probe::fit(&train, &classes, (&validation, &validation_classes), 3).unwrap();
            let score = balanced_accuracy(&expected, &probe.predict(&test), 3);
            assert!(score > least, "{dim}: {score}");
        }
    }

    #[test]
    fn both_forms_give_the_same_probe() {
        let (train, classes) = clouds(40, 40, 4);
        let primal = System::new(&train, &classes, 3);
        assert!(primal.is_dual, "a square system takes the dual form");
        let mut forced = System::new(&train, &classes, 3);
        let columns = linear::transposed(&forced.rows);
        let side = columns.len();
        forced.gram = (0..side * side)
            .map(|at| {
                let column = |i: usize| &columns.values[i * columns.dim..][..columns.dim];
                linear::dot(column(at / side), column(at % side))
            })
            .collect();
        (forced.side, forced.is_dual) = (side, false);
        let (a, b) = (primal.solve(1e-2).unwrap(), forced.solve(1e-2).unwrap());
        for (a, b) in a.weights.iter().zip(&b.weights) {
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
    }

    /// Fault 4 of the review: class 0 stood for whatever could not be told.
    #[test]
    fn a_score_that_is_no_number_is_no_class() {
        let (train, classes) = clouds(140, 5, 1);
        let (mut test, _) = clouds(4, 5, 3);
        let probe = Probe::fit(&train, &classes, (&train, &classes), 3).unwrap();
        assert!(probe.predict(&test).iter().all(Option::is_some));
        (test.values[3], test.values[12]) = (f32::NAN, f32::INFINITY);
        let found: Vec<bool> = probe.predict(&test).iter().map(Option::is_some).collect();
        assert_eq!(found, [false, true, false, true]);
        // Features whose squares overflow have no solution, and so no probe.
        for value in [f32::NAN, f32::INFINITY, 1e30] {
            let mut odd = train.clone();
            odd.values[7] = value;
            assert!(Probe::fit(&odd, &classes, (&train, &classes), 3).is_none(), "{value}");
        }
    }

    #[test]
    fn noise_scores_like_a_guess() {
        let mut rng = Rng::new(9);
        let mut rows = |n: usize| {
            let values = (0..n * 4).map(|_| rng.normal_f32()).collect();
            let classes = (0..n).map(|i| u32::from(i % 2 == 0)).collect::<Vec<u32>>();
            (Rows { dim: 4, values }, classes)
        };
        let ((train, classes), (validation, chosen), (test, expected)) =
            (rows(400), rows(400), rows(2000));
        let probe = Probe::fit(&train, &classes, (&validation, &chosen), 2).unwrap();
        let score = balanced_accuracy(&expected, &probe.predict(&test), 2);
        assert!((score - 0.5).abs() < 0.05, "{score}");
    }
}
