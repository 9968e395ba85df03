//! What contrastive features tell of the market against features that nobody trained.

use anyhow::Result;
use lob_contrastive::{
    Augment, EncoderConfig, EvaluateConfig, Evaluated, Features, InputSpec, Positives,
    PrepareOptions, Schedule, Task, Temperature, TrainConfig, TrainedModel, evaluate, gallery,
    prepare,
};
use lob_metrics::{Artifact, NamedCurve, Severity};

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
    let mut losses = Vec::new();
    for seed in 0..SEEDS {
        let _scope = lob_scope::scope("train");
        let config = TrainConfig { device, ..config(bench.options.seed + seed, steps) };
        let outcome = lob_contrastive::train(prepared.train.clone(), &config)?;
        if let Some(why) = &outcome.metrics.collapse {
            bench.rec.finding(Severity::Warning, format!("seed {seed} looks collapsed: {why}"));
        }
        losses.push(outcome.losses);
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
    for measurement in table.measurements() {
        bench.rec.add(measurement);
    }
    bench.rec.artifacts.extend(table.artifacts());
    bench.rec.artifacts.push(training_curves(&losses));
    let (queries, neighbours) = if quick { (1, 3) } else { (4, 4) };
    let pictures = gallery(&prepared, &models[0], (queries, neighbours), device)?;
    bench.rec.artifacts.extend(pictures);
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

/// The loss of each seed, a mean of every twentieth part of the run.
fn training_curves(losses: &[Vec<f32>]) -> Artifact {
    let curve = |(seed, losses): (usize, &Vec<f32>)| {
        let part = losses.len().div_ceil(20).max(1);
        let mean = |part: &[f32]| f64::from(part.iter().sum::<f32>()) / part.len() as f64;
        let y: Vec<f64> = losses.chunks(part).map(mean).collect();
        let x = (1..=y.len()).map(|i| (i * part).min(losses.len()) as f64).collect();
        NamedCurve::plain(format!("seed {seed}"), x, y)
    };
    Artifact::Curves {
        title: "Training loss of the evaluated encoders".to_owned(),
        x_label: "step".to_owned(),
        y_label: "InfoNCE loss".to_owned(),
        log_x: false,
        curves: losses.iter().enumerate().map(curve).collect(),
    }
}
