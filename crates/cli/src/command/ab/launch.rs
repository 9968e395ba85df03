//! One run of one command and what it cost.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lob_metrics::{AbMetric, Direction, PEAK_RSS_REPEATS, Role, Unit, shown};
use lob_profiler::CommandCost;

use super::stderr_tail::Tail;
use super::{Args, SideName};
use crate::interrupt;

/// What the kernel tells of every command, whether other programs move it, and how far it repeats.
const ACCOUNTS: [(&str, Unit, bool, Option<f64>); 3] = [
    ("wall_time", Unit::Seconds, true, None),
    ("cpu_time", Unit::Seconds, false, None),
    ("peak_rss", Unit::Bytes, false, Some(PEAK_RSS_REPEATS)),
];

/// One measured launch, for the tables that are exported.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) side: SideName,
    pub(super) wall_s: f64,
    pub(super) user_s: Option<f64>,
    pub(super) system_s: Option<f64>,
    /// `None` where a signal ended it.
    pub(super) exit_code: Option<i32>,
    pub(super) failed: bool,
}

/// The time a comparison may take, and what every launch of it left.
pub(super) struct Budget {
    started: Instant,
    time: Duration,
    /// Whether a launch was ended, or pairs were left out, because the time was over.
    pub(super) cut_short: Cell<bool>,
    pub(super) records: RefCell<Vec<Record>>,
}

impl Budget {
    pub(super) fn new(seconds: u64) -> Self {
        let (started, time) = (Instant::now(), Duration::from_secs(seconds));
        let records = RefCell::default();
        Self { started, time, cut_short: Cell::new(false), records }
    }

    /// No further pairs are begun.
    pub(super) fn is_spent(&self) -> bool {
        self.started.elapsed() >= self.time
    }

    /// The launch under way is ended too.
    fn is_overdrawn(&self) -> bool {
        self.started.elapsed() >= self.time * 2
    }
}

/// One side of the comparison.
pub(super) struct Side<'a> {
    name: SideName,
    args: &'a Args,
    budget: &'a Budget,
    /// Emptied before every launch.
    folder: PathBuf,
}

/// One run: its figures, and the machine a Run it left was made on.
#[derive(Debug, Default)]
pub(super) struct Launch {
    pub(super) figures: Vec<(AbMetric, f64)>,
    pub(super) fingerprint: Option<String>,
    pub(super) cpu_s: f64,
    record: Option<Record>,
}

impl<'a> Side<'a> {
    pub(super) fn new(name: SideName, args: &'a Args, budget: &'a Budget, folder: PathBuf) -> Self {
        Self { name, args, budget, folder }
    }

    fn command(&self) -> &str {
        self.args.command(self.name)
    }

    /// Runs the command once, after what prepares it; one that fails ends everything. `None` where
    /// it was ended because twice the budget was spent.
    pub(super) fn launch(&self) -> Result<Option<Launch>> {
        clear(&self.folder)?;
        if let Some(line) = self.args.prepare(self.name)
            && !self.help("--prepare", line, true)?
        {
            return Ok(None);
        }
        let stdin = match &self.args.input {
            Some(path) => Stdio::from(open_input(path)?),
            None => Stdio::null(),
        };
        let (cost, said) = self.run(self.command(), stdin, true)?;
        let run = self.folder.join("run.json");
        let left_a_run = run.is_file();
        if cost.ended_early {
            return Ok(None);
        }
        // A suite that misses a target says 1 and has measured all the same.
        let has_missed = left_a_run && cost.status.code() == Some(1);
        let failed = !cost.status.success() && !has_missed;
        if failed && !self.args.ignore_failure {
            bail!("{}", self.failure(cost.status, &said));
        }
        let mut launch = Launch::of(self.name, &cost, failed);
        if left_a_run {
            launch.add_run(&run)?;
        }
        Ok(Some(launch))
    }

    /// As [`Self::launch`], and on record.
    pub(super) fn measure(&self) -> Result<Option<Launch>> {
        let mut launch = self.launch()?;
        let record = launch.as_mut().and_then(|launch| launch.record.take());
        self.budget.records.borrow_mut().extend(record);
        Ok(launch)
    }

