//! `cargo xtask fuzz`: the targets of `fuzz/` for a bounded time each.

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Result, bail};

use crate::process;

const TARGETS: [&str; 2] = ["record_stream", "store_reader"];
const DEFAULT_SECONDS: &str = "60";

/// Runs each target for `--seconds N`.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let seconds = match args {
        [] => DEFAULT_SECONDS,
        [flag, seconds] if flag == "--seconds" && seconds.parse::<u32>().is_ok() => seconds,
        _ => bail!("usage: cargo xtask fuzz [--seconds N]"),
    };
    let probe = process::cargo()
        .args(["fuzz", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if !probe.success() {
        bail!(
            "`cargo fuzz` is not installed\nhint: cargo install cargo-fuzz --locked; it needs a nightly toolchain"
        );
    }
    for target in TARGETS {
        println!("fuzzing {target} for {seconds} s");
        // The toolchain of the workspace is stable; sanitizers need nightly.
        let status = process::status(
            Command::new("cargo")
                .current_dir(process::root())
                .args(["+nightly", "fuzz", "run", target, "--", "-rss_limit_mb=4096"])
                .arg(format!("-max_total_time={seconds}")),
        )?;
        if !status.success() {
            eprintln!("error: `{target}` found a failing input; see fuzz/artifacts/{target}");
            return Ok(ExitCode::from(1));
        }
    }
    Ok(ExitCode::SUCCESS)
}
