//! Instructions counted by valgrind's callgrind: slow, and nearly the same every time.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail, ensure};
use lob_metrics::stats::PairedConfig;
use lob_metrics::{
    AbMetric, AbResult, AbSamples, Direction, INSTRUCTIONS_REPEAT, Unit, judge_metrics, shown,
};

use lob_profiler::CommandCost;

use super::launch::open_input;
use super::sitting::Folder;
use super::{Args, SideName};
use crate::interrupt;

/// Counts both commands once and holds the counts against each other.
pub(super) fn compare(args: &Args) -> Result<AbResult> {
    let name = "instructions";
    let metric = AbMetric {
        name: name.to_owned(),
        unit: Unit::Count,
        direction: Direction::LowerIsBetter,
        exact: Some(INSTRUCTIONS_REPEAT),
        on_wall_clock: false,
    };
    let pair = (count(args, SideName::Baseline)?, count(args, SideName::Candidate)?);
    let samples = AbSamples { metric, blocks: vec![vec![pair]], again: Vec::new() };
    let judged = judge_metrics(&[samples], &PairedConfig::default()).pop();
    judged.context("a command executed no instruction")
}

fn count(args: &Args, side: SideName) -> Result<f64> {
    let line = args.command(side);
    let folder = Folder::new("count")?;
    let (out, logs) = (folder.path().join("out"), folder.path().join("logs"));
    for made in [&out, &logs] {
        std::fs::create_dir(made)
            .with_context(|| format!("cannot make `{}`", shown(made.display())))?;
    }
    if let Some(line) = args.prepare(side) {
        let mut prepare = Command::new("sh");
        prepare.args(["-c", line]).stdin(Stdio::null());
        let status = run(prepare, &out)?;
        ensure!(status.success(), "`--prepare` of the {side} failed: {status}");
    }
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--trace-children=yes", "--callgrind-out-file=/dev/null"])
        .arg(format!("--log-file={}/%p", logs.display()))
        .args(["sh", "-c", line]);
    command.stdin(match &args.input {
        Some(path) => Stdio::from(open_input(path)?),
        None => Stdio::null(),
    });
    let status = run(command, &out).context("hint: --instructions needs valgrind installed")?;
    if !matches!(status.code(), Some(0 | 1)) && !args.ignore_failure {
        bail!("the {side} failed under valgrind: `{}` ended with {status}", shown(line));
    }
    let mut total = 0.0;
    for log in std::fs::read_dir(&logs)? {
        total += collected(&std::fs::read_to_string(log?.path())?);
    }
    if total <= 0.0 {
        bail!("valgrind counted nothing for `{}`", shown(line));
    }
    Ok(total)
}

fn run(mut command: Command, out: &Path) -> Result<ExitStatus> {
    command.env("LOB_AB_OUT", out).stdout(Stdio::null()).stderr(Stdio::null());
    let cost = CommandCost::measure(command, interrupt::requested)?;
    ensure!(!interrupt::requested(), "interrupted");
    Ok(cost.status)
}

/// The sum over all processes of lines such as `==123== Collected : 4567`.
fn collected(said: &str) -> f64 {
    said.lines()
        .filter_map(|line| line.split_once("Collected :"))
        .filter_map(|(_, number)| number.trim().parse::<f64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_all_processes_add_up() {
        let said = "==1== Events    : Ir\n==1== Collected : 120\n==1==\n==2== Collected : 30\n";
        assert!((collected(said) - 150.0).abs() < 1e-9);
        assert!(collected("nothing").abs() < 1e-9);
    }
}
