//! `lob compare`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use lob_metrics::{
    Change, ChangeVerdict, CompareConfig, MetricsError, Run, Status, compare, machine_slowdown,
    shown,
};
use lob_runs::read_run;

use super::bench::append_summary;
use super::difference;
use crate::output;

/// The tolerances of the seed documents; both are told, `--threshold` decides.
const RULES: [f64; 2] = [0.10, 0.20];

/// Compare two Run documents, metric by metric (advisory)
///
/// Runs of different hours see a different machine: a change here is a hint, not a proof. Every
/// metric is judged in its own direction. Counts that repeat (allocations, instructions) are held to
/// the last one, peak memory to 5 %. Other single readings must also differ by more than they stray
/// by chance: 1 MiB, 0.01 of a share, 20 ms of a process's time, and of counts the larger of 4 and
/// twice (in a profile: six times) the root of both together. A profile's wall time has a verdict only
/// where the program hardly waited for a core, its sampled peaks only after ten samples. Times and rates must have changed in units of the reference
/// workload, too; on a machine that is 1.5 times faster or slower by it they have no verdict, and
/// runs over different inputs have none at all.
///
/// Shown is what changed, the largest first, and the verdict as the last line.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob compare results/base/run.json results/latest/run.json --threshold 0.2
  lob compare results/baseline.json results/latest/run.json --promote

A baseline changes by --promote only: it copies CURRENT over BASE after the comparison.
Exit codes: 0 nothing worse or promoted, 1 a regression beyond the threshold or a metric lost by a
scenario that failed, 2 no verdict: not comparable, or the machine's speed has changed too much")]
pub(crate) struct Args {
    /// Run document to compare with
    base: PathBuf,
    /// Run document to judge
    current: PathBuf,
    /// Relative change that counts
    #[arg(long, default_value_t = 0.10)]
    threshold: f64,
    /// Compare runs of different machines, speeds or inputs too; promote a run that is not fit to be a baseline
    #[arg(long)]
    force: bool,
    /// Show also what has not changed
    #[arg(long)]
    all: bool,
    /// Make CURRENT the new baseline: it is copied to BASE, which may not exist yet
    #[arg(long)]
    promote: bool,
    /// Also say which functions took the extra CPU time: of two Runs of `lob profile`, whose stacks
    /// lie beside them
    #[arg(long)]
    profiles: bool,
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
    let changes = match compare(&base, &current, &config) {
        Ok(changes) => changes,
        Err(error) => return no_verdict(args, error),
    };
    let verdict = Verdict::of(&base, &current, &changes, args.force);
    if args.profiles {
        let (base, current) = (difference::read(&args.base)?, difference::read(&args.current)?);
        difference::show(base, current, None, !args.json)?;
    }
    if args.json {
        let shown: Vec<serde_json::Value> = changes.iter().map(document).collect();
        output::print_json(&serde_json::json!({
            "advisory": true,
            "verdict": verdict.word(),
            "machine_slowdown": verdict.slowdown,
            "changes": shown,
        }))?;
    } else {
        print(args, &base, &current, &changes, &verdict)?;
    }
    if let Some(path) = &args.summary {
        append_summary(path, &current, Some(&base))?;
    }
    if args.promote {
        return promote(args, &current);
    }
    Ok(ExitCode::from(verdict.code()))
}

/// Runs that cannot be held against each other: said on standard output, where the verdict is
/// looked for, and as the error that it is.
fn no_verdict(args: &Args, error: MetricsError) -> Result<ExitCode> {
    if matches!(error, MetricsError::DifferentHosts { .. } | MetricsError::DifferentInputs { .. }) {
        if args.json {
            let reason = error.to_string();
            output::print_json(&serde_json::json!({
                "advisory": true, "verdict": "no verdict", "reason": reason, "changes": [],
            }))?;
        } else {
            output::print_line(&output::in_lines(&format!("no verdict: {error}")))?;
        }
    }
    Err(error.into())
}

/// What all changes say together.
struct Verdict {
    worse: bool,
    /// How many times slower the machine was, where that takes the times their verdict.
    apart: Option<f64>,
    slowdown: Option<f64>,
}

