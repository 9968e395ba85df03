//! `lob profile`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use lob_metrics::{Unit, shown};

use crate::{output, version};

/// Profile any program: CPU, memory, I/O, what it waited for, whether it leaks
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  lob profile --out results/train -- python train.py --epochs 3

The program keeps the terminal. Exit code 2 when it fails; the reports are written all the same.
Beside them: trace.json for ui.perfetto.dev and, where the kernel lets stacks be sampled, flame.svg
and profile.folded. Hot lines have names in programs built with debug information.")]
pub(crate) struct Args {
    /// Milliseconds between samples
    #[arg(long, default_value_t = 20)]
    interval_ms: u64,
    /// Folder for the Run document and the reports
    #[arg(long, default_value = "results/profile")]
    out: PathBuf,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    let (program, arguments) = args.command.split_first().context("no program was given")?;
    let mut command = std::process::Command::new(program);
    command.args(arguments);
    let found = lob_profiler::profile_command(command, Duration::from_millis(args.interval_ms))?;
    let title = format!("Profile of {}", args.command.join(" "));
    let mut beside = vec![("trace.json", found.to_chrome_json())];
    match &found.lines {
        Ok(lines) => {
            beside.push(("flame.svg", lines.flame_graph_svg(&title)));
            beside.push(("profile.folded", lines.folded_stacks()));
        }
        Err(missing) if !quiet => eprintln!("note: no flame graph: {}", missing.reason),
        Err(_) => {}
    }
    let settings =
        [("program", args.command.clone().into()), ("interval_ms", args.interval_ms.into())];
    let mut run = lob_runs::open_run(&title, &version::build(), settings);
    run.elapsed_s = found.scenario.elapsed_s;
    run.scenarios.push(found.scenario);
    let files = lob_runs::write_reports(&run, &lob_report::Beside::default(), &args.out)?;
    for (name, text) in beside {
        output::write_file(&args.out.join(name), text.as_bytes())?;
    }
    if !quiet {
        for scenario in &run.scenarios {
            eprintln!(
                "{program}: {} in {}",
                found.status,
                Unit::Seconds.format(scenario.elapsed_s)
            );
            for finding in &scenario.findings {
                eprintln!("{:?}: {}", finding.severity, finding.text);
            }
        }
    }
    for file in files.iter().filter(|f| f.file_name().is_some_and(|name| name == "report.html")) {
        output::print_line(&shown(file.display()).to_string())?;
    }
    Ok(if found.status.success() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}
