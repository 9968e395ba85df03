//! `cargo xtask bundle`: one folder with everything a host needs that has neither Rust nor a
//! network.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::packing::Settings;
use crate::process;

/// Starts `lob` after looking for what the CUDA backend opens at run time.
const RUN: &str = include_str!("bundle/run.sh");

/// Settings of the CUDA backend: caches on, one stream.
const CUBECL: &str = include_str!("bundle/cubecl.toml");

/// A training configuration to start from.
const SAMPLE: &str = include_str!("bundle/train.toml");

/// Builds `lob` with the features asked for and lays the folder out.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let settings = Settings::parse("bundle", args)?;
    let lob = settings.lob()?;
    let out = settings.out.unwrap_or_else(|| process::root().join("results/bundle"));
    let written = assemble(&lob, &settings.features, &out)?;
    println!("{}", out.display());
    for (name, bytes) in written {
        println!("  {bytes:>12}  {name}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the folder; names and sizes of its files.
fn assemble(lob: &Path, features: &[String], out: &Path) -> Result<Vec<(String, u64)>> {
    std::fs::create_dir_all(out).with_context(|| format!("make `{}`", out.display()))?;
    let binary = out.join("lob");
    std::fs::copy(lob, &binary)
        .with_context(|| format!("copy `{}` to `{}`", lob.display(), binary.display()))?;
    strip(&binary)?;
    let guide = process::root().join("docs/GPU.md");
    let guide =
        std::fs::read_to_string(&guide).with_context(|| format!("read `{}`", guide.display()))?;
    let version = format!("features = {features:?}\n");
    for (name, text) in [
        ("run.sh", RUN),
        ("cubecl.toml", CUBECL),
        ("train.toml", SAMPLE),
        ("GPU.md", &guide),
        ("bundle.toml", &version),
    ] {
        let path = out.join(name);
        std::fs::write(&path, text).with_context(|| format!("write `{}`", path.display()))?;
    }
    make_executable(&out.join("run.sh"))?;
    let names = ["lob", "run.sh", "cubecl.toml", "train.toml", "GPU.md", "bundle.toml"];
    let size = |name: &str| Ok((name.to_owned(), std::fs::metadata(out.join(name))?.len()));
    names.into_iter().map(size).collect()
}

/// Takes the symbols out of the copy; a host without `strip` gets a larger file.
fn strip(binary: &Path) -> Result<()> {
    match Command::new("strip").arg(binary).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("`strip {}` failed: {status}", binary.display()),
        Err(_) => {
            eprintln!("warning: `strip` is not installed; the binary keeps its symbols");
            Ok(())
        }
    }
}

#[cfg(unix)]
fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        .with_context(|| format!("make `{}` executable", path.display()))
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed setup must stop the test")]

    use super::*;

    /// The run script without a GPU: it must name what is missing and pass the rest on.
    #[test]
    #[cfg(unix)]
    fn the_run_script_says_what_is_missing_and_starts_the_binary() {
        let folder = std::env::temp_dir().join(format!("lob-bundle-{}", std::process::id()));
        let stand_in = folder.join("stand-in");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&stand_in, "#!/bin/sh\necho \"started $*\"\n").unwrap();
        make_executable(&stand_in).unwrap();
        let out = folder.join("bundle");
        std::fs::create_dir_all(&out).unwrap();
        std::fs::copy(&stand_in, out.join("lob")).unwrap();
        std::fs::write(out.join("run.sh"), RUN).unwrap();
        let run = |first: &str| {
            Command::new("sh")
                .arg(out.join("run.sh"))
                .arg(first)
                .env("CUDA_PATH", "/nonexistent")
                .env("LOB_LIBRARY_PATH", "/nonexistent")
                .output()
                .unwrap()
        };
        let check = run("--check");
        let text = String::from_utf8_lossy(&check.stdout).into_owned();
        for part in ["driver", "nvrtc", "headers"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(check.status.code() == Some(0), !text.contains("missing"), "{text}");
        let started = run("machine");
        assert_eq!(String::from_utf8_lossy(&started.stdout), "started machine\n");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
