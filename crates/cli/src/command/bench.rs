//! `lob bench`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::ValueEnum;
use lob_bench::{Device, Options, Progress, Selection, Spec};
use lob_metrics::{Scenario, Status, Unit};

use crate::{interrupt, output};

/// Run the benchmark suite and write its reports
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob bench --quick
  lob bench --quick --input day.mbo.dbn.zst --out results/mine
  lob bench --suite dataloader,depth
  lob bench --list

The last line on stdout is the path of the HTML report.
Exit codes: 0 good, 1 missed target, 2 a scenario failed")]
pub(crate) struct Args {
    /// Shorter work, same targets
    #[arg(long)]
    quick: bool,
    /// DBN files to run on instead of the synthetic market
    #[arg(long, num_args = 1.., value_name = "FILE")]
    input: Vec<PathBuf>,
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
    #[arg(long, alias = "type", value_delimiter = ',')]
    suite: Vec<String>,
    /// Comma-separated categories: training, data, model, scalability, hardware
    #[arg(long, value_delimiter = ',')]
    test: Vec<String>,
    /// Comma-separated batch sizes; the first is the headline
    #[arg(long, value_delimiter = ',', default_value = "32")]
    batch_sizes: Vec<usize>,
    /// Loader threads and conversion workers
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Where models run
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceArg,
    /// Seed of everything random
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum DeviceArg {
    Auto,
    Cpu,
    Cuda,
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
    let options = Options {
        quick: args.quick,
        inputs: args.input.clone(),
        device: match args.device {
            DeviceArg::Auto => Device::Auto,
            DeviceArg::Cpu => Device::Cpu,
            DeviceArg::Cuda => Device::Cuda,
        },
        seed: args.seed,
        baseline: args.baseline.clone(),
        workers: args.workers,
        batch_sizes: args.batch_sizes.clone(),
        ..Options::full(args.out.clone())
    };
    let selection = Selection { suites: args.suite.clone(), tests: args.test.clone() };
    let executable = std::env::current_exe().context("cannot find this program's own file")?;
    let stop = interrupt::watch()?;
    let mut lines = Lines { quiet };
    let outcome = lob_bench::run_suite(&executable, &options, &selection, &mut lines, stop)?;
    if !quiet {
        summary(&outcome.run);
    }
    for file in outcome.files.iter().filter(|f| **f == args.out.join("report.html")) {
        output::print_line(&file.display().to_string())?;
    }
    if outcome.interrupted {
        eprintln!("interrupted: the reports hold what was done by then");
    }
    Ok(ExitCode::from(outcome.exit_code()))
}

pub(crate) fn run_child(args: &ChildArgs) -> Result<ExitCode> {
    lob_bench::run_child(&args.job, &args.result)?;
    Ok(ExitCode::SUCCESS)
}

fn list() -> Result<ExitCode> {
    for spec in lob_bench::scenarios() {
        output::print_line(&format!(
            "{:<22}{:<13}{:<12}{}",
            spec.id, spec.suite, spec.test, spec.title
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn summary(run: &lob_metrics::Run) {
    for note in &run.notes {
        eprintln!("note: {note}");
    }
    for target in run.targets.iter().filter(|t| t.verdict == lob_metrics::Verdict::Fail) {
        let found = target.value.map_or("no value".to_owned(), |v| target.target.unit.format(v));
        eprintln!("missed: {} is {found}", target.target.metric);
    }
    for advice in &run.recommendations {
        eprintln!("advice: {} ({})", advice.text, advice.evidence);
    }
}

/// One line a scenario on standard error.
struct Lines {
    quiet: bool,
}

impl Progress for Lines {
    fn begin(&mut self, position: usize, total: usize, spec: &Spec) {
        if !self.quiet {
            eprint!("[{position}/{total}] {:<22}", spec.id);
        }
    }

    fn end(&mut self, scenario: &Scenario) {
        if self.quiet {
            return;
        }
        let took = Unit::Seconds.format(scenario.elapsed_s);
        match (scenario.status, &scenario.reason) {
            (Status::Passed, _) => {
                eprintln!("{took:>10}   {}", headline(scenario).unwrap_or_default());
            }
            (status, reason) => {
                let reason = reason.as_deref().unwrap_or("no reason was given");
                eprintln!("{took:>10}   {status:?}: {reason}");
            }
        }
    }
}

/// The measurement that stands for its scenario: the one held against the machine's limit.
fn headline(scenario: &Scenario) -> Option<String> {
    let measurement = scenario
        .measurements
        .iter()
        .find(|m| m.share_of_limit.is_some())
        .or_else(|| scenario.measurements.iter().find(|m| m.value.is_some()))?;
    let value = measurement.unit.format(measurement.value?);
    let share = measurement.share_of_limit.zip(measurement.limit_name.as_deref());
    let share =
        share.map(|(s, name)| format!(", {:.0} % of {name}", s * 100.0)).unwrap_or_default();
    Some(format!("{} {value}{share}", measurement.metric))
}
