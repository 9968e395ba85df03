//! The checks, cheapest first.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use super::{Ran, Step, deny, floors};
use crate::{cluster, process, tidy};

const fn step(name: &'static str, run: fn() -> Result<Ran>, guess_s: f64) -> Step {
    Step { name, run, guess_s, is_extra: false }
}

pub(super) const STEPS: [Step; 13] = [
    step("format", format, 2.0),
    step("tidy", || tidy::run().map(|_| Ran::Passed), 2.0),
    step("licences, bans, sources", deny::policy, 10.0),
    step("advisories", deny::advisories, 10.0),
    step("clippy", clippy, 120.0),
    step("tests", tests, 400.0),
    step("report of a real run in a browser", report, 20.0),
    step("benches once, in test mode", benches, 200.0),
    step("doctests", doctests, 60.0),
    step("docs", docs, 60.0),
    step("fuzz targets compile", fuzz_targets, 100.0),
    Step { name: "floors of speed", run: floors::check, guess_s: 1200.0, is_extra: true },
    Step { name: "cluster tests", run: cluster_tests, guess_s: 1800.0, is_extra: true },
];

/// Set for the tests: `lob_fixtures::evidence` adds a line for each test that was skipped.
const SKIPPED_LOG: &str = "LOB_SKIPPED_LOG";
static SKIPPED: OnceLock<PathBuf> = OnceLock::new();

/// Where tests of this launch note that they were skipped.
pub(super) fn log_skipped_tests_to(path: &Path) {
    let _ = SKIPPED.set(path.to_owned());
}

fn passed(command: &mut Command) -> Result<Ran> {
    process::must(command).map(|()| Ran::Passed)
}

fn with_skipped_log(mut command: Command) -> Command {
    if let Some(path) = SKIPPED.get() {
        command.env(SKIPPED_LOG, path);
    }
    command
}

fn format() -> Result<Ran> {
    passed(process::cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<Ran> {
    let mut clippy = process::cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--quiet"]);
    passed(clippy.args(["--", "-D", "warnings"]))
}

/// Modules of tests that need the machine to themselves; .config/nextest.toml has it too.
const ALONE: &str = "alone::";

/// nextest where it is installed (one process a test, in parallel), `cargo test` elsewhere.
fn tests() -> Result<Ran> {
    let mut command = with_skipped_log(process::cargo());
    if process::has_subcommand("nextest") {
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
        command.args(["--status-level", "slow", "--final-status-level", "fail"]);
    } else {
        command.args(["test", "--workspace", "--lib", "--bins", "--tests", "--examples"]);
        command.args(["--no-fail-fast", "--", "--skip", ALONE]);
        process::must(&mut command)?;
        command = with_skipped_log(process::cargo());
        command.args(["test", "--workspace", "--tests", "--no-fail-fast"]);
        command.args(["--", ALONE, "--test-threads=1"]);
    }
    passed(&mut command)
}

/// Runs a part of the suite on a fixture and opens its report; the test says so where there is no
/// browser.
fn report() -> Result<Ran> {
    let root = process::root();
    let out = scratch_folder();
    // The binary that the tests have built: `-p` would resolve other features and build again.
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
    let mut test = with_skipped_log(process::cargo());
    test.args(["test", "--quiet", "--workspace", "--test", "it", "real_run"]);
    test.env("LOB_REPORT_PAGE", out.join("report.html")).stdout(Stdio::null());
    let outcome = process::must(&mut test);
    // Left behind on failure, to be looked at.
    if outcome.is_ok() {
        std::fs::remove_dir_all(&out)
            .with_context(|| format!("cannot clear `{}`", out.display()))?;
    }
    outcome.map(|()| Ran::Passed)
}

/// A folder of this process under the system's temporary one.
fn scratch_folder() -> PathBuf {
    std::env::temp_dir().join(format!("lob-report-test-{}", std::process::id()))
}

/// Every bench once, unoptimised: without `--bench` criterion runs each function a single time.
fn benches() -> Result<Ran> {
    let mut test = process::cargo();
    test.args(["test", "--workspace", "--bench", "*", "--quiet"]).stdout(Stdio::null());
    passed(&mut test)
}

fn doctests() -> Result<Ran> {
    passed(process::cargo().args(["test", "--workspace", "--doc", "--quiet"]))
}

fn docs() -> Result<Ran> {
    let mut doc = process::cargo();
    doc.args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings");
    passed(&mut doc)
}

/// The fuzz targets are a workspace of their own, which nothing else here builds.
fn fuzz_targets() -> Result<Ran> {
    let mut check = process::cargo();
    check.env("CARGO_TARGET_DIR", process::target_folder()?.join("fuzz"));
    check.args(["check", "--quiet", "--manifest-path", "fuzz/Cargo.toml"]);
    passed(&mut check)
}

fn cluster_tests() -> Result<Ran> {
    if std::env::var_os("LOB_CLUSTER").is_some_and(|value| value == "0") {
        return Ok(Ran::LeftOut("LOB_CLUSTER=0".to_owned()));
    }
    cluster::run(&[]).map(|_| Ran::Passed)
}