impl Verdict {
    fn of(base: &Run, current: &Run, changes: &[Change], force: bool) -> Self {
        let failed = |id: &str| {
            let ended = current.scenarios.iter().find(|s| s.id == id);
            ended.is_some_and(|s| matches!(s.status, Status::Failed | Status::TimedOut))
        };
        let is_worse = |c: &Change| match c.verdict {
            ChangeVerdict::Regression => true,
            ChangeVerdict::Lost => failed(&c.scenario),
            _ => false,
        };
        let slowdown = machine_slowdown(base, current);
        let has_none = |c: &Change| {
            c.verdict == ChangeVerdict::NotComparable && c.unit.is_of_time() && c.relative.is_some()
        };
        let apart = slowdown.filter(|_| !force && changes.iter().any(has_none));
        Self { worse: changes.iter().any(is_worse), apart, slowdown }
    }

    fn word(&self) -> &'static str {
        match self {
            Self { worse: true, .. } => "regression",
            Self { apart: Some(_), .. } => "no verdict",
            _ => "no regression",
        }
    }

    fn code(&self) -> u8 {
        match self {
            Self { worse: true, .. } => 1,
            Self { apart: Some(_), .. } => 2,
            _ => 0,
        }
    }
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

/// Inputs and machine first, then what changed, then the verdict.
fn print(
    args: &Args,
    base: &Run,
    current: &Run,
    changes: &[Change],
    verdict: &Verdict,
) -> Result<()> {
    if base.host.fingerprint != current.host.fingerprint {
        eprintln!("warning: the runs come from different machines, speeds do not compare");
    }
    if let Some(slowdown) = verdict.apart {
        output::print_line(&format!(
            "this machine was {} by the reference workload: no verdict on times and rates",
            speed(slowdown)
        ))?;
    }
    let is_shown = |c: &&Change| match c.verdict {
        ChangeVerdict::NotComparable => args.all && c.base.or(c.current).is_some(),
        ChangeVerdict::Unchanged => args.all,
        _ => true,
    };
    let mut shown_ones: Vec<&Change> = changes.iter().filter(is_shown).collect();
    shown_ones
        .sort_by(|a, b| order(a.verdict).cmp(&order(b.verdict)).then(size(b).total_cmp(&size(a))));
    for change in shown_ones {
        output::print_line(&shown(line(change)).to_string())?;
    }
    output::print_line(&summary(changes, verdict))
}

/// The last line.
fn summary(changes: &[Change], verdict: &Verdict) -> String {
    let count = |verdict| changes.iter().filter(|c| c.verdict == verdict).count();
    let beyond = |rule: f64| changes.iter().filter(|c| broken_rules(c).contains(&rule)).count();
    let other = count(ChangeVerdict::NotComparable);
    let other = if other > 0 { format!(", {other} not compared") } else { String::new() };
    format!(
        "{}: {} worse ({} beyond 10 %, {} beyond 20 %), {} better, {} lost, {} new, {} changed, {} unchanged{other}; \
         advisory: `lob ab` decides",
        verdict.word(),
        count(ChangeVerdict::Regression),
        beyond(RULES[0]),
        beyond(RULES[1]),
        count(ChangeVerdict::Improvement),
        count(ChangeVerdict::Lost),
        count(ChangeVerdict::New),
        count(ChangeVerdict::Changed),
        count(ChangeVerdict::Unchanged)
    )
}

/// `3.6 times slower`, `1.6 times faster`.
fn speed(slowdown: f64) -> String {
    if slowdown >= 1.0 {
        format!("{slowdown:.1} times slower")
    } else {
        format!("{:.1} times faster", 1.0 / slowdown)
    }
}

/// What is read first; of what is no change the largest.
fn order(verdict: ChangeVerdict) -> u8 {
    verdict.rank().min(ChangeVerdict::Unchanged.rank())
}

/// How large a change is, up or down alike; from nothing is beyond every size.
fn size(change: &Change) -> f64 {
    change.relative.map_or(f64::INFINITY, |r| (1.0 + r).abs().max(1e-12).ln().abs())
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
