//! Launches with a profile, after those that were measured: which functions took the extra time.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use lob_metrics::shown;
use lob_profiler::stacks::StackTimes;
use lob_profiler::{CommandOptions, profile_command_with};

use super::{Args, SideName, launch};
use crate::interrupt;

/// The sides' CPU time by stack, of so many launches each, taken in turn.
pub(super) fn launches(args: &Args, count: u32) -> Result<[StackTimes; 2]> {
    let mut times = [StackTimes::default(), StackTimes::default()];
    for _ in 0..count {
        for (side, times) in [SideName::Baseline, SideName::Candidate].into_iter().zip(&mut times) {
            let launch = one(args, side)?;
            *times = std::mem::take(times).and(launch);
        }
    }
    Ok(times)
}

fn one(args: &Args, side: SideName) -> Result<StackTimes> {
    let folder = Folder::new()?;
    if let Some(line) = args.prepare(side) {
        let status = shell(line, &folder).status().context("cannot start `sh`")?;
        if !status.success() {
            bail!("`--prepare` of the {side} failed: `{}` ended with {status}", shown(line));
        }
    }
    let mut command = shell(args.command(side), &folder);
    if let Some(path) = &args.input {
        command.stdin(launch::open_input(path)?);
    }
    let mut options = CommandOptions::default();
    options.stop = Some(|| interrupt::requested().then_some(INTERRUPT));
    let found = profile_command_with(command, &options)?;
    if interrupt::requested() {
        bail!("interrupted");
    }
    let lines = found.lines.map_err(|missing| anyhow::anyhow!("{}", missing.reason))?;
    Ok(StackTimes::of(&lines))
}

/// `SIGINT`, as a terminal sends it.
const INTERRUPT: i32 = 2;

fn shell(line: &str, folder: &Folder) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]).env("LOB_AB_OUT", &folder.0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// An empty folder for a launch, gone after it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("lob-ab-profile-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make `{}`", shown(path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
