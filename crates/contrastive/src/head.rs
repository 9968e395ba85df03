//! A fitted head on a frozen encoder: what turns embeddings into probabilities of classes.

mod label;

pub use label::HeadLabel;

use serde::{Deserialize, Serialize};

use crate::cpu::Embedder;
use crate::evaluate::{Logistic, Rows, Standardiser, Weighting};
use crate::{ContrastiveError, Prepared, WindowScratch, WindowSource};

/// Most windows of the training part that a head is fitted to, and of the validation part that its
/// penalty is chosen on; of more, every second, third and so on is taken.
const MAX_WINDOWS: usize = 4_000;

/// Windows embedded at once.
const BATCH: usize = 256;

/// Multinomial logistic regression on embeddings, fitted to the training part of a store.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// What it tells, and how well.
    pub facts: HeadFacts,
    /// Dimensions x classes.
    pub weights: Vec<f32>,
    /// One for each class.
    pub bias: Vec<f32>,
}

/// What a head tells, and how well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeadFacts {
    /// Name of the label.
    pub label: String,
    /// What the label is, in words.
    pub description: String,
    /// Bins from a window's last one to what the label compares with; 0 where it does not say.
    pub horizon_bins: u64,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Shares of the classes in the training windows fitted to.
    pub base_rates: Vec<f64>,
    /// Training windows fitted to.
    pub n_train: usize,
    /// Validation windows that the penalty was chosen on.
    pub n_validation: usize,
    /// Mean recall on those; a guess has one over the number of classes.
    pub validation_balanced_accuracy: f64,
    /// Mean log loss on those, in nats, and that of the base rates alone.
    pub validation_log_loss: [f64; 2],
}

impl HeadFacts {
    /// Positions of the classes "down" and "up", for a label that is a direction.
    #[must_use]
    pub fn direction(&self) -> Option<(usize, usize)> {
        let of = |name: &str| self.classes.iter().position(|class| class == name);
        of("down").zip(of("up"))
    }
}

impl Head {
    /// Fits a head for `label` to the embeddings of the training part, with the penalty that scores
    /// best on the validation part.
    ///
    /// # Errors
    /// [`ContrastiveError::EmptyPart`] when a part has no window with a class or the training part
    /// has one class only, and whatever reading and embedding windows reports.
    pub fn fit(
        embedder: &mut Embedder,
        prepared: &Prepared,
        label: &HeadLabel,
    ) -> Result<Self, ContrastiveError> {
        let split = &prepared.split;
        let mut embed = |part: &[usize]| embedded(embedder, prepared, label, part);
        let (mut train, classes) = embed(&split.train)?;
        let (mut validation, chosen_on) = embed(&split.validation)?;
        let n_classes = label.class_names.len();
        let empty = |part: &'static str, reason: String| ContrastiveError::EmptyPart {
            part,
            reason,
            hint: "use a longer recording, another --head-label, or --head-label none",
        };
        let is_constant = classes.iter().all(|class| Some(class) == classes.first());
        if is_constant || chosen_on.is_empty() {
            let (part, n) = match is_constant {
                true => ("training", classes.len()),
                false => ("validation", 0),
            };
            let reason = format!("{n} windows of fewer than 2 classes of `{}`", label.name);
            return Err(empty(part, reason));
        }
        let (raw_train, raw_validation) = (train.clone(), validation.clone());
        let standardiser = Standardiser::fit(&train);
        standardiser.apply(&mut train);
        standardiser.apply(&mut validation);
        let on = (&validation, &chosen_on[..]);
        let fitted = Logistic::fit(&train, &classes, on, n_classes, Weighting::Natural);
        let fitted = fitted.ok_or_else(|| ContrastiveError::Weights {
            reason: format!("no finite head for `{}`: the embeddings are too large", label.name),
        })?;
        let (weights, bias) = folded(&fitted, &standardiser, train.dim);
        let mut head = Self {
            facts: HeadFacts {
                label: label.name.clone(),
                description: label.description.clone(),
                horizon_bins: label.horizon_bins,
                classes: label.class_names.clone(),
                base_rates: shares(&classes, n_classes),
                n_train: raw_train.len(),
                n_validation: raw_validation.len(),
                validation_balanced_accuracy: f64::NAN,
                validation_log_loss: [f64::NAN; 2],
            },
            weights,
            bias,
        };
        head.score(&raw_validation, &chosen_on);
        Ok(head)
    }

    /// Probability of each class for an embedding, into `out`.
    pub fn probabilities(&self, embedding: &[f32], out: &mut [f64]) {
        let n = self.bias.len();
        for (out, bias) in out.iter_mut().zip(&self.bias) {
            *out = f64::from(*bias);
        }
        for (x, weights) in embedding.iter().zip(self.weights.chunks_exact(n.max(1))) {
            for (out, w) in out.iter_mut().zip(weights) {
                *out += f64::from(*x) * f64::from(*w);
            }
        }
        let most = out.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        out.iter_mut().for_each(|score| *score = (*score - most).exp());
        let sum: f64 = out.iter().sum();
        out.iter_mut().for_each(|p| *p /= sum);
    }

    /// Scores the head as it is stored on rows it was not fitted to.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn score(&mut self, rows: &Rows, classes: &[u32]) {
        let n_classes = self.bias.len();
        let (mut right, mut all) = (vec![0_usize; n_classes], vec![0_usize; n_classes]);
        let (mut own, mut base) = (0.0, 0.0);
        let mut p = vec![0.0; n_classes];
        for (row, &class) in rows.iter().zip(classes) {
            let class = class as usize;
            self.probabilities(row, &mut p);
            let best = (0..n_classes).max_by(|&a, &b| p[a].total_cmp(&p[b]));
            all[class] += 1;
            right[class] += usize::from(best == Some(class));
            own -= p[class].max(f64::MIN_POSITIVE).ln();
            base -= self.facts.base_rates[class].max(f64::MIN_POSITIVE).ln();
        }
        let recalls: Vec<f64> = (0..n_classes)
            .filter(|&class| all[class] > 0)
            .map(|class| right[class] as f64 / all[class] as f64)
            .collect();
        let n = classes.len() as f64;
        self.facts.validation_balanced_accuracy =
            recalls.iter().sum::<f64>() / recalls.len().max(1) as f64;
        self.facts.validation_log_loss = [own / n, base / n];
    }
}

