//! `lob-cluster submit`.

mod run;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::{
    bucket::{Bucket, Patience},
    inputs::{self, Input},
    job::Job,
    place::{self, Place},
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
  lob-cluster submit s3://ticks/dbn --out s3://ticks/store

What follows `--` goes to `lob convert`. Files that the store already holds are passed over, so
running it again is cheap and finishes what is missing. Exit code 2 lists what failed.")]
pub(crate) struct Args {
    /// DBN files or folders of them, on a path that every machine sees or at `s3://bucket/prefix`
    #[arg(value_name = "INPUT", value_parser = place::parser())]
    inputs: Vec<Place>,
    /// The same as INPUT
    #[arg(long = "input", value_name = "INPUT", value_parser = place::parser())]
    more: Vec<Place>,
    /// Folder of the store, on a path that every machine sees or at `s3://bucket/prefix`
    #[arg(long, value_parser = place::parser())]
    out: Place,
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
    /// Bytes fetched from buckets by the last attempt at each file.
    downloaded_bytes: u64,
    /// Bytes written to a bucket, likewise.
    uploaded_bytes: u64,
    /// Submissions to the scheduler.
    attempts: u32,
    /// Files of each executor.
    workers: BTreeMap<String, usize>,
    /// Left-overs of killed tasks that were removed.
    swept: Vec<std::path::PathBuf>,
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
    let places = [&args.inputs[..], &args.more].concat();
    if places.is_empty() {
        bail!("no input was given\nhint: name files or folders of them, or `s3://bucket/prefix`");
    }
    let inputs = inputs::find(&places).await?;
    let out = open_store(&args.out).await?;
    let job = Job { out: out.clone(), flags: args.flags.clone(), timeout_s: args.timeout };
    let progress = Progress::start(&out, inputs.len(), args.quiet || args.json).await;
    let (rows, attempts) = tokio::select! {
        done = convert_all(&args, &inputs, &job) => done?,
        stopped = tokio::signal::ctrl_c() => {
            stopped?;
            drop(progress);
            bail!("stopped; the cluster goes on with what it has. Run the same command again for the rest");
        }
    };
    drop(progress);
    let held = held(&out, &rows).await?;
    let mut summary = summarise(&inputs, rows, &held);
    summary.attempts = attempts;
    if let Place::Path(out) = &out {
        summary.swept = store::sweep(out)?;
    }
    summary.elapsed_s = start.elapsed().as_secs_f64();
    print(&args, &summary)?;
    Ok(if summary.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// The store, made if it is a folder, looked at if it is in a bucket.
async fn open_store(out: &Place) -> Result<Place> {
    match out {
        Place::Path(path) => {
            let context = || format!("make the store `{}`", path.display());
            std::fs::create_dir_all(path).with_context(context)?;
            let path = path.canonicalize().with_context(context)?;
            if path.to_str().is_none() {
                bail!("`{}` is no Unicode path\nhint: rename it", path.display());
            }
            Ok(Place::Path(path))
        }
        Place::Object(at) => {
            let bucket = Bucket::open(at, Patience::Short)?;
            bucket.probe().await?;
            // Better refused now than by each executor after its first file.
            bucket
                .write(MARK, format!("{{\"lob-cluster\":\"{}\"}}\n", env!("CARGO_PKG_VERSION")))
                .await?;
            Ok(out.clone())
        }
    }
}

/// Written by each `submit` to see that it may.
const MARK: &str = ".loblab-cluster/submit.json";

/// Those files the rows name that are in the store, seen from here.
async fn held(out: &Place, rows: &BTreeMap<String, Row>) -> Result<BTreeSet<String>> {
    match out {
        Place::Path(out) => {
            let outputs = rows.values().flat_map(|row| &row.outputs);
            Ok(outputs.filter(|output| out.join(output).is_file()).cloned().collect())
        }
        Place::Object(at) => {
            let listed = Bucket::open(at, Patience::Short)?.list("").await?;
            Ok(listed.into_keys().collect())
        }
    }
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
    held: &BTreeSet<String>,
) -> Summary {
    let mut summary = Summary { files: inputs.len(), ..Summary::default() };
    for input in inputs {
        let row = rows.remove(&input.path).unwrap_or_else(|| Row {
            error: Some("no attempt came back".to_owned()),
            ..Row::default()
        });
        let lost = row.outputs.iter().find(|output| !held.contains(*output));
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
        summary.downloaded_bytes += row.downloaded_bytes;
        summary.uploaded_bytes += row.uploaded_bytes;
        *summary.workers.entry(row.worker).or_default() += 1;
    }
    summary
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
        if summary.downloaded_bytes + summary.uploaded_bytes > 0 {
            eprintln!(
                "  {} bytes from buckets, {} to them",
                summary.downloaded_bytes, summary.uploaded_bytes
            );
        }
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

    #[tokio::test]
    async fn an_output_that_is_not_here_is_a_failure() {
        let out = tempfile::tempdir().unwrap();
        std::fs::write(out.path().join("a.parquet"), "x").unwrap();
        let done = |path: &str, output: &str| {
            (path.to_owned(), Row { outputs: vec![output.to_owned()], ..row(path) })
        };
        let rows = BTreeMap::from([done("a", "a.parquet"), done("b", "b.parquet")]);
        let files = [input("a"), input("b"), input("c")];
        let held = held(&Place::Path(out.path().to_owned()), &rows).await.unwrap();
        let summary = summarise(&files, rows, &held);
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
