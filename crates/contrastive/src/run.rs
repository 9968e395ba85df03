use std::path::PathBuf;
use std::sync::Arc;

use lob_dataloader::{Prefetch, Stop};
use lob_ranks::Collective;
use lob_store::StoreFingerprint;
use serde::Serialize;

use crate::{Metrics, WindowSource};

/// What goes with a training run besides data and settings; none of it changes the losses.
#[derive(Default)]
pub struct RunOptions<'a> {
    /// Where the pairs of evaluation come from; the training source by default.
    pub validation: Option<Arc<dyn WindowSource>>,
    /// Where checkpoints and `metrics.jsonl` go; nowhere by default.
    pub checkpoints: Option<CheckpointPlan>,
    /// Go on from the newest checkpoint, if there is one.
    pub resume: bool,
    /// The store that is trained on, which checkpoints note: the data of
    /// [`Prepared`](crate::Prepared).
    pub data: Option<StoreFingerprint>,
    /// Go on from a checkpoint of other data too.
    pub allow_other_data: bool,
    /// Ends the run with a checkpoint once it is asked for: a run of one process as if the step
    /// under way had never begun, one of several ranks after it.
    pub stop: Stop,
    /// Who draws the pairs, and how far ahead; on the training thread by default.
    pub prefetch: Prefetch,
    /// Is told of every step.
    pub observer: Option<&'a mut dyn FnMut(&StepReport)>,
    /// The other ranks, where several train one model: each takes an equal share of every batch's
    /// pairs, the loss sees all of them, and after each step all have the same weights. Only rank 0
    /// writes and evaluates; with `resume`, the others read its checkpoints under the same path.
    pub ranks: Option<&'a mut dyn Collective>,
}

impl std::fmt::Debug for RunOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunOptions")
            .field("checkpoints", &self.checkpoints)
            .field("resume", &self.resume)
            .finish_non_exhaustive()
    }
}

/// Where and how often checkpoints are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointPlan {
    /// Folder of one run; made where it is missing.
    pub folder: PathBuf,
    /// Steps between checkpoints; 0 writes one at the end only.
    pub every: usize,
    /// Newest checkpoints kept, at least 1.
    pub keep: usize,
}

/// One step, as an observer sees it and as a line of `metrics.jsonl` has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepReport {
    /// Steps taken, counted from 1.
    pub step: usize,
    /// Steps of the whole run.
    pub steps: usize,
    /// Loss of the step's batch.
    pub loss: f32,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Softmax temperature after the step.
    pub temperature: f32,
    /// Norm of the gradients before clipping.
    pub grad_norm: f32,
    /// Pairs in a second of this step.
    pub pairs_per_s: f64,
    /// Share of the step spent waiting for its pairs, `0..=1`: for those that draw them, or while
    /// they were drawn on the training thread.
    pub data_wait_share: f64,
    /// Seconds to go at the mean pace of this process.
    pub eta_s: f64,
    /// State of the embeddings, on the steps that are evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
}
