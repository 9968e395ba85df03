use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{ResolvedDevice, TrainedModel};

/// What the embeddings look like, over a few fixed batches of pairs without augmentation.
///
/// Cosine similarities are between anchors and positives of one batch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    /// Loss of these pairs; NaN, as the three that follow, where no pair has a negative, so that
    /// nothing is measured.
    pub loss: f32,
    /// Share of anchors whose own positive is the most similar of the batch. A tie counts as a
    /// miss, so that a collapsed encoder cannot score.
    pub top1: f64,
    /// Share of anchors whose own positive is among the five most similar.
    pub top5: f64,
    /// Mean of one over the rank of the own positive, ties counting against it.
    pub mrr: f64,
    /// Mean squared distance of the normalised pair, 0 is perfect (Wang and Isola, 2020).
    pub alignment: f64,
    /// `ln mean exp(-2 |x - y|²)` over the normalised anchors, lower is more even, 0 is collapse
    /// (Wang and Isola, 2020).
    pub uniformity: f64,
    /// Effective number of dimensions in use, `1..=dim` (RankMe, Garrido et al., 2023).
    pub effective_rank: f64,
    /// Mean standard deviation of the normalised dimensions; `1/sqrt(dim)` is ideal, 0 collapse.
    pub dim_std: f64,
    /// Why the run looks collapsed; `None` when it does not.
    pub collapse: Option<String>,
    /// Whether any pair had a negative.
    #[serde(skip)]
    pub(crate) has_negatives: bool,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// All steps were taken.
    Finished,
    /// The validation loss no longer fell.
    Early,
    /// It was asked to stop; a checkpoint can go on from there.
    Interrupted,
}

/// A finished training run. The `*_s` vectors have one entry per step of this process, in
/// seconds; a resumed run has more losses than those.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOutcome {
    /// Loss of each step, those before a resumption included.
    pub losses: Vec<f32>,
    /// Steps taken by earlier processes: where this one went on.
    pub first_step: usize,
    /// Whole step.
    pub step_s: Vec<f64>,
    /// Waiting for the pairs: for those that draw them, or while they were drawn on the training
    /// thread.
    pub wait_s: Vec<f64>,
    /// That, and uploading them.
    pub batch_s: Vec<f64>,
    /// One forward pass over both views.
    pub forward_s: Vec<f64>,
    /// The loss, forward.
    pub loss_s: Vec<f64>,
    /// Backward pass of loss and network.
    pub backward_s: Vec<f64>,
    /// Clipping and AdamW.
    pub optimiser_s: Vec<f64>,
    /// Waiting for the other ranks and exchanging with them; 0 for one that is alone.
    pub exchange_s: Vec<f64>,
    /// Bytes of values this rank has put into sums over all ranks.
    pub exchanged_bytes: u64,
    /// Gradient norm before clipping, by step.
    pub grad_norms: Vec<f32>,
    /// Step and validation loss of each evaluation; NaN where no pair had a negative, so that
    /// nothing was measured.
    pub validation: Vec<(usize, f32)>,
    /// Temperature after the last step.
    pub temperature: f32,
    /// Anchors the supervised loss left out for want of a positive, over all steps.
    pub n_lone_anchors: usize,
    /// Steps skipped because a gradient was not finite in half precision.
    pub skipped_steps: u64,
    /// State of the embeddings at the end; not a number on ranks other than 0 and after an
    /// interruption.
    pub metrics: Metrics,
    /// Why it ended.
    pub ended: Ended,
    /// Step whose weights are the model, with early stopping; `None` stands for the last.
    pub best_step: Option<usize>,
    /// The last checkpoint written.
    pub checkpoint: Option<PathBuf>,
    /// Where it ran.
    pub device: ResolvedDevice,
    /// The weights.
    pub model: TrainedModel,
}

impl TrainOutcome {
    /// Mean loss of the first tenth of the steps; `None` without a step.
    #[must_use]
    pub fn first_loss(&self) -> Option<f64> {
        self.losses.get(..self.losses.len().div_ceil(10)).and_then(mean_loss)
    }

    /// Mean loss of the last tenth of the steps; `None` without a step.
    #[must_use]
    pub fn last_loss(&self) -> Option<f64> {
        self.losses.get(self.losses.len() - self.losses.len().div_ceil(10)..).and_then(mean_loss)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of steps")]
fn mean_loss(losses: &[f32]) -> Option<f64> {
    let sum: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
    (!losses.is_empty()).then(|| sum / losses.len() as f64)
}

impl Metrics {
    /// Before anything has been evaluated.
    pub(crate) fn unknown() -> Self {
        let nan = f64::NAN;
        Self {
            loss: f32::NAN,
            top1: nan,
            top5: nan,
            mrr: nan,
            alignment: nan,
            uniformity: nan,
            effective_rank: nan,
            dim_std: nan,
            collapse: None,
            has_negatives: false,
        }
    }

    /// Without what has no meaning where no pair has a negative: a loss of 0, for one.
    pub(crate) fn measured(self) -> Self {
        if self.has_negatives {
            return self;
        }
        let nan = f64::NAN;
        Self { loss: f32::NAN, top1: nan, top5: nan, mrr: nan, ..self }
    }

    /// Means over batches; collapsed if most of the batches look so.
    #[expect(clippy::cast_precision_loss, reason = "a few batches")]
    pub(crate) fn mean(all: &[Self]) -> Self {
        let mean_of = |batches: &[&Self], of: fn(&Self) -> f64| {
            batches.iter().map(|m| of(m)).sum::<f64>() / batches.len() as f64
        };
        let every: Vec<&Self> = all.iter().collect();
        let mean = |of: fn(&Self) -> f64| mean_of(&every, of);
        // A batch without a negative has a loss of 0, which would flatter the others.
        let mut told: Vec<&Self> = all.iter().filter(|m| m.has_negatives).collect();
        if told.is_empty() {
            told.clone_from(&every);
        }
        let measured = |of: fn(&Self) -> f64| mean_of(&told, of);
        let rings: Vec<&String> = all.iter().filter_map(|m| m.collapse.as_ref()).collect();
        #[expect(clippy::cast_possible_truncation, reason = "a loss is single precision")]
        let loss = measured(|m| f64::from(m.loss)) as f32;
        Self {
            loss,
            top1: measured(|m| m.top1),
            top5: measured(|m| m.top5),
            mrr: measured(|m| m.mrr),
            alignment: mean(|m| m.alignment),
            uniformity: mean(|m| m.uniformity),
            effective_rank: mean(|m| m.effective_rank),
            dim_std: mean(|m| m.dim_std),
            collapse: rings.first().filter(|_| 2 * rings.len() > all.len()).map(|&s| s.clone()),
            has_negatives: all.iter().any(|m| m.has_negatives),
        }
    }
}
