//! Writing to stdout and into files: results whole or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

/// Prints one JSON document on stdout.
pub(crate) fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).context("cannot encode JSON")?;
    print_line(&text)
}

/// Prints text and a line end on stdout; a closed pipe is an error that `main` forgives.
pub(crate) fn print_line(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()?;
    Ok(())
}

/// Sends the libraries' `tracing` events to standard error: none, `-v` info, `-vv` debug.
pub(crate) fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_ansi(false).init();
}

/// Whether the reader of our output has gone away, which is its right.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// Writes a file through a temporary name beside it, so that it is never seen half-written.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().with_context(|| format!("`{}` names no file", path.display()))?;
    let temporary: PathBuf =
        path.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
    let outcome =
        std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    if outcome.is_err() {
        // The error below matters more than a temporary file that cannot be removed either.
        let _ = std::fs::remove_file(&temporary);
    }
    outcome.with_context(|| format!("cannot write `{}`", path.display()))
}
