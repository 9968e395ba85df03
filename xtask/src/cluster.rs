//! `cargo xtask cluster-test`: the cluster's own workspace, tested with real processes and faults.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::process;

/// Builds `lob` and the cluster, and checks the cluster's form, tests and lints, the tests one at a
/// time; arguments go to the test program (names of tests, `--nocapture`).
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let lob = process::build_lob(&[])?;
    let manifest = process::root().join("cluster/Cargo.toml");
    // Below the main target folder, so that it stays warm where that does.
    let target = process::target_folder()?.join("cluster");
    let cluster = |task: &str| -> Command {
        let mut command = process::cargo();
        command.env("CARGO_TARGET_DIR", &target).arg(task).arg("--manifest-path").arg(&manifest);
        command
    };
    process::must(cluster("fmt").arg("--check"))?;
    let mut test = cluster("test");
    test.arg("--locked").env("LOB_BIN", lob).args(["--", "--test-threads=1"]).args(args);
    process::must(&mut test)?;
    // Last, as it checks the engine anew: minutes the first time, seconds after.
    process::must(cluster("clippy").args(["--locked", "--all-targets", "--", "-D", "warnings"]))?;
    Ok(ExitCode::SUCCESS)
}
