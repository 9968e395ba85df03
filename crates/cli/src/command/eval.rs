//! `lob eval`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use lob_contrastive::{
    Device, EvaluateConfig, EvaluationTable, Features, Method, ModelFile, evaluate,
};
use lob_metrics::shown;

use super::windows::{Source, open_for, other_data};
use crate::output;

/// Hold a model's features against raw windows, PCA, hand statistics and an untrained encoder
///
/// Classes are those of a time after the training windows, with an embargo between. Scores are
/// balanced accuracies with 95 % intervals over seeds. A model that loses is said to lose, and no
/// score here is a forecast of prices.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob eval runs/a/model.safetensors store
  lob eval a.safetensors store --more b.safetensors --more c.safetensors --json

With one model the intervals hold the sampling of windows alone; give --more models trained with
other seeds for those of training.")]
pub(crate) struct Args {
    /// Model written by `lob train`, or the folder of its run
    model: PathBuf,
    /// A store, one of its files, or generated:KIND
    source: Source,
    /// A model of the same shape trained with another seed; may be given several times
    #[arg(long, value_name = "MODEL")]
    more: Vec<PathBuf>,
    /// Samples of windows, each with an untrained encoder of its own, at least 3
    #[arg(long, default_value_t = 5)]
    seeds: usize,
    /// Most training windows of a seed
    #[arg(long, default_value_t = EvaluateConfig::default().max_train)]
    max_train: usize,
    /// Most test windows of a seed
    #[arg(long, default_value_t = EvaluateConfig::default().max_test)]
    max_test: usize,
    /// Neighbours of the kNN vote
    #[arg(long, default_value_t = EvaluateConfig::default().neighbours)]
    neighbours: usize,
    /// auto, cpu or cuda
    #[arg(long, default_value = "auto")]
    device: Device,
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
        models.push(other.model);
    }
    let prepared = open_for(&file, &args.source)?;
    if !quiet {
        for note in prepared.notes.iter().chain(&other_data(&file, &prepared)) {
            eprintln!("{note}");
        }
    }
    let config = EvaluateConfig {
        seeds: args.seeds,
        max_train: args.max_train,
        max_test: args.max_test,
        neighbours: args.neighbours,
        device: args.device,
        ..EvaluateConfig::default()
    };
    let table = evaluate(&*prepared.whole, &prepared.split, &prepared.tasks, &models, &config)?;
    if args.json {
        output::print_json(&serde_json::json!({
            "table": table,
            "findings": table.findings(),
            "notes": prepared.notes,
            "data": prepared.data,
            "model_data": file.data,
        }))?;
    } else {
        print(&table)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(table: &EvaluationTable) -> Result<()> {
    for (task, description) in &table.tasks {
        output::print_line(&format!("\n{task}: {description}"))?;
        for method in Method::ALL {
            for features in Features::ALL {
                let Some(row) = table.row(task, features, method) else { continue };
                let interval = match row.ci95 {
                    Some([low, high]) => format!("[{low:.3}, {high:.3}]"),
                    None => "no interval".to_owned(),
                };
                output::print_line(&format!(
                    "  {:<13} {:<16} {:.3} {interval}  chance {:.3}",
                    method.name(),
                    features.name(),
                    row.mean,
                    row.chance
                ))?;
            }
        }
    }
    output::print_line("")?;
    for finding in table.findings() {
        output::print_line(&finding)?;
    }
    Ok(())
}
