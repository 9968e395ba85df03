//! What contrastive features tell of the market against features that nobody trained.

use anyhow::Result;
use lob_contrastive::{
    Augment, Budget, EncoderConfig, EvaluateConfig, Evaluated, EvaluationRow, Features, InputSpec,
    Positives, PrepareOptions, Schedule, Task, Temperature, TrainConfig, TrainedModel, evaluate,
    prepare,
};
use lob_metrics::{Artifact, Direction, IntervalGroup, IntervalRow, Measurement, Severity, Unit};

use super::Bench;

/// Bins of a window.
const WINDOW: usize = 64;

/// Trained encoders, one a seed: an interval needs at least 3.
const SEEDS: u64 = 3;

/// Trains one encoder a seed and scores its features and the baselines on later windows.
pub(super) fn run(bench: &mut Bench<'_>) -> Result<()> {
    let quick = bench.options.quick;
    let device = bench.options.device;
    let input = InputSpec::Bins { window: WINDOW, stride: 4 };
    let positives = Positives::Near { max_shift: WINDOW / 2 };
    let options = PrepareOptions::new(positives);
    let prepared = {
        let _scope = lob_scope::scope("prepare");
        prepare(&input, Some(&bench.store()?), &options)?
    };
    for note in &prepared.notes {
        bench.rec.finding(Severity::Info, note.clone());
    }
    if prepared.tasks.is_empty() {
        bench.rec.skipped = Some("no task has two classes in every part of the split".to_owned());
        return Ok(());
    }
    let steps = if quick { 150 } else { 1000 };
    let mut models: Vec<TrainedModel> = Vec::new();
    for seed in 0..SEEDS {
        let _scope = lob_scope::scope("train");
        let config = TrainConfig { device, ..config(bench.options.seed + seed, steps) };
        let outcome = lob_contrastive::train(prepared.train.clone(), &config)?;
        if let Some(why) = &outcome.metrics.collapse {
            bench.rec.finding(Severity::Warning, format!("seed {seed} looks collapsed: {why}"));
        }
        models.push(outcome.model);
    }
    let defaults = EvaluateConfig::default();
    let settings = if quick {
        // One task against two baselines: the whole table is for `lob eval` and longer runs.
        let baselines = vec![Features::Raw, Features::HandStatistics];
        EvaluateConfig { device, baselines, budgets: vec![], max_train: 2000, ..defaults }
    } else {
        EvaluateConfig { device, ..defaults }
    };
    let tasks = tasks(&prepared.tasks, quick);
    let table = {
        let _scope = lob_scope::scope("evaluate");
        evaluate(&Evaluated { tasks: &tasks, ..prepared.evaluated() }, &models, &settings)?
    };
    bench.rec.config("window", WINDOW);
    bench.rec.config("steps", steps);
    bench.rec.config("models", table.n_models);
    for task in &table.tasks {
        bench.rec.config(&format!("task.{}", task.name), task.description.clone());
    }
    for row in table.rows.iter().filter(|row| row.labels == Budget::All) {
        bench.rec.add(measurement(row));
    }
    bench.rec.artifacts.push(intervals(&table.rows));
    for finding in table.findings() {
        let loses = finding.contains("they lose to") && !finding.contains("they lose to none");
        let severity = if loses { Severity::Warning } else { Severity::Info };
        bench.rec.finding(severity, finding);
    }
    Ok(())
}

/// All tasks, or the one of the volatility to come.
fn tasks(all: &[Task], quick: bool) -> Vec<Task> {
    let one = all.iter().position(|task| task.name.starts_with("next_volatility")).unwrap_or(0);
    if quick { vec![all[one].clone()] } else { all.to_vec() }
}

fn config(seed: u64, steps: usize) -> TrainConfig {
    TrainConfig {
        seed,
        steps,
        batch_size: 64,
        encoder: EncoderConfig::simple().with_projection(64),
        temperature: Temperature::Fixed(0.1),
        schedule: Schedule::WarmupCosine { warmup_steps: steps / 20 },
        ignore_radius: WINDOW as u64,
        augment: Augment::gentle(),
        ..TrainConfig::default()
    }
}

/// The table: for each task, budget and read-out every kind of features with its interval.
fn intervals(rows: &[EvaluationRow]) -> Artifact {
    let mut groups: Vec<IntervalGroup> = Vec::new();
    for row in rows {
        let name = match row.labels {
            Budget::All => format!("{}, {}", row.task, row.method.name()),
            Budget::Labels(n) => format!("{}, {}, {n} labels", row.task, row.method.name()),
        };
        let own =
            IntervalRow { name: row.features.name().to_owned(), value: row.mean, ci95: row.ci95 };
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.rows.push(own),
            None => {
                groups.push(IntervalGroup { name, reference: Some(row.chance), rows: vec![own] });
            }
        }
    }
    Artifact::Intervals {
        title: "Accuracy on later windows; intervals over blocks of time; reference: chance"
            .to_owned(),
        x_label: "balanced accuracy".to_owned(),
        groups,
    }
}

/// One cell of the table: a value for each model or untrained encoder.
fn measurement(row: &EvaluationRow) -> Measurement {
    let metric = format!("evaluation.{}.{}.{}", row.task, row.method.name(), row.features.name());
    let direction = match row.features {
        Features::Contrastive => Direction::HigherIsBetter,
        // A baseline is what it is.
        _ => Direction::Neutral,
    };
    Measurement::measured(&metric, Unit::Fraction, direction, &row.scores)
}
