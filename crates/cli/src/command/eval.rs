//! `lob eval`.

mod report;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use lob_contrastive::{
    Device, EvaluateConfig, Evaluated, Features, ModelFile, Task, evaluate, gallery,
};
use lob_metrics::shown;

use super::windows::{ChoiceArgs, Purpose, Source, check_same_training, open_for, other_data};
use crate::output;

/// Hold a model's features against raw windows, PCA, hand statistics and an untrained encoder
///
/// Each is read out by a logistic regression, by a vote of neighbours and, for hand statistics, by a
/// small network trained on the labels, with all labels and with few. Classes are those of a time
/// after the training windows, with an embargo between. Scores are balanced accuracies with 95 %
/// intervals over blocks of time. A model that loses is said to lose, and no score here is a forecast
/// of prices.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob eval runs/a/model.safetensors store
  lob eval a.safetensors store --more b.safetensors --more c.safetensors --json
  lob eval runs/a store --out results/eval
  lob eval runs/a store --tasks forward_10,true_regime --labels 50,200,1000 --against raw,hand_statistics

Tasks: each label of the store by its name (of a store without labels that look forward forward_3,
forward_10 and forward_50 from the mids), next_volatility_N of the N bins that follow, and reversal.

An interval holds the test part, drawn anew in blocks of four times a window and the label's reach; give
--more models trained with other seeds for what training changes. `added` is what the embedding adds
to the hand-made features that are best on the validation part.")]
pub(crate) struct Args {
    /// Model written by `lob train`, or the folder of its run
    model: PathBuf,
    /// A store, one of its files, or generated:KIND
    source: Source,
    /// A model of the same shape trained with another seed; may be given several times
    #[arg(long, value_name = "MODEL")]
    more: Vec<PathBuf>,
    #[command(flatten)]
    choice: ChoiceArgs,
    /// Evaluate on windows that trained the model too, and mark the result
    #[arg(long)]
    allow_trained_windows: bool,
    /// Only these tasks, by name [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    tasks: Vec<String>,
    /// Numbers of labels to fit on, beside all of them
    #[arg(long, value_delimiter = ',', value_name = "N,...", default_value = "50,200")]
    labels: Vec<usize>,
    /// Only these baselines: raw, whitened_pca, hand_statistics, random_encoder, past_value, majority
    /// [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    against: Vec<Features>,
    /// Untrained encoders, and drawings of few labels, at least 3
    #[arg(long, default_value_t = EvaluateConfig::default().seeds)]
    seeds: usize,
    /// Most training windows; of more, every second, third and so on is taken
    #[arg(long, default_value_t = EvaluateConfig::default().max_train)]
    max_train: usize,
    /// Most test windows, and validation windows, likewise
    #[arg(long, default_value_t = EvaluateConfig::default().max_test)]
    max_test: usize,
    /// Neighbours of the kNN vote
    #[arg(long, default_value_t = EvaluateConfig::default().neighbours)]
    neighbours: usize,
    /// auto, cpu or cuda
    #[arg(long, default_value = "auto")]
    device: Device,
    /// Folder for a Run document, its report and pictures: confusion, calibration, label budgets,
    /// added value, windows with their nearest neighbours
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    ensure!(args.seeds >= 3, "--seeds is {}, an interval needs at least 3", args.seeds);
    let file = ModelFile::load(&args.model)?;
    let mut models = vec![file.model.clone()];
    for path in &args.more {
        let other = ModelFile::load(path)?;
        ensure!(
            other.input == file.input && other.model.encoder == file.model.encoder,
            "`{}` is not of the shape of `{}`: train it with the same settings but the seed",
            shown(path.display()),
            shown(args.model.display())
        );
        check_same_training(&file, &other, path)?;
        models.push(other.model);
    }
    let purpose = Purpose::Evaluate { allow_trained: args.allow_trained_windows };
    let opened = open_for(&file, &args.source, &args.choice.choice(), purpose)?;
    let prepared = &opened.prepared;
    if !quiet {
        for note in opened.notes.iter().chain(&other_data(&file, prepared)) {
            eprintln!("{note}");
        }
    }
    let defaults = EvaluateConfig::default();
    let config = EvaluateConfig {
        seeds: args.seeds,
        budgets: args.labels.clone(),
        baselines: if args.against.is_empty() { defaults.baselines } else { args.against.clone() },
        max_train: args.max_train,
        max_test: args.max_test,
        neighbours: args.neighbours,
        components: defaults.components,
        device: args.device,
    };
    let tasks = wanted(&prepared.tasks, &args.tasks)?;
    let data = Evaluated { tasks: &tasks, ..prepared.evaluated() };
    let begun = Instant::now();
    let table = evaluate(&data, &models, &config)?;
    if let Some(out) = &args.out {
        let settings = [
            ("model", args.model.display().to_string().into()),
            ("models", models.len().into()),
            ("window", prepared.window.into()),
            ("data", prepared.data.map(|data| data.to_string()).into()),
        ];
        let beside = report::Beside {
            settings: settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            notes: opened.notes.clone(),
            gallery: gallery(prepared, &models[0], (4, 4), args.device)?,
            elapsed_s: begun.elapsed().as_secs_f64(),
        };
        report::write(&table, beside, out)?;
    }
    if args.json {
        output::print_json(&serde_json::json!({
            "table": table,
            "findings": table.findings(),
            "notes": opened.notes,
            "split": opened.split(),
            "data": prepared.data,
            "model_data": file.data,
        }))?;
    } else {
        table::print(&table)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The tasks of these names; all of them for none.
fn wanted(tasks: &[Task], names: &[String]) -> Result<Vec<Task>> {
    ensure!(
        !tasks.is_empty(),
        "no task has two classes in every part of the split\nhint: use a longer recording or a \
         shorter window"
    );
    if names.is_empty() {
        return Ok(tasks.to_vec());
    }
    let of = |name: &String| {
        let found = tasks.iter().find(|task| task.name == *name).cloned();
        found.with_context(|| {
            let all: Vec<_> = tasks.iter().map(|task| task.name.as_str()).collect();
            format!("there is no task `{}`, there are {}", shown(name), all.join(", "))
        })
    };
    names.iter().map(of).collect()
}
