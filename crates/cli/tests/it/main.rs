//! The real binary, as a user runs it.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests stop and say why; their numbers are small and exact"
)]

mod ab;
mod alone;
mod cases;
mod chain;
mod compare;
mod convert;
mod ending;
mod everyday;
mod faults;
mod forged;
mod formats;
mod golden;
mod kill;
mod load;
mod messy;
mod names;
mod ranks;
mod seeds;
mod signals;
mod trace;
mod train;
mod truth;
mod upgrade;

use lob_fixtures::evidence;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Runs `lob` and returns what it said.
fn lob(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lob")).args(args).output().unwrap()
}

/// Runs `lob`, which must succeed, and returns its standard output.
fn lob_ok(args: &[&str]) -> String {
    let output = lob(args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "lob {}: {stderr}", args.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `lob`, which must fail with exit code 2, and returns its standard error.
fn lob_fails(args: &[&str]) -> String {
    let output = lob(args);
    assert_eq!(output.status.code(), Some(2), "lob {}", args.join(" "));
    String::from_utf8(output.stderr).unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn fixture(name: &str) -> PathBuf {
    workspace().join("fixtures").join(name)
}
