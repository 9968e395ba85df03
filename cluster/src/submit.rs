//! `lob-cluster submit`.

mod run;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::{
    inputs::{self, Input},
    job::Job,
    progress::Progress,
    row::Row,
    store,
};

/// Convert files on the cluster and see to it that none is missing
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob-cluster submit /data/dbn --out /data/store
  lob-cluster submit /data/dbn --out /data/store -- --layout ticks --symbols ESH4

What follows `--` goes to `lob convert`. Files that the store already holds are passed over, so
running it again is cheap and finishes what is missing. Exit code 2 lists what failed.")]
pub(crate) struct Args {
    /// DBN files or folders of them, on a path that every machine sees
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Folder of the store, on a path that every machine sees
    #[arg(long)]
    out: PathBuf,
    /// Address of the scheduler
    #[arg(long, default_value = "127.0.0.1:7050", value_name = "HOST:PORT")]
    scheduler: String,
    /// Bytes of input for one task; a task should take 10 s or more
    #[arg(long, default_value_t = 64 << 20)]
    bytes_per_task: u64,
    /// Most files for one task
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    files_per_task: u16,
    /// How often the job is submitted at most, while files are missing
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    attempts: u32,
    /// Seconds to wait for a scheduler that does not answer
    #[arg(long, default_value_t = 60)]
    wait: u64,
    /// Longest time for one file in seconds; 0 for no limit
    #[arg(long, default_value_t = 0)]
    timeout: u64,
    /// No progress
    #[arg(long, short)]
    quiet: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Flags for `lob convert`
    #[arg(last = true)]
    flags: Vec<String>,
}

/// The account of a job.
#[derive(Debug, Default, Serialize)]
struct Summary {
    files: usize,
    converted: usize,
    resumed: usize,
    failed: Vec<Failure>,
    records: u64,
    rows: u64,
    /// Submissions to the scheduler.
    attempts: u32,
    /// Files of each executor.
    workers: BTreeMap<String, usize>,
    /// Left-overs of killed tasks that were removed.
    swept: Vec<PathBuf>,
    elapsed_s: f64,
}

#[derive(Debug, Serialize)]
struct Failure {
    path: String,
    error: String,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    refuse_own_flags(&args.flags)?;
    let start = Instant::now();
    let inputs = inputs::find(&args.inputs)?;
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("make the store `{}`", args.out.display()))?;
    let out = args.out.canonicalize()?;
    let job = Job { out: out.clone(), flags: args.flags.clone(), timeout_s: args.timeout };
    let progress = Progress::start(out.clone(), inputs.len(), args.quiet || args.json);
    let (rows, attempts) = tokio::select! {
        done = convert_all(&args, &inputs, &job) => done?,
        stopped = tokio::signal::ctrl_c() => {
            stopped?;
            drop(progress);
            bail!("stopped; the cluster goes on with what it has. Run the same command again for the rest");
        }
    };
    drop(progress);
    let mut summary = summarise(&inputs, rows, &out)?;
    summary.attempts = attempts;
    summary.swept = store::sweep(&out)?;
    summary.elapsed_s = start.elapsed().as_secs_f64();
    print(&args, &summary)?;
    Ok(if summary.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// Flags that the cluster sets itself.
fn refuse_own_flags(flags: &[String]) -> Result<()> {
    const OWN: [&str; 7] =
        ["--out", "--journal", "--resume", "--json", "--shard", "--jobs", "--keep-going"];
    for flag in flags {
        let name = flag.split('=').next().unwrap_or(flag);
        if OWN.contains(&name) {
            bail!("`{name}` after `--` is set by the cluster itself\nhint: leave it out");
        }
    }
    Ok(())
}

/// Submits what is missing until nothing is, or the attempts are used up.
async fn convert_all(
    args: &Args,
    inputs: &[Input],
    job: &Job,
) -> Result<(BTreeMap<String, Row>, u32)> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut last_error = None;
    for attempt in 1..=args.attempts {
        let missing: Vec<_> = inputs
            .iter()
            .filter(|input| rows.get(&input.path).is_none_or(|row| row.is_worth_a_retry))
            .cloned()
            .collect();
        if missing.is_empty() {
            return Ok((rows, attempt - 1));
        }
        if attempt > 1 && !args.quiet {
            eprintln!("attempt {attempt}: {} of {} files are missing", missing.len(), inputs.len());
        }
        let groups =
            inputs::groups(&missing, args.bytes_per_task, usize::from(args.files_per_task));
        run::wait_for(&args.scheduler, Duration::from_secs(args.wait)).await?;
        match run::job(&args.scheduler, &groups, job).await {
            Ok(found) => {
                check_rows(&missing, &found)?;
                rows.extend(found.into_iter().map(|row| (row.path.clone(), row)));
                last_error = None;
            }
            Err(error) => {
                log::warn!("attempt {attempt}: {error:#}");
                last_error = Some(error);
            }
        }
    }
    match last_error {
        Some(error) if rows.is_empty() => {
            Err(error.context(format!("the job failed {} times", args.attempts)))
        }
        _ => Ok((rows, args.attempts)),
    }
}

