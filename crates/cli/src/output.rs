//! Writing to stdout and into files: results whole or not at all.

use std::io::{self, Write};

use anyhow::{Context, Result};
use serde::Serialize;

pub(crate) use lob_bench::write_file;

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

/// An error and its causes; a cause that the text before it ends with is not said again.
pub(crate) fn in_one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.is_empty() {
            line = cause;
        } else if !line.ends_with(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
    }
    line
}

/// Whether the reader of our output has gone away, which is its right.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let cause = io::Error::other("disk gone");
        let error = anyhow::Error::new(cause).context("cannot write `a`: disk gone");
        assert_eq!(in_one_line(&error), "cannot write `a`: disk gone");
        let error = error.context("no report");
        assert_eq!(in_one_line(&error), "no report: cannot write `a`: disk gone");
    }
}
