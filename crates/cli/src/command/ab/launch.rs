//! One run of one command and what it cost.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lob_metrics::{AbMetric, Direction, PEAK_RSS_REPEATS, Unit, shown};

use crate::interrupt;

/// Watching from outside costs time; only the kernel's own accounts are wanted here.
const NO_SAMPLING: Duration = Duration::from_secs(3600);

/// What the kernel tells of every command, the name it goes by in a profile, and how far it repeats.
const ACCOUNTS: [(&str, &str, Unit, Option<f64>); 3] = [
    ("wall_time", "command.wall_time", Unit::Seconds, None),
    ("cpu_time", "command.cpu_time", Unit::Seconds, None),
    ("peak_rss", "command.peak_process_rss", Unit::Bytes, Some(PEAK_RSS_REPEATS)),
];

/// One side of the comparison.
pub(super) struct Side {
    command: String,
    /// Emptied before every launch.
    folder: PathBuf,
}

/// One run: its figures, and the machine a Run it left was made on.
#[derive(Debug, Default)]
pub(super) struct Launch {
    pub(super) figures: Vec<(AbMetric, f64)>,
    pub(super) fingerprint: Option<String>,
}

impl Side {
    pub(super) fn new(command: &str, folder: PathBuf) -> Self {
        Self { command: command.to_owned(), folder }
    }

    /// Runs the command once; one that fails ends everything.
    pub(super) fn launch(&self) -> Result<Launch> {
        if interrupt::requested() {
            bail!("interrupted");
        }
        clear(&self.folder)?;
        let mut command = Command::new("sh");
        command.args(["-c", &self.command]).env("LOB_AB_OUT", &self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let profile = lob_profiler::profile_command(command, NO_SAMPLING)?;
        let run = self.folder.join("run.json");
        let left_a_run = run.is_file();
        // A suite that misses a target says 1 and has measured all the same.
        let has_missed = left_a_run && profile.status.code() == Some(1);
        if !profile.status.success() && !has_missed {
            if interrupt::requested() {
                bail!("interrupted");
            }
            bail!(
                "`{}` failed: {}\nhint: run it by hand to see what it says",
                self.command,
                profile.status
            );
        }
        let mut launch = Launch::default();
        for (name, account, unit, exact) in ACCOUNTS {
            let found = profile.scenario.measurements.iter().find(|m| m.metric == account);
            if let Some(value) = found.and_then(|m| m.value()) {
                let direction = Direction::LowerIsBetter;
                let metric = AbMetric { name: name.to_owned(), unit, direction, exact };
                launch.figures.push((metric, value));
            }
        }
        if left_a_run {
            launch.add_run(&run)?;
        }
        Ok(launch)
    }
}

impl Launch {
    /// Every metric of a Run that has a better side.
    fn add_run(&mut self, path: &Path) -> Result<()> {
        let run = lob_runs::read_run(path)?;
        for (_, m) in run.measurements() {
            let Some(value) = m.value().filter(|v| v.is_finite()) else { continue };
            let is_new = self.figures.iter().all(|(known, _)| known.name != m.metric);
            if m.direction == Direction::Neutral || !is_new {
                continue;
            }
            let metric = AbMetric {
                name: m.metric.clone(),
                unit: m.unit,
                direction: m.direction,
                exact: m.repeats_within,
            };
            self.figures.push((metric, value));
        }
        self.fingerprint = Some(run.host.fingerprint);
        Ok(())
    }
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("cannot clear `{}`", shown(folder.display())))?;
    }
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make `{}`", shown(folder.display())))
}
