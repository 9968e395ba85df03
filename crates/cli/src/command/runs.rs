//! `lob runs`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use lob_metrics::{Unit, shown};
use lob_runs::{TrainingRun, differing_settings, find_training_runs};
use serde_json::{Value, json};

use crate::output;

/// List training runs and compare their settings
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob runs runs
  lob runs runs/a runs/b --json

A run is a folder that `lob train --checkpoint` wrote: settings.toml, metrics.jsonl, training.json and
the model. Folders are looked through for runs. A run without training.json is under way, or was
killed. Losses of runs that differ in loss, batch or temperature say nothing about each other.")]
pub(crate) struct Args {
    /// Folders of runs, or above runs
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let runs = find_training_runs(&args.folders)?;
    let differing = differing_settings(&runs);
    if args.json {
        output::print_json(&json!({ "runs": runs, "differing": differing }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let header = [
        "folder",
        "encoder",
        "loss",
        "steps",
        "seed",
        "data",
        "train",
        "validation",
        "best (step)",
        "rank",
        "ended",
        "time",
    ];
    let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
    print_table(&header.map(str::to_owned), &rows)?;
    for run in runs.iter().filter(|run| run.collapse.is_some()) {
        let why = run.collapse.as_deref().unwrap_or_default();
        output::print_line(&format!(
            "COLLAPSE in {}: {}",
            shown(run.folder.display()),
            shown(why)
        ))?;
    }
    if !differing.is_empty() {
        output::print_line("\nsettings that differ, in the order of the runs:")?;
    }
    for (name, values) in &differing {
        let values: Vec<String> = values.iter().map(setting).collect();
        output::print_line(&format!("  {}: {}", shown(name), shown(values.join(" | "))))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn setting(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn row(run: &TrainingRun) -> Vec<String> {
    let text = |of: &Option<String>| of.clone().unwrap_or_else(|| "-".to_owned());
    let figure = |of: Option<f64>| of.map_or_else(|| "-".to_owned(), |x| format!("{x:.3}"));
    let validation = match run.validation_loss {
        None if run.ended.is_some() => "not measured".to_owned(),
        loss => figure(loss),
    };
    let best = run.best_validation.map(|(step, loss)| format!("{loss:.3} ({step})"));
    vec![
        run.folder.display().to_string(),
        text(&run.encoder),
        text(&run.loss),
        run.steps.to_string(),
        run.seed.map_or_else(|| "-".to_owned(), |seed| seed.to_string()),
        run.data.as_ref().map_or_else(|| "-".to_owned(), |data| data.chars().take(8).collect()),
        figure(run.train_loss),
        validation,
        best.unwrap_or_else(|| "-".to_owned()),
        run.effective_rank.map_or_else(|| "-".to_owned(), |rank| format!("{rank:.1}")),
        run.ended.clone().unwrap_or_else(|| "not ended".to_owned()),
        run.elapsed_s.map_or_else(|| "-".to_owned(), |s| Unit::Seconds.format(s)),
    ]
}

/// Columns as wide as their widest cell.
fn print_table(header: &[String], rows: &[Vec<String>]) -> Result<()> {
    let shown_row = |row: &[String]| -> Vec<String> {
        row.iter().map(|cell| shown(cell).to_string()).collect()
    };
    let all: Vec<Vec<String>> =
        std::iter::once(shown_row(header)).chain(rows.iter().map(|row| shown_row(row))).collect();
    let width = |at: usize| all.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    for row in &all {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        output::print_line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
