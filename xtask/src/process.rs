//! Starting children and finding the workspace.

use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// The workspace root: the parent of this package's folder.
///
/// `cargo run` names it; what the compiler saw may be another checkout that shares the target
/// folder.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().unwrap_or(&manifest).to_owned()
}

/// `cargo`, as given by the cargo that started us, in the workspace root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command with our own standard streams.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("cannot start `{}`", shown(command)))
}

/// Runs a command and fails, naming it, unless it succeeds.
pub(crate) fn must(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(())
}

/// The child's exit code; a child ended by a signal counts as failed.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(2))
}

/// Where cargo builds: asked of cargo, which knows every setting that can move it.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .context("cannot start cargo")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("`cargo metadata` printed no JSON")?;
    metadata["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .context("`cargo metadata` names no target directory")
}

/// What a git command in the workspace root prints, trimmed; `None` outside git, and for nothing.
pub(crate) fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(root()).args(args).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// Whether cargo has a subcommand of this name.
pub(crate) fn has_subcommand(name: &str) -> bool {
    let mut probe = Command::new("cargo");
    probe.args([name, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    text
}

/// CPU-minutes of a release build from nothing, measured on a virtual machine with two cores.
const COLD_CPU_MINUTES: u32 = 15;
/// Minutes of its longest chain of crates, which no number of cores shortens.
const COLD_CHAIN_MINUTES: u32 = 6;

/// What a build from nothing takes on so many cores, in whole minutes.
fn cold_minutes(n_cores: usize) -> u32 {
    let n_cores = u32::try_from(n_cores.max(1)).unwrap_or(u32::MAX);
    COLD_CPU_MINUTES.div_ceil(n_cores).max(COLD_CHAIN_MINUTES)
}

/// Tells a newcomer what the silence is about; nothing where `lob` was built before.
fn announce_cold_build() -> Result<()> {
    if target_folder()?.join("release/lob").exists() {
        return Ok(());
    }
    let n_cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    eprintln!(
        "building `lob` and the crates it needs in release mode: about {} minutes the first time on \
         {n_cores} core(s), seconds later on",
        cold_minutes(n_cores)
    );
    Ok(())
}

/// Builds `lob` in release mode and returns the path of the binary that cargo reports.
pub(crate) fn build_lob(features: &[String]) -> Result<PathBuf> {
    announce_cold_build()?;
    let mut command = cargo();
    command.args(["build", "--release", "--package", "lob-cli"]);
    command.args(["--message-format", "json-render-diagnostics"]);
    if !features.is_empty() {
        command.args(["--features", &features.join(",")]);
    }
    command.stderr(Stdio::inherit());
    let output = command.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("building `lob` failed: {}", output.status);
    }
    let executable = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "lob")
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back();
    executable.context("cargo built `lob-cli` but named no executable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_cores_shorten_the_build_down_to_its_longest_chain() {
        assert_eq!(cold_minutes(1), COLD_CPU_MINUTES);
        assert!(cold_minutes(2) < COLD_CPU_MINUTES);
        assert_eq!(cold_minutes(64), COLD_CHAIN_MINUTES);
    }
}
