//! `cargo xtask bench`: builds `lob` and hands over to `lob bench`.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::process;

/// Runs the suite, or with `--criterion` the micro-benches. `--features X` goes to cargo.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let mut suite_args = Vec::new();
    let mut features = Vec::new();
    let mut criterion = false;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--criterion" => criterion = true,
            "--features" => features.extend(args.next().cloned()),
            _ => suite_args.push(arg.clone()),
        }
    }
    if criterion {
        let mut command = process::cargo();
        command.arg("bench");
        if !suite_args.iter().any(|a| a == "-p" || a == "--package") {
            command.arg("--workspace");
        }
        return Ok(process::exit_code(process::status(command.args(suite_args))?));
    }
    let lob = process::build_lob(&features)?;
    let status = process::status(Command::new(lob).arg("bench").args(suite_args))?;
    Ok(process::exit_code(status))
}