    /// Runs what comes before or after the launches; false where the time was over.
    pub(super) fn help(&self, flag: &str, line: &str, in_budget: bool) -> Result<bool> {
        let (cost, said) = self.run(line, Stdio::null(), in_budget)?;
        if cost.ended_early {
            return Ok(false);
        }
        if !cost.status.success() {
            bail!(
                "`{flag}` of the {} failed: `{}` ended with {}{said}",
                self.name,
                shown(line),
                cost.status
            );
        }
        Ok(true)
    }

    fn run(&self, line: &str, stdin: Stdio, in_budget: bool) -> Result<(CommandCost, String)> {
        if interrupt::requested() {
            bail!("interrupted");
        }
        let mut command = Command::new("sh");
        command.args(["-c", line]).env("LOB_AB_OUT", &self.folder).stdin(stdin);
        let tail = if self.args.show_output {
            // Standard output is for the verdict.
            command.stdout(std::io::stderr()).stderr(std::io::stderr());
            None
        } else {
            let (tail, writer) = Tail::new().context("cannot make a pipe")?;
            command.stdout(Stdio::null()).stderr(writer);
            Some(tail)
        };
        let is_over = || in_budget && self.budget.is_overdrawn();
        let cost = CommandCost::measure(command, || interrupt::requested() || is_over())?;
        if interrupt::requested() {
            bail!("interrupted");
        }
        if cost.ended_early {
            self.budget.cut_short.set(true);
        }
        Ok((cost, tail.map_or_else(String::new, Tail::text)))
    }

    /// What went wrong, what the command said about it, and what may help.
    fn failure(&self, status: ExitStatus, said: &str) -> String {
        let mut text = format!(
            "the {} failed: `{}` ended with {status}{said}",
            self.name,
            shown(self.command())
        );
        if self.args.input.is_none() {
            text.push_str("\nhint: its standard input is empty; `--input FILE` gives it one");
        }
        let hint = if self.args.show_output { "" } else { "`--show-output` shows all it says; " };
        text.push_str(&format!("\nhint: {hint}`--ignore-failure` compares all the same"));
        text
    }

    /// Why there is no verdict when the time is over before enough pairs are there.
    pub(super) fn out_of_time(&self, pairs: usize) -> anyhow::Error {
        anyhow::anyhow!(
            "twice `--budget-s {}` was spent after {pairs} of the 8 pairs that a verdict needs; \
             the {} was ended\nhint: a larger --budget-s, or a command that does less",
            self.args.budget_s,
            self.name
        )
    }
}

impl Launch {
    fn of(side: SideName, cost: &CommandCost, failed: bool) -> Self {
        let (user, system) = (cost.user_s.as_ref().ok(), cost.system_s.as_ref().ok());
        let record = Record {
            side,
            wall_s: cost.wall_s,
            user_s: user.copied(),
            system_s: system.copied(),
            exit_code: cost.status.code(),
            failed,
        };
        let cpu_s = cost.cpu_s().ok();
        let values = [Some(cost.wall_s), cpu_s, cost.peak_process_rss_bytes.as_ref().ok().copied()];
        let figures = ACCOUNTS.into_iter().zip(values).filter_map(|(account, value)| {
            let (name, unit, on_wall_clock, exact) = account;
            let direction = Direction::LowerIsBetter;
            let metric = AbMetric { name: name.to_owned(), unit, direction, exact, on_wall_clock };
            Some((metric, value?))
        });
        let figures = figures.collect();
        Self { figures, fingerprint: None, cpu_s: cpu_s.unwrap_or(0.0), record: Some(record) }
    }

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
                on_wall_clock: m.unit.is_of_time() && m.role != Role::CpuTime,
            };
            self.figures.push((metric, value));
        }
        self.fingerprint = Some(run.host.fingerprint);
        Ok(())
    }
}

/// A file for standard input, from its beginning.
pub(super) fn open_input(path: &Path) -> Result<File> {
    let file = File::open(path)
        .with_context(|| format!("cannot read `{}` given by --input", shown(path.display())))?;
    anyhow::ensure!(
        file.metadata().is_ok_and(|found| !found.is_dir()),
        "`{}` given by --input is a folder, expected a file",
        shown(path.display())
    );
    Ok(file)
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("cannot clear `{}`", shown(folder.display())))?;
    }
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make `{}`", shown(folder.display())))
}
