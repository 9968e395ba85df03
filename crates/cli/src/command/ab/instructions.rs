//! Instructions counted by valgrind's callgrind: slow, and nearly the same every time.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use lob_metrics::stats::PairedConfig;
use lob_metrics::{
    AbMetric, AbResult, AbSamples, Direction, INSTRUCTIONS_REPEAT, Unit, judge_metrics, shown,
};

/// Counts both commands once and holds the counts against each other.
pub(super) fn compare(baseline: &str, candidate: &str) -> Result<AbResult> {
    let name = "instructions";
    let metric = AbMetric {
        name: name.to_owned(),
        unit: Unit::Count,
        direction: Direction::LowerIsBetter,
        exact: Some(INSTRUCTIONS_REPEAT),
    };
    let pair = (count(baseline)?, count(candidate)?);
    let samples = AbSamples { metric, blocks: vec![vec![pair]], again: Vec::new() };
    let judged = judge_metrics(&[samples], &PairedConfig::default()).pop();
    judged.context("a command executed no instruction")
}

fn count(command: &str) -> Result<f64> {
    let folder = std::env::temp_dir().join(format!("lob-ab-count-{}", std::process::id()));
    // Removed at the end: not one that somebody else has made.
    std::fs::create_dir(&folder)
        .with_context(|| format!("cannot make `{}`", shown(folder.display())))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--trace-children=yes", "--callgrind-out-file=/dev/null"])
        .args(["sh", "-c", command])
        .env("LOB_AB_OUT", &folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .context("cannot start `valgrind`\nhint: --instructions needs it installed")?;
    // In the system's temporary folder: what cannot be removed there does not matter here.
    let _ = std::fs::remove_dir_all(&folder);
    if !matches!(output.status.code(), Some(0 | 1)) {
        bail!("`{command}` failed under valgrind: {}", output.status);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let total = collected(&said);
    if total <= 0.0 {
        bail!("valgrind counted nothing for `{command}`");
    }
    Ok(total)
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
