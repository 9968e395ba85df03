//! `lob bench`.

mod lines;
mod self_test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use lob_bench::{Options, Selection};
use lob_contrastive::Device;
use lob_metrics::shown;

use crate::trace::{self, TraceArgs};
use crate::{interrupt, output, version};
use lines::Lines;

/// Run the benchmark suite and write its reports
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob bench --quick
  lob bench --quick --input day.mbo.dbn.zst --out results/mine
  lob bench --suite dataloader,depth --batch-sizes 16,32,64,128 --workers 2
  lob bench --type features --device cpu
  lob bench --quick --history results/history.jsonl --summary summary.md
  lob bench --list
  lob bench --self-test --quick

The last line on stdout is the path of the HTML report. Ctrl-C ends the launch with what was done
by then; run.json is whole at every moment.
Exit codes: 0 good, 1 missed target (with --strict also a floor) or broken promise of the self-test,
2 a scenario failed")]
pub(crate) struct Args {
    /// Shorter work, same targets
    #[arg(long)]
    quick: bool,
    /// DBN files to run on instead of the synthetic market
    #[arg(long, num_args = 1.., value_name = "FILE")]
    input: Vec<PathBuf>,
    /// Run on a synthetic market with what real feeds have, see `lob synth --messy`
    #[arg(long, conflicts_with = "input")]
    messy: bool,
    /// Folder for the Run document and the reports
    #[arg(long, default_value = "results/latest")]
    out: PathBuf,
    /// Run document of an earlier launch: the report shows what changed (advisory)
    #[arg(long, value_name = "RUN.json")]
    baseline: Option<PathBuf>,
    /// Show all scenarios and stop
    #[arg(long)]
    list: bool,
    /// Comma-separated suites or scenario ids; what they need runs too
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    suite: Vec<String>,
    /// As --suite; also takes features, pipeline, throughput, conversion, loader, images, training
    #[arg(long = "type", value_delimiter = ',', value_name = "NAME")]
    kind: Vec<String>,
    /// Comma-separated categories: training, data, model, scalability, hardware
    #[arg(long, value_delimiter = ',')]
    test: Vec<String>,
    /// Comma-separated batch sizes; the first is the headline
    #[arg(long, value_delimiter = ',', default_value = "32")]
    batch_sizes: Vec<usize>,
    /// Loader threads and conversion workers
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Where models run: auto, cpu or cuda
    #[arg(long, default_value_t)]
    device: Device,
    /// Seed of everything random in the scenarios
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Seed of the order of the scenarios; drawn anew and written into the Run unless given
    #[arg(long, value_name = "N")]
    order_seed: Option<u64>,
    /// Stop every scenario after this many seconds, if its own cap is not lower
    #[arg(long, value_name = "SECONDS")]
    time_cap_s: Option<u64>,
    /// Targets to judge by, in the layout of benches/targets.toml
    #[arg(long, value_name = "FILE.toml")]
    targets: Option<PathBuf>,
    /// Fail when a figure lies below its floor: what a machine of the usual kind reaches
    #[arg(long)]
    strict: bool,
    /// History to append this run to, one JSON line a run, and to draw trends from
    #[arg(long, value_name = "FILE.jsonl")]
    history: Option<PathBuf>,
    /// Append a Markdown summary for a pull request to this file
    #[arg(long, value_name = "FILE.md")]
    summary: Option<PathBuf>,
    /// Folder of criterion's results to harvest into the Run (see `cargo xtask bench --criterion`)
    #[arg(long, value_name = "DIR")]
    criterion: Option<PathBuf>,
    #[arg(long, hide = true)]
    criterion_since_s: Option<u64>,
    #[command(flatten)]
    trace: TraceArgs,
    /// Inject known slow-downs into a scenario and print how often they are found
    #[arg(long, conflicts_with_all = ["suite", "kind", "test", "list", "history", "summary", "trace"])]
    self_test: bool,
    /// Comparisons of each slow-down in the self-test
    #[arg(long, requires = "self_test", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    trials: Option<u32>,
}

/// One scenario in a process of its own; started by `lob bench`.
#[derive(clap::Args)]
pub(crate) struct ChildArgs {
    #[arg(long)]
    job: PathBuf,
    #[arg(long)]
    result: PathBuf,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    if args.list {
        return list();
    }
    anyhow::ensure!(
        args.batch_sizes.iter().all(|n| *n > 0),
        "`--batch-sizes` holds a 0\nhint: a batch has at least one sample"
    );
    args.trace.trace.as_deref().map_or(Ok(()), trace::check)?;
    let options = options(args);
    let executable = std::env::current_exe().context("cannot find this program's own file")?;
    let stop = interrupt::watch();
    if args.self_test {
        return self_test::run(&executable, options, args.trials, quiet, stop);
    }
    let suites = [&args.suite[..], &args.kind[..]].concat();
    let selection = Selection { suites, tests: args.test.clone() };
    let mut lines = Lines { quiet };
    let outcome = lob_bench::run_suite(&executable, &options, &selection, &mut lines, stop)?;
    if !quiet {
        lines::summary(&outcome.run);
    }
    if let (Some(file), Some(document)) = (&args.trace.trace, &outcome.trace) {
        trace::write(file, document)?;
    }
    if let Some(path) = &args.summary {
        let baseline = args.baseline.as_deref().map(lob_runs::read_run).transpose()?;
        append_summary(path, &outcome.run, baseline.as_ref())?;
    }
    for file in outcome.files.iter().filter(|f| **f == args.out.join("report.html")) {
        output::print_line(&shown(file.display()).to_string())?;
    }
    if outcome.interrupted {
        eprintln!("interrupted: the reports hold what was done by then");
    }
    Ok(ExitCode::from(outcome.exit_code()))
}

fn options(args: &Args) -> Options {
    Options {
        quick: args.quick,
        inputs: args.input.clone(),
        messy: args.messy,
        device: args.device,
        seed: args.seed,
        order_seed: args.order_seed.unwrap_or_else(drawn_seed),
        time_cap_s: args.time_cap_s,
        targets: args.targets.clone(),
        strict: args.strict,
        history: args.history.clone(),
        criterion: args.criterion.clone(),
        criterion_since_s: args.criterion_since_s,
        baseline: args.baseline.clone(),
        trace: args.trace.trace.as_ref().map(|_| args.trace.trace_format),
        workers: args.workers,
        batch_sizes: args.batch_sizes.clone(),
        build: version::build(),
        ..Options::full(args.out.clone())
    }
}

/// A seed nobody chose; small enough to be typed again.
fn drawn_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(since.subsec_nanos() ^ std::process::id())
}

/// Adds the summary of a run to a file that may hold others, as the step summaries of a CI do.
pub(super) fn append_summary(
    path: &Path,
    run: &lob_metrics::Run,
    baseline: Option<&lob_metrics::Run>,
) -> Result<()> {
    Ok(lob_runs::append_file(path, &lob_report::pull_request_summary(run, baseline)?)?)
}

pub(crate) fn run_child(args: &ChildArgs) -> Result<ExitCode> {
    lob_bench::run_child(&args.job, &args.result)?;
    Ok(ExitCode::SUCCESS)
}

fn list() -> Result<ExitCode> {
    for spec in lob_bench::scenarios() {
        output::print_line(&format!(
            "{:<24}{:<13}{:<12}{}",
            spec.id, spec.suite, spec.test, spec.title
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
