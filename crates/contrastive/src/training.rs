use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Choice, Cuts, Ended, Prepared, StoreFacts, TimeRange, TrainConfig, TrainOutcome};

/// What a model was trained on, how, and with what result: a part of its file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Name and version of the program.
    pub program: String,
    /// The [`TrainConfig`] of the run as JSON: a program of another version still shows it.
    pub config: Value,
    /// Names of the channels or planes of a window.
    pub inputs: Vec<String>,
    /// Files of the store that were chosen.
    #[serde(default)]
    pub choice: Choice,
    /// Where the store was cut; `None` for generated signals.
    #[serde(default)]
    pub cuts: Option<Cuts>,
    /// First and last update of the windows trained on.
    #[serde(default)]
    pub trained: Option<TimeRange>,
    /// What the store's files say of themselves.
    #[serde(default)]
    pub facts: Option<StoreFacts>,
    /// What came out.
    pub result: TrainingResult,
}

/// Figures of a run's end; `None` stands for what was not measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingResult {
    /// Why the run ended.
    pub ended: Ended,
    /// Mean loss of the last tenth of the steps, with augmentation and dropout.
    pub train_loss: Option<f64>,
    /// Loss of the fixed validation pairs; none without validation pairs, or where no pair has a
    /// negative.
    pub validation_loss: Option<f64>,
    /// The step whose weights the model has, where early stopping chose one before the last.
    pub best_step: Option<usize>,
    /// Share of validation anchors whose own positive is the most similar.
    pub top1: Option<f64>,
    /// Effective number of dimensions in use.
    pub effective_rank: Option<f64>,
    /// Why the run looks collapsed.
    pub collapse: Option<String>,
}

impl Training {
    /// Of a run over `prepared`, whose files are those of `choice`.
    #[must_use]
    pub fn of(
        prepared: &Prepared,
        choice: &Choice,
        config: &TrainConfig,
        outcome: &TrainOutcome,
    ) -> Self {
        Self {
            program: format!("loblab {}", env!("CARGO_PKG_VERSION")),
            config: config.to_json(),
            inputs: prepared.inputs.clone(),
            choice: choice.clone(),
            cuts: prepared.cuts,
            trained: prepared.trained,
            facts: prepared.facts.clone(),
            result: TrainingResult::of(outcome, prepared.validation.is_some()),
        }
    }
}

impl TrainingResult {
    fn of(outcome: &TrainOutcome, has_validation: bool) -> Self {
        let metrics = &outcome.metrics;
        let number = |x: f64| Some(x).filter(|x| x.is_finite());
        let validated = |x: f64| number(x).filter(|_| has_validation);
        Self {
            ended: outcome.ended,
            train_loss: outcome.last_loss(),
            validation_loss: validated(metrics.loss.into()),
            best_step: outcome.best_step,
            top1: validated(metrics.top1),
            effective_rank: number(metrics.effective_rank),
            collapse: metrics.collapse.clone(),
        }
    }
}
