//! `lob compare`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use lob_bench::read_run;
use lob_metrics::{Change, ChangeVerdict, CompareConfig, compare};

use crate::output;

/// Compare two Run documents, metric by metric (advisory)
///
/// Runs of different hours see a different machine: a change here is a hint, not a proof.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  lob compare results/base/run.json results/latest/run.json --threshold 0.2

Exit codes: 0 nothing worse, 1 a regression beyond the threshold, 2 not comparable")]
pub(crate) struct Args {
    /// Run document to compare with
    base: PathBuf,
    /// Run document to judge
    current: PathBuf,
    /// Relative change that counts
    #[arg(long, default_value_t = 0.10)]
    threshold: f64,
    /// Compare runs of different machines too
    #[arg(long)]
    force: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let (base, current) = (read_run(&args.base)?, read_run(&args.current)?);
    let config = CompareConfig { threshold: args.threshold, force: args.force };
    let changes = compare(&base, &current, &config)?;
    if args.json {
        output::print_json(&serde_json::json!({ "advisory": true, "changes": changes }))?;
    } else {
        for change in changes.iter().filter(|c| c.verdict != ChangeVerdict::NotComparable) {
            output::print_line(&line(change))?;
        }
    }
    let is_worse = changes.iter().any(|c| c.verdict == ChangeVerdict::Regression);
    Ok(ExitCode::from(u8::from(is_worse)))
}

fn line(change: &Change) -> String {
    let shown = |value: Option<f64>| value.map_or("-".to_owned(), |v| change.unit.format(v));
    let relative = change.relative.map_or(String::new(), |r| format!("{:+.1} %", r * 100.0));
    format!(
        "{:<12}{:<38}{:>16} -> {:<16}{relative}",
        format!("{:?}", change.verdict).to_lowercase(),
        change.metric,
        shown(change.base),
        shown(change.current),
    )
}
