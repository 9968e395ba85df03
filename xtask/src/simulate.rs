//! `cargo xtask simulate`: conversions over a file system that fails, by many seeds.

use std::process::ExitCode;

use anyhow::Result;

use crate::process;

/// Builds `lob-simulate` and hands it all arguments. Without optimisation: `check` has built it so,
/// and what it spends its time on, the libraries, is optimised all the same.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let mut cargo = process::cargo();
    cargo.args(["run", "--quiet", "-p", "lob-simulate", "--"]).args(args);
    Ok(process::exit_code(process::status(&mut cargo)?))
}
