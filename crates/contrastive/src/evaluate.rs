//! What frozen features tell about a market, held against what is there without training.

mod baselines;
mod blocks;
mod calibration;
mod features;
mod findings;
mod kernels;
mod knn;
mod logistic;
mod minimise;
mod network;
mod pictures;
mod rows;
mod score;
mod student;
mod study;
mod table;
mod whitening;

pub use table::{
    AddedValue, Budget, Calibration, CalibrationBin, Comparison, Difference, EvaluationRow,
    EvaluationTable, Features, Method, TaskNote, Verdict,
};

use rayon::prelude::*;

use crate::{ContrastiveError, Device, Origin, TrainedModel, WindowSource};
pub(crate) use features::read_windows;
use features::{Chosen, make_all};
pub(crate) use kernels::dot;
pub(crate) use knn::normalised;
pub(crate) use logistic::{Logistic, Weighting};
pub(crate) use rows::{Rows, Standardiser};

/// What the features are asked to tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Name in the table.
    pub name: String,
    /// What the classes are, and where they come from.
    pub description: String,
    /// Number of classes, at least 2.
    pub n_classes: usize,
    /// Class of each window of the source; `None` where there is none.
    pub labels: Vec<Option<u32>>,
    /// Bins after a window that its class depends on.
    pub reach: usize,
    /// One number of each window's own past, `None` where it has none: what a label that looks
    /// back, or goes on as it was, gives away. Empty where there is no such number.
    pub past: Vec<Option<f32>>,
    /// What it is.
    pub past_description: String,
}

/// Windows in time order, cut so that nothing of the future reaches the training part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeSplit {
    /// Windows to fit probes on.
    pub train: Vec<usize>,
    /// Windows to choose their penalty on.
    pub validation: Vec<usize>,
    /// Windows to score on.
    pub test: Vec<usize>,
}

/// Windows with their places, parts and classes.
#[derive(Clone, Copy)]
pub struct Evaluated<'a> {
    /// The windows.
    pub source: &'a dyn WindowSource,
    /// Where and when each of them is.
    pub places: &'a [Origin],
    /// Rows of a window.
    pub window: usize,
    /// Their parts.
    pub split: &'a TimeSplit,
    /// Their classes.
    pub tasks: &'a [Task],
}

/// Settings of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluateConfig {
    /// Untrained encoders, and drawings of labels.
    pub seeds: usize,
    /// Numbers of labels beside all; those that a task has not are passed over.
    pub budgets: Vec<usize>,
    /// What the trained features are held against.
    pub baselines: Vec<Features>,
    /// Most training windows: of more, every second, third and so on is taken.
    pub max_train: usize,
    /// Most test windows, and most validation windows, likewise.
    pub max_test: usize,
    /// Neighbours of the kNN vote.
    pub neighbours: usize,
    /// Most components of the whitened PCA.
    pub components: usize,
    /// Where the encoders run.
    pub device: Device,
}

impl Default for EvaluateConfig {
    fn default() -> Self {
        Self {
            seeds: 5,
            budgets: vec![50, 200],
            baselines: Features::ALL[1..].to_vec(),
            max_train: 10_000,
            max_test: 10_000,
            neighbours: 20,
            components: 64,
            device: Device::Auto,
        }
    }
}

/// Holds what frozen features tell about each task against what is there without training.
///
/// `models` are trained encoders of the same shape: with one model the intervals hold the test
/// part alone, with several the training too. Scores are balanced accuracies (mean recall), so
/// that a guess scores one over the number of classes whatever their shares.
///
/// Intervals are percentiles of a bootstrap over blocks of time of the test part, the same blocks
/// for both sides of a difference, with the spread between models, untrained encoders or drawings
/// of labels on top. See [`EvaluationRow`], [`Comparison`] and [`AddedValue`].
///
/// # Errors
/// [`ContrastiveError::Config`] for settings out of range, [`ContrastiveError::NotEnoughData`]
/// when a part of the split is empty or has one class only, [`ContrastiveError::Features`] when a
/// feature is no finite number, and whatever the source reports.
pub fn evaluate(
    data: &Evaluated<'_>,
    models: &[TrainedModel],
    config: &EvaluateConfig,
) -> Result<EvaluationTable, ContrastiveError> {
    check(data, models, config)?;
    let chosen = Chosen::of(data, config);
    for (name, part) in ["training", "validation", "test"].into_iter().zip(chosen.parts()) {
        if part.is_empty() {
            return Err(ContrastiveError::NotEnoughData {
                reason: format!("the {name} part has no window with a class of any task"),
                hint: "use a shorter window, smaller bins or a longer recording",
            });
        }
    }
    let made = make_all(data, &chosen, models, config)?;
    let studied: Vec<_> = data
        .tasks
        .par_iter()
        .map(|task| study::study(data, task, &chosen, &made, config))
        .collect::<Result<_, _>>()?;
    let mut table = EvaluationTable {
        seeds: config.seeds,
        n_models: models.len(),
        tasks: data.tasks.iter().map(Task::note).collect(),
        rows: Vec::new(),
        comparisons: Vec::new(),
        added: Vec::new(),
        calibration: Vec::new(),
    };
    for studied in studied {
        table.rows.extend(studied.rows);
        table.comparisons.extend(studied.comparisons);
        table.added.extend(studied.added);
        table.calibration.extend(studied.calibration);
    }
    Ok(table)
}

impl Task {
    fn note(&self) -> TaskNote {
        TaskNote {
            name: self.name.clone(),
            description: self.description.clone(),
            past: self.past_description.clone(),
        }
    }
}

fn check(
    data: &Evaluated<'_>,
    models: &[TrainedModel],
    config: &EvaluateConfig,
) -> Result<(), ContrastiveError> {
    for (name, value) in [
        ("seeds", config.seeds),
        ("neighbours", config.neighbours),
        ("components", config.components),
        ("models", models.len()),
        ("tasks", data.tasks.len()),
        ("the smallest budget", config.budgets.iter().copied().min().unwrap_or(1)),
    ] {
        if value == 0 {
            return Err(ContrastiveError::config(name, "at least 1", value));
        }
    }
    let n = data.source.len();
    let lengths = |what, found: usize| {
        (found == n).then_some(()).ok_or(ContrastiveError::Shape { what, expected: n, found })
    };
    lengths("the list of places", data.places.len())?;
    for model in models {
        if model.n_inputs != data.source.n_inputs() {
            let (expected, found) = (model.n_inputs, data.source.n_inputs());
            return Err(ContrastiveError::Shape { what: "a window", expected, found });
        }
    }
    for task in data.tasks {
        lengths("the list of classes", task.labels.len())?;
        if !task.past.is_empty() {
            lengths("the list of past values", task.past.len())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