/// Rows = distinct paths = files: a plan that runs its input whole in every task, or drops a part
/// of it, must not pass for a result.
fn check_rows(files: &[Input], rows: &[Row]) -> Result<()> {
    let expected: BTreeSet<_> = files.iter().map(|input| input.path.as_str()).collect();
    let found: BTreeSet<_> = rows.iter().map(|row| row.path.as_str()).collect();
    if rows.len() != files.len() || expected != found {
        bail!(
            "the job of {} files gave {} rows of {} distinct files; please report this",
            files.len(),
            rows.len(),
            found.len()
        );
    }
    Ok(())
}

fn summarise(
    inputs: &[Input],
    mut rows: BTreeMap<String, Row>,
    out: &std::path::Path,
) -> Result<Summary> {
    let mut summary = Summary { files: inputs.len(), ..Summary::default() };
    for input in inputs {
        let row = rows.remove(&input.path).unwrap_or_else(|| Row {
            error: Some("no attempt came back".to_owned()),
            ..Row::default()
        });
        let lost = row.outputs.iter().find(|output| !out.join(output).is_file());
        let error = row.error.or_else(|| {
            lost.map(|output| {
                format!(
                    "converted by {}, but `{output}` is not in the store here: is the path shared?",
                    row.worker
                )
            })
        });
        if let Some(error) = error {
            summary.failed.push(Failure { path: input.path.clone(), error });
            continue;
        }
        summary.converted += 1;
        summary.resumed += usize::from(row.resumed);
        summary.records += row.records;
        summary.rows += row.rows;
        *summary.workers.entry(row.worker).or_default() += 1;
    }
    Ok(summary)
}

fn print(args: &Args, summary: &Summary) -> Result<()> {
    if args.json {
        println!("{}", serde_json::to_string_pretty(summary)?);
        return Ok(());
    }
    for failure in &summary.failed {
        eprintln!("error: `{}`: {}", failure.path, failure.error);
    }
    if !args.quiet {
        eprintln!(
            "{} of {} files converted ({} were there already), {} records, {} rows, {:.1} s",
            summary.converted,
            summary.files,
            summary.resumed,
            summary.records,
            summary.rows,
            summary.elapsed_s
        );
        for (worker, files) in &summary.workers {
            eprintln!("  {worker}: {files} files");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(path: &str) -> Input {
        Input { path: path.to_owned(), bytes: 1 }
    }

    fn row(path: &str) -> Row {
        Row { path: path.to_owned(), ..Row::default() }
    }

    #[test]
    fn rows_must_be_the_files() {
        let files = [input("a"), input("b")];
        assert!(check_rows(&files, &[row("b"), row("a")]).is_ok());
        for rows in [vec![row("a")], vec![row("a"), row("a")], vec![row("a"), row("b"), row("b")]] {
            assert!(check_rows(&files, &rows).is_err(), "{rows:?}");
        }
    }

    #[test]
    fn an_output_that_is_not_here_is_a_failure() {
        let out = tempfile::tempdir().unwrap();
        std::fs::write(out.path().join("a.parquet"), "x").unwrap();
        let done = |path: &str, output: &str| {
            (path.to_owned(), Row { outputs: vec![output.to_owned()], ..row(path) })
        };
        let rows = BTreeMap::from([done("a", "a.parquet"), done("b", "b.parquet")]);
        let files = [input("a"), input("b"), input("c")];
        let summary = summarise(&files, rows, out.path()).unwrap();
        assert_eq!(summary.converted, 1);
        let failed: Vec<_> = summary.failed.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(failed, ["b", "c"]);
    }

    #[test]
    fn flags_of_the_cluster_are_refused() {
        assert!(refuse_own_flags(&["--layout".to_owned(), "ticks".to_owned()]).is_ok());
        assert!(refuse_own_flags(&["--out=x".to_owned()]).is_err());
    }
}
