//! `lob profile`.

use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result};
use lob_metrics::{Severity, Unit, shown};
use lob_profiler::{CommandOptions, CommandProfile, ProfilerError, profile_command_with};
use lob_report::Beside;

use super::difference;
use crate::{interrupt, output, version};

/// Profile any program: CPU, memory, I/O, what it waited for, whether it leaks
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob profile --out results/train -- python train.py --epochs 3
  lob profile --pid 4711 --duration 10
  lob profile --fail-on leak -- ./server --requests 1000
  lob profile --allocs -- ./server --requests 1000
  lob profile --diff results/before results/train

The program keeps the terminal. Ctrl-C and SIGTERM are passed on to it; it gets five seconds, a
second one ends it at once, and the reports are written all the same. A program of --pid is left
running.

Exit code: that of the program; 128 and the signal's number if a signal ended it, 127 if it was not
found, 126 if it could not be run; 0 where --duration ended it or it was left running. 1 where it
succeeded and --fail-on asks for it, 2 where the profile itself failed.

Beside the report: trace.json for ui.perfetto.dev and, where the kernel lets stacks be sampled, flame.svg,
profile.folded and profile.speedscope.json. Hot lines have names in programs built with debug
information; functions of Python 3.10 to 3.13 and of compilers that write /tmp/perf-PID.map have theirs.
The kernel's time is sampled for root, with CAP_PERFMON or where kernel.perf_event_paranoid is 1 or less.
Threads are looked at every --interval-ms, less often where that would take more than 2 % of a CPU.