/// Embeddings and classes of the windows of a part that have a class.
fn embedded(
    embedder: &mut Embedder,
    prepared: &Prepared,
    label: &HeadLabel,
    part: &[usize],
) -> Result<(Rows, Vec<u32>), ContrastiveError> {
    let labelled: Vec<(usize, u32)> =
        part.iter().filter_map(|&idx| Some((idx, label.classes[idx]?))).collect();
    let every = labelled.len().div_ceil(MAX_WINDOWS).max(1);
    let source: &dyn WindowSource = &*prepared.whole;
    let dim = embedder.embedding_dim();
    let (mut scratch, mut window) = (WindowScratch::default(), vec![0.0; source.n_inputs()]);
    let (mut rows, mut classes) = (Rows { dim, values: Vec::new() }, Vec::new());
    let mut windows = Vec::new();
    let mut flush = |windows: &mut Vec<f32>, rows: &mut Rows| {
        let first = rows.values.len();
        rows.values.resize(first + windows.len() / source.n_inputs().max(1) * dim, 0.0);
        let done = embedder.embed_into(windows, &mut rows.values[first..]);
        windows.clear();
        done
    };
    for &(idx, class) in labelled.iter().step_by(every) {
        match source.window(idx, &mut scratch, &mut window) {
            Ok(()) => {
                windows.extend_from_slice(&window);
                classes.push(class);
            }
            Err(ContrastiveError::EmptyWindow { .. }) => {}
            Err(error) => return Err(error),
        }
        if windows.len() == BATCH * source.n_inputs() {
            flush(&mut windows, &mut rows)?;
        }
    }
    flush(&mut windows, &mut rows)?;
    Ok((rows, classes))
}

/// Weights of embeddings as they are, from those of standardised ones: dimensions x classes.
#[expect(clippy::cast_possible_truncation, reason = "weights are single precision")]
fn folded(fitted: &Logistic, standardiser: &Standardiser, dim: usize) -> (Vec<f32>, Vec<f32>) {
    let n_classes = fitted.bias.len();
    let mut weights = vec![0.0_f32; dim * n_classes];
    let mut bias: Vec<f64> = fitted.bias.iter().map(|&b| f64::from(b)).collect();
    for class in 0..n_classes {
        let columns = standardiser.columns().iter().enumerate();
        for ((at, (mean, scale)), w) in columns.zip(&fitted.weights[class * dim..]) {
            let w = f64::from(*w) * scale;
            weights[at * n_classes + class] = w as f32;
            bias[class] -= w * mean;
        }
    }
    (weights, bias.into_iter().map(|b| b as f32).collect())
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn shares(classes: &[u32], n_classes: usize) -> Vec<f64> {
    let mut counts = vec![0_usize; n_classes];
    classes.iter().for_each(|&class| counts[class as usize] += 1);
    counts.into_iter().map(|n| n as f64 / classes.len() as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_head_gives_the_probabilities_of_standardised_rows() {
        let values = vec![10.0, 1.0, 12.0, -1.0, 14.0, 0.5, 9.0, 3.0];
        let raw = Rows { dim: 2, values };
        let standardiser = Standardiser::fit(&raw);
        let mut standard = raw.clone();
        standardiser.apply(&mut standard);
        let fitted = Logistic {
            weights: vec![0.3, -0.7, 0.1, 0.9, -0.4, 0.2],
            bias: vec![0.1, -0.2, 0.0],
            validation: 0.5,
        };
        let (weights, bias) = folded(&fitted, &standardiser, 2);
        let facts = HeadFacts {
            label: "forward_10".into(),
            description: String::new(),
            horizon_bins: 10,
            classes: ["down", "flat", "up"].map(str::to_owned).to_vec(),
            base_rates: vec![0.25, 0.5, 0.25],
            n_train: 4,
            n_validation: 4,
            validation_balanced_accuracy: 0.5,
            validation_log_loss: [1.0, 1.0],
        };
        assert_eq!(facts.direction(), Some((0, 2)));
        let mut head = Head { facts, weights, bias };
        for (row, standard) in raw.iter().zip(standard.iter()) {
            let (mut found, mut expected) = ([0.0; 3], [0.0; 3]);
            head.probabilities(row, &mut found);
            fitted.probabilities(standard, &mut expected);
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?}");
            assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
        // Always "flat" for a head without weights: one of three recalls.
        head.weights.fill(0.0);
        head.bias.copy_from_slice(&[0.0, 1.0, 0.0]);
        head.score(&raw, &[0, 1, 1, 2]);
        assert!((head.facts.validation_balanced_accuracy - 1.0 / 3.0).abs() < 1e-12);
        let base = (2.0 * 4_f64.ln() + 2.0 * 2_f64.ln()) / 4.0;
        assert!((head.facts.validation_log_loss[1] - base).abs() < 1e-12);
    }
}
