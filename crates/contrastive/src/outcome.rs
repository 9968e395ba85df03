use crate::{ResolvedDevice, TrainedModel};

/// What the embeddings look like at the end of a run, over the last batches of pairs.
///
/// Cosine similarities are between anchors and positives of one batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// Share of anchors whose own positive is the most similar of the batch. A tie counts as a
    /// miss, so that a collapsed encoder cannot score.
    pub top1: f64,
    /// Share of anchors whose own positive is among the five most similar.
    pub top5: f64,
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
}

/// A finished training run. The `*_s` vectors have one entry per step, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOutcome {
    /// Loss of each step.
    pub losses: Vec<f32>,
    /// Whole step.
    pub step_s: Vec<f64>,
    /// Drawing the pairs and uploading them.
    pub batch_s: Vec<f64>,
    /// One forward pass over both views.
    pub forward_s: Vec<f64>,
    /// The loss, forward.
    pub loss_s: Vec<f64>,
    /// Backward pass of loss and network.
    pub backward_s: Vec<f64>,
    /// Clipping and AdamW.
    pub optimiser_s: Vec<f64>,
    /// Gradient norm before clipping, by step.
    pub grad_norms: Vec<f32>,
    /// Temperature after the last step.
    pub temperature: f32,
    /// State of the embeddings at the end.
    pub metrics: Metrics,
    /// Where it ran.
    pub device: ResolvedDevice,
    /// The weights.
    pub model: TrainedModel,
}

impl Metrics {
    /// Before anything has been evaluated.
    pub(crate) fn unknown() -> Self {
        let nan = f64::NAN;
        Self {
            top1: nan,
            top5: nan,
            alignment: nan,
            uniformity: nan,
            effective_rank: nan,
            dim_std: nan,
            collapse: None,
        }
    }
}