--allocs finds leaks of any size by the line that allocates, from the calls of the C library's allocator
in every process that loads it: which lines hold blocks at the end, and hold ever more to the end;
allocations.csv has them all. Each block costs the program 0.2 to 0.35 us, and 21 to 43 bytes while it lives:
nothing that shows in most programs, twenty times the time of one that does nothing but allocate. Not seen
are programs that are linked statically, that have an allocator of their own or map memory themselves, and
those of other users; the report says so. What an interpreter allocates for a program is charged to the
interpreter's lines. Programs that forbid themselves to open files (seccomp) must not be tracked.")]
pub(crate) struct Args {
    /// Milliseconds between samples
    #[arg(long, default_value_t = 20)]
    interval_ms: u64,
    /// Folder for the Run document and the reports
    #[arg(long, default_value = "results/profile")]
    out: PathBuf,
    /// A program that runs already, by its process number
    #[arg(long, value_name = "PID", conflicts_with = "command")]
    pid: Option<u32>,
    /// Seconds after which the profile ends: a program it started is ended, one of --pid runs on
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// Track every allocation: which lines hold memory to the end
    #[arg(long)]
    allocs: bool,
    /// What makes a program that succeeded a failure, exit code 1: a leak, or any warning
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    fail_on: Vec<FailOn>,
    /// Say which functions of the second profile took the extra CPU time, in two folders of earlier
    /// profiles; the picture goes to --out
    #[arg(long, num_args = 2, value_names = ["BASE", "CURRENT"], conflicts_with_all = ["command", "pid"])]
    diff: Vec<PathBuf>,
    /// The program and its arguments
    #[arg(last = true, required_unless_present_any = ["pid", "diff"], value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FailOn {
    Leak,
    Warning,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let found = text.parse::<f64>().ok().filter(|s| *s > 0.0);
    let found = found.and_then(|s| Duration::try_from_secs_f64(s).ok());
    found.ok_or_else(|| "expected seconds above 0, such as 10 or 0.5".to_owned())
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    if let [base, current] = args.diff.as_slice() {
        let (base, current) = (difference::read(base)?, difference::read(current)?);
        difference::show(base, current, Some(&args.out), true)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut options = CommandOptions::every(Duration::from_millis(args.interval_ms));
    options.duration = args.duration;
    options.allocs = args.allocs;
    options.stop = Some(interrupt::to_pass_on);
    options.adopts_orphans = true;
    interrupt::pass_on();
    let (title, found) = match args.pid {
        Some(pid) => {
            (format!("Profile of process {pid}"), CommandProfile::of_process(pid, &options)?)
        }
        None => {
            let (program, arguments) =
                args.command.split_first().context("no program was given")?;
            let mut command = Command::new(program);
            command.args(arguments);
            match profile_command_with(command, &options) {
                Ok(found) => (format!("Profile of {}", args.command.join(" ")), found),
                Err(error) => return not_started(error),
            }
        }
    };
    let code = exit_code(&found, &args.fail_on);
    write(args, &title, found, quiet)?;
    Ok(code)
}

/// Writes the folder and says what was found.
fn write(args: &Args, title: &str, found: CommandProfile, quiet: bool) -> Result<()> {
    let mut files = vec![("trace.json", "threads and series over time, for ui.perfetto.dev")];
    let mut texts = vec![found.to_chrome_json()];
    let mut flame = None;
    match &found.lines {
        Ok(lines) => {
            flame = Some(lines.flame_graph_svg(title));
            files.push(("flame.svg", "the flame graph alone"));
            texts.extend(flame.clone());
            files.push(("profile.folded", "stacks, one a line, for other tools"));
            texts.push(lines.folded_stacks());
            files.push(("profile.speedscope.json", "samples by thread, for speedscope.app"));
            texts.push(lines.speedscope_json(title));
        }
        Err(missing) if !quiet => eprintln!("note: no flame graph: {}", missing.reason),
        Err(_) => {}
    }
    if let Some(Ok(heap)) = &found.heap {
        files.push(("allocations.csv", "lines that allocate, and what they hold at the end"));
        texts.push(heap.csv());
    }
    let settings =
        [("program", args.command.clone().into()), ("interval_ms", args.interval_ms.into())];
    let mut run = lob_runs::open_run(title, &version::build(), settings);
    if let Some(pid) = args.pid {
        run.settings.insert("pid".to_owned(), pid.into());
    }
    run.elapsed_s = found.scenario.elapsed_s;
    let ended =
        if found.left_running { "left running".to_owned() } else { found.status.to_string() };
    run.scenarios.push(found.scenario);
    let beside = Beside { flame_graph: flame.as_deref(), files: &files, ..Beside::default() };
    let reports = lob_runs::write_reports(&run, &beside, &args.out)?;
    for ((name, _), text) in files.iter().zip(texts) {
        output::write_file(&args.out.join(name), text.as_bytes())?;
    }
    if !quiet {
        for scenario in &run.scenarios {
            let elapsed = Unit::Seconds.format(scenario.elapsed_s);
            eprintln!("{}: {ended} in {elapsed}", shown(&scenario.title));
            for finding in &scenario.findings {
                eprintln!("{:?}: {}", finding.severity, output::in_lines(&finding.text));
            }
        }
    }
    for file in reports.iter().filter(|f| f.file_name().is_some_and(|name| name == "report.html")) {
        output::print_line(&shown(file.display()).to_string())?;
    }
    Ok(())
}

/// As shells have it: a program that is not there is 127, one that cannot be run 126.
fn not_started(error: ProfilerError) -> Result<ExitCode> {
    let ProfilerError::Start { source, .. } = &error else { return Err(error.into()) };
    let code = match source.kind() {
        std::io::ErrorKind::NotFound => 127,
        std::io::ErrorKind::PermissionDenied
        | std::io::ErrorKind::IsADirectory
        | std::io::ErrorKind::ExecutableFileBusy => 126,
        // The file is no program of this machine.
        _ if source.raw_os_error() == Some(NO_PROGRAM) => 126,
        _ => return Err(error.into()),
    };
    eprintln!("error: {}", output::in_lines(&output::in_one_line(&error.into())));
    Ok(ExitCode::from(code))
}

/// `ENOEXEC`.
const NO_PROGRAM: i32 = 8;

fn exit_code(found: &CommandProfile, fail_on: &[FailOn]) -> ExitCode {
    let code = program_code(found);
    if code != 0 {
        return ExitCode::from(code);
    }
    let warns = found.scenario.findings.iter().any(|f| f.severity != Severity::Info);
    let fails = fail_on.iter().any(|what| match what {
        FailOn::Leak => found.leaks(),
        FailOn::Warning => warns,
    });
    ExitCode::from(u8::from(fails))
}

/// The code of the program, or 128 and the number of the signal that ended it; 0 if the profile was
/// to end it.
fn program_code(found: &CommandProfile) -> u8 {
    if found.left_running || found.time_was_over {
        return 0;
    }
    let code = found.status.code().or_else(|| Some(128 + signal(found.status)?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(2)
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_status: ExitStatus) -> Option<i32> {
    None
}
