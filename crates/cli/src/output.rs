//! Writing to stdout and into files: results whole or not at all.

use std::io::{self, Write};

use anyhow::{Context, Result};
use lob_metrics::{is_hidden, shown};
use serde::Serialize;

pub(crate) use lob_runs::write_file;

/// Prints one JSON document on stdout.
pub(crate) fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).context("cannot encode JSON")?;
    print_line(&with_escapes(&text))
}

/// A JSON document with escapes where JSON may have raw characters that a terminal acts on: they
/// stand inside strings only, and mean the same there.
fn with_escapes(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hidden(c) && c != '\n' {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// A message of several lines. Names and contents in it have been made visible one by one; whatever
/// is left but line ends is here.
pub(crate) fn in_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(|line| shown(line).to_string()).collect();
    lines.join("\n")
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
    fn documents_and_messages_hold_nothing_that_a_terminal_acts_on() {
        let text = "a\u{1b}[2J\u{7f}\u{9b}\u{202e}\n\u{2066}\u{fc}";
        let json = with_escapes(&serde_json::to_string_pretty(&[text]).unwrap());
        assert!(json.chars().all(|c| c == '\n' || !is_hidden(c)), "{json}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap()[0], text);
        assert_eq!(in_lines("a\u{1b}b\nhint: c"), "a\\u{1b}b\nhint: c");
    }

    #[test]
    fn a_cause_is_said_once() {
        let cause = io::Error::other("disk gone");
        let error = anyhow::Error::new(cause).context("cannot write `a`: disk gone");
        assert_eq!(in_one_line(&error), "cannot write `a`: disk gone");
        let error = error.context("no report");
        assert_eq!(in_one_line(&error), "no report: cannot write `a`: disk gone");
    }
}
