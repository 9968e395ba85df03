//! `cargo xtask check`: what CI runs, cheapest first.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{process, tidy};

/// Runs every check in turn and stops at the first that fails.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    if let Some(arg) = args.first() {
        bail!("`check` takes no argument, found `{arg}`");
    }
    let started = Instant::now();
    step("format", || process::must(process::cargo().args(["fmt", "--all", "--check"])))?;
    step("tidy", || tidy::run().map(drop))?;
    step("clippy", || {
        let mut clippy = process::cargo();
        clippy.args(["clippy", "--workspace", "--all-targets", "--quiet"]);
        process::must(clippy.args(["--", "-D", "warnings"]))
    })?;
    step("tests", tests)?;
    step("report of a real run in a browser", report)?;
    step("doctests", || {
        process::must(process::cargo().args(["test", "--workspace", "--doc", "--quiet"]))
    })?;
    step("docs", || {
        let mut doc = process::cargo();
        doc.args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings");
        process::must(&mut doc)
    })?;
    step("licences and advisories", deny)?;
    println!("check: all good in {:.0} s", started.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

fn step(name: &str, body: impl FnOnce() -> Result<()>) -> Result<()> {
    eprintln!("==> {name}");
    let started = Instant::now();
    body()?;
    eprintln!("    {name}: {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// nextest where it is installed (one process a test, in parallel), `cargo test` elsewhere.
fn tests() -> Result<()> {
    let mut command = process::cargo();
    if has_subcommand("nextest") {
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
        command.args(["--status-level", "slow", "--final-status-level", "fail"]);
    } else {
        command.args(["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]);
    }
    process::must(&mut command)
}

/// Runs a part of the suite on a fixture and opens its report; the test says so where there is no
/// browser.
fn report() -> Result<()> {
    let root = process::root();
    let out = scratch_folder();
    // The binary that the tests have just built: `-p` would resolve other features and build again.
    let name = format!("lob{}", std::env::consts::EXE_SUFFIX);
    let mut lob = Command::new(process::target_folder()?.join("debug").join(name));
    lob.args(["bench", "--quick", "--quiet"]);
    lob.args(["--suite", "depth,signals", "--input"]);
    lob.arg(root.join("fixtures/small.mbp-10.dbn.zst")).arg("--out").arg(&out);
    // An unoptimised build may miss a speed target (1); anything else is a failure.
    let status = process::status(lob.stdout(Stdio::null()))?;
    if !matches!(status.code(), Some(0 | 1)) {
        bail!("`lob bench` on a fixture failed: {status}");
    }
    let mut test = process::cargo();
    test.args(["test", "--quiet", "--workspace", "--test", "it", "real_run"]);
    test.env("LOB_REPORT_PAGE", out.join("report.html")).stdout(Stdio::null());
    let outcome = process::must(&mut test);
    // Left behind on failure, to be looked at.
    if outcome.is_ok() {
        std::fs::remove_dir_all(&out)
            .with_context(|| format!("cannot clear `{}`", out.display()))?;
    }
    outcome
}

/// A folder of this process under the system's temporary one.
fn scratch_folder() -> PathBuf {
    std::env::temp_dir().join(format!("lob-report-test-{}", std::process::id()))
}

/// Licences and advisories, only where cargo-deny is present: it is no part of a Rust toolchain.
fn deny() -> Result<()> {
    if !has_subcommand("deny") {
        eprintln!("    skipped: cargo-deny is not installed (`cargo install cargo-deny`)");
        return Ok(());
    }
    process::must(process::cargo().args(["deny", "check", "licenses", "bans", "sources"]))
}

fn has_subcommand(name: &str) -> bool {
    let mut probe = Command::new("cargo");
    probe.args([name, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}
