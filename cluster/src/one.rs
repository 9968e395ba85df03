//! One file, converted by a `lob convert` process of its own: whatever is wrong with the file, it
//! cannot take the executor along.

mod remote;

use std::{
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokio::process::Command;

use crate::{
    attempts::{self, Event},
    job::{Job, journal_name},
    place::{self, Place},
    row::Row,
    scratch, store,
};

/// How long an attempt waits for another one at the same file to end, if there is no time limit.
const LOCK_WAIT_S: u64 = 3_600;
const LOCK_POLL: Duration = Duration::from_millis(250);

/// Convert one file as an executor does, and print its row
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lob-cluster one day.mbo.dbn.zst --out store -- --preset EURUSD"
)]
pub(crate) struct Args {
    /// A DBN file or object
    input: String,
    /// Folder of the store, or `s3://bucket/prefix`
    #[arg(long, value_parser = place::parser())]
    out: Place,
    /// Longest time in seconds; 0 for no limit
    #[arg(long, default_value_t = 0)]
    timeout: u64,
    /// The `lob` command [default: beside this one, then in PATH]
    #[arg(long)]
    lob: Option<PathBuf>,
    /// Flags for `lob convert`
    #[arg(last = true)]
    flags: Vec<String>,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    set_up(args.lob.as_deref(), "one".to_owned())?;
    let job = Job { out: args.out, flags: args.flags, timeout_s: args.timeout };
    let row = convert(args.input, &job).await;
    scratch::clear();
    println!("{}", serde_json::to_string_pretty(&row)?);
    Ok(if row.error.is_none() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// What all conversions of this process share.
struct Worker {
    lob: PathBuf,
    /// What `lob --version` says.
    version: String,
    name: String,
}

static WORKER: OnceLock<Worker> = OnceLock::new();

/// Finds `lob` and names this worker; once, before the first conversion.
///
/// # Errors
/// There is no `lob`.
pub(crate) fn set_up(lob: Option<&Path>, name: String) -> Result<()> {
    let lob = match lob {
        Some(path) => path.to_owned(),
        None => {
            std::env::current_exe()?.with_file_name(if cfg!(windows) { "lob.exe" } else { "lob" })
        }
    };
    // It may be started in another folder.
    let lob = lob.canonicalize().unwrap_or_else(|_| PathBuf::from("lob"));
    let version = std::process::Command::new(&lob).arg("--version").output();
    let Some(output) = version.ok().filter(|output| output.status.success()) else {
        bail!(
            "`{}` does not run\nhint: put `lob` beside `lob-cluster`, or name it with --lob",
            lob.display()
        );
    };
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    WORKER.get_or_init(|| Worker { lob, version, name });
    Ok(())
}

fn worker() -> Result<&'static Worker> {
    WORKER.get().context("no `lob` command was set up")
}

/// Converts one file. Whatever happens is told in the row.
pub(crate) async fn convert(path: String, job: &Job) -> Row {
    let start = Instant::now();
    let worker = WORKER.get().map_or("", |worker| worker.name.as_str());
    attempts::note(&job.out, worker, &path, Event::Start).await;
    let mut row = match attempt(&path, job).await {
        Ok(row) => row,
        // The executor is at fault and not the file.
        Err(error) => {
            Row { error: Some(format!("{error:#}")), is_worth_a_retry: true, ..Row::default() }
        }
    };
    row.path = path;
    row.worker = worker.to_owned();
    row.elapsed_s = start.elapsed().as_secs_f64();
    let event = if row.error.is_none() { Event::Done } else { Event::Failed };
    attempts::note(&job.out, worker, &row.path, event).await;
    row
}

/// The part of `lob convert --json` that a row keeps.
#[derive(Deserialize)]
struct Summary {
    records: u64,
    rows: u64,
    outputs: Vec<Output>,
    inputs: Vec<Input>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Output {
    path: PathBuf,
}

#[derive(Deserialize)]
struct Input {
    sha256: Option<String>,
    #[serde(default)]
    resumed: bool,
}

/// What `lob convert` says when another process works on the same journal.
const LOCKED: &str = "is in use by another conversion";

/// A conversion between paths of this machine.
struct Local<'a> {
    input: &'a str,
    journal: &'a str,
    out: &'a Path,
    /// Working folder, if not ours.
    folder: Option<&'a Path>,
}

async fn attempt(path: &str, job: &Job) -> Result<Row> {
    let journal = journal_name(path);
    let limit_s = if job.timeout_s == 0 { LOCK_WAIT_S } else { job.timeout_s };
    let end = Instant::now() + Duration::from_secs(limit_s);
    match (path.parse()?, &job.out) {
        (Place::Path(_), Place::Path(out)) => {
            let local = Local { input: path, journal: &journal, out, folder: None };
            run_unlocked(&local, job, end).await
        }
        (input, _) => remote::attempt(path, &input, &journal, job, end).await,
    }
}

/// Runs `lob` as soon as no other attempt at the same file does.
async fn run_unlocked(local: &Local<'_>, job: &Job, end: Instant) -> Result<Row> {
    loop {
        // An earlier attempt may still be at it: its executor was lost, its process was not.
        if !store::is_locked(local.out, local.journal)? {
            let row = run_lob(local, job, end).await?;
            if !row.error.as_ref().is_some_and(|error| error.contains(LOCKED)) {
                return Ok(row);
            }
        }
        if Instant::now() > end {
            bail!("another attempt has held the lock of this file since this one began");
        }
        tokio::time::sleep(LOCK_POLL).await;
    }
}

async fn run_lob(local: &Local<'_>, job: &Job, end: Instant) -> Result<Row> {
    let lob = &worker()?.lob;
    let mut command = Command::new(lob);
    command
        .args(["--quiet", "convert", "--json", "--resume", "--journal", local.journal, "--out"])
        .arg(local.out)
        .args(&job.flags)
        // A path that starts with a dash is no flag.
        .arg("--")
        .arg(local.input)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(folder) = local.folder {
        command.current_dir(folder);
    }
    let output = if job.timeout_s == 0 {
        command.output().await
    } else {
        let left = end.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, command.output()).await {
            Ok(output) => output,
            Err(_) => return Ok(failed(format!("not converted within {} s", job.timeout_s))),
        }
    };
    let output = output.with_context(|| format!("run `{}`", lob.display()))?;
    let talk = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => {
            let summary: Summary = serde_json::from_slice(&output.stdout)
                .with_context(|| format!("what `{} convert` printed", lob.display()))?;
            Ok(converted(summary, local.out))
        }
        Some(_) => Ok(failed(talk.trim().trim_start_matches("error: ").to_owned())),
        // By the system's memory guard, or by a fault that the file provokes.
        None => Ok(failed(format!("`lob convert` ended by {}: {}", output.status, talk.trim()))),
    }
}

fn failed(error: String) -> Row {
    Row { error: Some(error), ..Row::default() }
}

fn converted(summary: Summary, out: &Path) -> Row {
    let relative = |output: &Output| {
        let path = output.path.strip_prefix(out).unwrap_or(&output.path);
        path.to_string_lossy().into_owned()
    };
    let input = summary.inputs.first();
    Row {
        resumed: input.is_some_and(|input| input.resumed),
        sha256: input.and_then(|input| input.sha256.clone()),
        records: summary.records,
        rows: summary.rows,
        outputs: summary.outputs.iter().map(relative).collect(),
        warnings: summary.warnings,
        ..Row::default()
    }
}
