//! `--trace FILE`: every scope of a command, written when it ends, also after Ctrl-C or a panic.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use lob_metrics::shown;
use lob_profiler::TraceFormat;

use crate::output;

/// Scopes recorded of each thread at most: some 10 MB of the file.
const EVENTS_PER_THREAD: usize = 1 << 16;

/// The trace being recorded.
static RECORDING: Mutex<Option<Recording>> = Mutex::new(None);

struct Recording {
    file: PathBuf,
    format: TraceFormat,
    command: &'static str,
}

/// What a command that can be traced takes.
#[derive(Clone, clap::Args)]
pub(crate) struct TraceArgs {
    /// Write the time of every scope, by thread, to a file that ui.perfetto.dev opens; the first
    /// 65,536 of a thread are kept, the others counted
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Format of the trace: perfetto, or otlp for an OpenTelemetry collector
    #[arg(long, value_name = "FORMAT", default_value_t, requires = "trace")]
    pub(crate) trace_format: TraceFormat,
}

/// Runs a command and writes its trace, if one was asked for. The command's own error counts more
/// than that of the trace.
pub(crate) fn recorded(
    args: &TraceArgs,
    command: &'static str,
    work: impl FnOnce() -> Result<ExitCode>,
) -> Result<ExitCode> {
    let Some(file) = &args.trace else { return work() };
    check(file)?;
    lob_scope::enable_trace(EVENTS_PER_THREAD);
    let recording = Recording { file: file.clone(), format: args.trace_format, command };
    *held() = Some(recording);
    let _after_a_panic = FinishOnDrop;
    let outcome = {
        let _scope = lob_scope::scope(command);
        work()
    };
    match (outcome, finish()) {
        (Ok(code), Ok(())) => Ok(code),
        (Ok(_), Err(error)) | (Err(error), Ok(())) => Err(error),
        (Err(error), Err(of_trace)) => {
            eprintln!("error: {}", output::in_lines(&output::in_one_line(&of_trace)));
            Err(error)
        }
    }
}

/// Refuses a file that the trace must not or cannot take the place of, before any work is done.
pub(crate) fn check(file: &Path) -> Result<()> {
    let name = shown(file.display());
    ensure!(!file.is_dir(), "`--trace {name}` is a folder\nhint: name a file, such as trace.json");
    let mut first = [0];
    let opened = File::open(file).ok();
    let is_other = opened.is_some_and(|mut file| {
        file.metadata().is_ok_and(|found| found.is_file())
            && file.read(&mut first).is_ok_and(|n| n > 0)
            && first != *b"{"
    });
    ensure!(
        !is_other,
        "`--trace {name}` exists and is no trace\nhint: choose another file, or remove it"
    );
    Ok(())
}

/// Writes the trace that is being recorded, if any.
pub(crate) fn finish() -> Result<()> {
    // Held until it is written: whoever ends the process waits.
    let mut held = held();
    let Some(Recording { file, format, command }) = held.take() else { return Ok(()) };
    lob_scope::disable_trace();
    let trace = lob_scope::take_trace();
    write(&file, &format.document(&trace, command))?;
    if trace.lost > 0 {
        eprintln!(
            "`{}` holds the beginning: {} later scopes and fields are left out",
            shown(file.display()),
            trace.lost
        );
    }
    Ok(())
}

/// Writes a trace document, whole or not at all.
pub(crate) fn write(file: &Path, document: &str) -> Result<()> {
    output::write_file(file, document.as_bytes()).context("the trace is lost")
}

fn held() -> MutexGuard<'static, Option<Recording>> {
    // It is taken out whole or not at all.
    RECORDING.lock().unwrap_or_else(PoisonError::into_inner)
}

struct FinishOnDrop;

impl Drop for FinishOnDrop {
    fn drop(&mut self) {
        // Nothing is left to be done unless the command has panicked, which was said already.
        let _ = finish();
    }
}
