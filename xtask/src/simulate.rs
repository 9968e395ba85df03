//! `cargo xtask simulate`: conversions over a file system that fails, by many seeds.

use std::process::ExitCode;

use anyhow::Result;

use crate::process;

/// Builds `lob-simulate` with optimisation and hands it all arguments.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let mut cargo = process::cargo();
    cargo.args(["run", "--release", "--quiet", "-p", "lob-simulate", "--"]).args(args);
    Ok(process::exit_code(process::status(&mut cargo)?))
}
