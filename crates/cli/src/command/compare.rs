//! `lob compare`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use lob_metrics::{Change, ChangeVerdict, CompareConfig, Run, Status, compare, shown};
use lob_runs::read_run;

use super::bench::append_summary;
use crate::output;

/// The tolerances of the seed documents; both are told, `--threshold` decides.
const RULES: [f64; 2] = [0.10, 0.20];

/// Compare two Run documents, metric by metric (advisory)
///
/// Runs of different hours see a different machine: a change here is a hint, not a proof. Every
/// metric is judged in its own direction. Counts that repeat (allocations, instructions) are held to
/// the last one, peak memory to 5 %.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob compare results/base/run.json results/latest/run.json --threshold 0.2
  lob compare results/baseline.json results/latest/run.json --promote

A baseline changes by --promote only: it copies CURRENT over BASE after the comparison.
Exit codes: 0 nothing worse or promoted, 1 a regression beyond the threshold or a metric lost by a
scenario that failed, 2 not comparable")]
pub(crate) struct Args {
    /// Run document to compare with
    base: PathBuf,
    /// Run document to judge
    current: PathBuf,
    /// Relative change that counts
    #[arg(long, default_value_t = 0.10)]
    threshold: f64,
    /// Compare runs of different machines too; promote a run that is not fit to be a baseline
    #[arg(long)]
    force: bool,
    /// Make CURRENT the new baseline: it is copied to BASE, which may not exist yet
    #[arg(long)]
    promote: bool,
    /// Append a Markdown summary for a pull request to this file
    #[arg(long, value_name = "FILE.md")]
    summary: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let current = read_run(&args.current)?;
    if args.promote && !args.base.exists() {
        return promote(args, &current);
    }
    let base = read_run(&args.base)?;
    let config = CompareConfig { threshold: args.threshold, force: args.force };
    let changes = compare(&base, &current, &config)?;
    if args.json {
        let shown: Vec<serde_json::Value> = changes.iter().map(document).collect();
        output::print_json(&serde_json::json!({ "advisory": true, "changes": shown }))?;
    } else {
        print(&base, &current, &changes)?;
    }
    if let Some(path) = &args.summary {
        append_summary(path, &current, Some(&base))?;
    }
    if args.promote {
        return promote(args, &current);
    }
    let failed = |id: &str| {
        let ended = current.scenarios.iter().find(|s| s.id == id);
        ended.is_some_and(|s| matches!(s.status, Status::Failed | Status::TimedOut))
    };
    let is_worse = |c: &Change| match c.verdict {
        ChangeVerdict::Regression => true,
        ChangeVerdict::Lost => failed(&c.scenario),
        _ => false,
    };
    Ok(ExitCode::from(u8::from(changes.iter().any(is_worse))))
}

/// Copies the current document over the baseline, if it is fit to be one.
fn promote(args: &Args, current: &Run) -> Result<ExitCode> {
    if let Some(why) = unfit(current).filter(|_| !args.force) {
        bail!(
            "`{}` is no baseline: {why}\nhint: --force promotes it all the same",
            shown(args.current.display())
        );
    }
    let bytes = current.to_json()?.into_bytes();
    output::write_file(&args.base, &bytes)?;
    eprintln!("promoted: `{}` is now run {}", shown(args.base.display()), shown(&current.id));
    Ok(ExitCode::SUCCESS)
}

/// Why later runs should not be held against this one.
fn unfit(run: &Run) -> Option<&'static str> {
    let ended = |status| run.scenarios.iter().any(|s| s.status == status);
    if run.settings.get("interrupted").is_some_and(|v| v == true) {
        Some("it was interrupted")
    } else if ended(Status::Failed) || ended(Status::TimedOut) {
        Some("a scenario failed")
    } else if run.tool.features.iter().any(|f| f == "debug") {
        Some("it was built without optimisation")
    } else {
        None
    }
}

/// Which of the rules a change breaks.
fn broken_rules(change: &Change) -> Vec<f64> {
    // From zero there is no relative change: any growth breaks every rule.
    let beyond = |rule: &f64| change.relative.is_none_or(|r| r.abs() > *rule);
    let is_worse = change.verdict == ChangeVerdict::Regression;
    RULES.into_iter().filter(|rule| is_worse && beyond(rule)).collect()
}

fn document(change: &Change) -> serde_json::Value {
    let mut value = serde_json::to_value(change).unwrap_or_default();
    value["broken_rules"] = broken_rules(change).into();
    value
}

fn print(base: &Run, current: &Run, changes: &[Change]) -> Result<()> {
    if base.host.fingerprint != current.host.fingerprint {
        eprintln!("warning: the runs come from different machines, speeds do not compare");
    }
    for change in changes.iter().filter(|c| c.verdict != ChangeVerdict::NotComparable) {
        output::print_line(&shown(line(change)).to_string())?;
    }
    let count = |verdict| changes.iter().filter(|c| c.verdict == verdict).count();
    let beyond = |rule: f64| changes.iter().filter(|c| broken_rules(c).contains(&rule)).count();
    eprintln!(
        "{} worse ({} beyond 10 %, {} beyond 20 %), {} better, {} lost, {} new; advisory: `lob ab` decides",
        count(ChangeVerdict::Regression),
        beyond(RULES[0]),
        beyond(RULES[1]),
        count(ChangeVerdict::Improvement),
        count(ChangeVerdict::Lost),
        count(ChangeVerdict::New)
    );
    Ok(())
}

fn line(change: &Change) -> String {
    let shown = |value: Option<f64>| value.map_or("-".to_owned(), |v| change.unit.format(v));
    let relative = change.relative.map_or(String::new(), |r| format!("{:+.1} %", r * 100.0));
    let rules: Vec<String> =
        broken_rules(change).iter().map(|rule| format!("> {:.0} %", rule * 100.0)).collect();
    format!(
        "{:<12}{:<22}{:<38}{:>16} -> {:<16}{relative:>10}  {}",
        format!("{:?}", change.verdict).to_lowercase(),
        change.scenario,
        change.metric,
        shown(change.base),
        shown(change.current),
        rules.last().map_or("", String::as_str),
    )
    .trim_end()
    .to_owned()
}
