//! `cargo xtask tidy`: the crate graph and the house rules, proved from `cargo metadata`.
//!
//! Dev-dependencies are free: a test may decode a golden file. Everything that ships is not.

mod circles;
mod face;
mod graph;
mod reliability;
mod source;
mod weight;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::process;
use graph::Graph;

/// Checks everything and lists all violations at once.
pub(crate) fn run() -> Result<ExitCode> {
    let output = process::cargo()
        .args(["metadata", "--format-version", "1", "--locked", "--no-deps"])
        .output()
        .context("cannot start `cargo metadata`")?;
    if !output.status.success() {
        bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let graph = Graph::from_metadata(&serde_json::from_slice(&output.stdout)?)?;
    let mut violations = graph.violations();
    violations.extend(source::violations(&process::root())?);
    violations.extend(circles::violations(&process::root())?);
    violations.extend(face::violations(&process::root())?);
    violations.extend(weight::violations()?);
    violations.extend(reliability::violations(&process::root())?);
    if violations.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!("{} rule(s) broken:\n  {}", violations.len(), violations.join("\n  "));
}
