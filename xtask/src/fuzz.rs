//! `cargo xtask fuzz`: the targets of `fuzz/` for a bounded time each.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::process;

const DEFAULT_SECONDS: &str = "60";
/// Memory at which a run counts as a finding, the sanitizer's own included.
const RSS_LIMIT_MB: u32 = 2048;
/// Seconds for one input.
const INPUT_TIMEOUT_S: u32 = 20;
const USAGE: &str = "usage: cargo xtask fuzz [TARGET...] [--seconds N]";

/// Runs the targets named, or all of them, for `--seconds N` each. Findings of all are told at the
/// end: one does not keep the others from running.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let (mut names, mut seconds) = (Vec::new(), DEFAULT_SECONDS.to_owned());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--seconds" {
            seconds.clone_from(args.next().context(USAGE)?);
            ensure!(seconds.parse::<u32>().is_ok_and(|n| n > 0), "{USAGE}");
        } else if arg.starts_with('-') {
            bail!("{USAGE}");
        } else {
            names.push(arg.clone());
        }
    }
    let folder = process::root().join("fuzz");
    let targets = targets(&folder, names)?;
    let probe = process::cargo()
        .args(["fuzz", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if !probe.success() {
        bail!(
            "`cargo fuzz` is not installed\nhint: cargo install cargo-fuzz --locked; it needs a nightly toolchain"
        );
    }
    let mut failed = Vec::new();
    for target in &targets {
        println!("fuzzing {target} for {seconds} s");
        if !fuzz(&folder, target, &seconds)? {
            failed.push(target.as_str());
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for target in failed {
        eprintln!("error: `{target}` found a failing input; see fuzz/artifacts/{target}");
    }
    Ok(ExitCode::from(1))
}

/// The targets of these names; all there are if there are none.
fn targets(folder: &Path, names: Vec<String>) -> Result<Vec<String>> {
    let sources = folder.join("fuzz_targets");
    let mut all = Vec::new();
    for entry in
        std::fs::read_dir(&sources).with_context(|| format!("list `{}`", sources.display()))?
    {
        all.extend(entry?.path().file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    all.sort();
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        bail!("no fuzz target `{unknown}`\nhint: one of {}", all.join(", "));
    }
    Ok(if names.is_empty() { all } else { names })
}

/// Runs one target on its corpus and the seeds; whether it found nothing.
fn fuzz(folder: &Path, target: &str, seconds: &str) -> Result<bool> {
    let corpus = folder.join("corpus").join(target);
    std::fs::create_dir_all(&corpus).with_context(|| format!("make `{}`", corpus.display()))?;
    // The toolchain of the workspace is stable; sanitizers need nightly.
    let mut command = Command::new("cargo");
    command.current_dir(process::root()).args(["+nightly", "fuzz", "run", target]).arg(&corpus);
    let seeds = folder.join("seeds").join(target);
    if seeds.exists() {
        command.arg(&seeds);
    }
    if target == "record_stream" {
        command.arg(process::root().join("fixtures"));
    }
    command
        .arg("--")
        .arg(format!("-rss_limit_mb={RSS_LIMIT_MB}"))
        .arg(format!("-timeout={INPUT_TIMEOUT_S}"))
        .arg(format!("-max_total_time={seconds}"));
    Ok(process::status(&mut command)?.success())
}
