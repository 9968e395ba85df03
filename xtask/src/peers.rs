//! `cargo xtask peers`: Python peers in a private virtual environment, measured beside us.
//!
//! Every script in `benches/peers/` is a peer: it is called with `--lob` (a release build),
//! `--work` (a folder to work in) and `--out` (its `peers-*.json`), prints a
//! Markdown table, and ends with a code other than 0 if what it proves does not hold.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::process;

/// Runs the peers named, or all; what follows `--` goes to each script.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let (names, passed_on) = match args.iter().position(|arg| arg == "--") {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (args, &[][..]),
    };
    let folder = process::root().join("benches/peers");
    let scripts = scripts(&folder, names)?;
    let lob = process::build_lob(&[])?;
    // Beside the binary: below cargo's target folder, wherever that is.
    let target = lob.ancestors().nth(2).context("`lob` lies in no target folder")?.to_owned();
    let python = environment(&target.join("peers"), &folder.join("requirements.txt"))?;
    let (work, results) = (target.join("peers/work"), process::root().join("benches/results"));
    for folder in [&work, &results] {
        std::fs::create_dir_all(folder).with_context(|| format!("make `{}`", folder.display()))?;
    }
    let mut code = ExitCode::SUCCESS;
    for script in scripts {
        let name = script.file_stem().unwrap_or_default().to_string_lossy();
        println!("\n## {name}\n");
        let status = process::status(
            Command::new(&python)
                .arg(&script)
                .arg("--lob")
                .arg(&lob)
                .arg("--work")
                .arg(&work)
                .arg("--out")
                .arg(results.join(format!("peers-{}.json", name.replace('_', "-"))))
                .args(passed_on),
        )?;
        if !status.success() {
            eprintln!("error: `{}` failed: {status}", script.display());
            code = process::exit_code(status);
        }
    }
    Ok(code)
}

/// The scripts of these names; all of the folder if there are none.
fn scripts(folder: &Path, names: &[String]) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in
        std::fs::read_dir(folder).with_context(|| format!("list `{}`", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "py") {
            all.push(path);
        }
    }
    all.sort();
    if names.is_empty() {
        return Ok(all);
    }
    let stem = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    names
        .iter()
        .map(|name| {
            let found = all.iter().find(|path| stem(path) == name.replace('-', "_")).cloned();
            found.with_context(|| {
                let known: Vec<_> = all.iter().map(stem).collect();
                format!("no peer `{name}`\nhint: one of {}", known.join(", "))
            })
        })
        .collect()
}

/// The Python of a virtual environment with the pinned packages; made on first use, and again when
/// the pins change.
fn environment(folder: &Path, requirements: &Path) -> Result<PathBuf> {
    let bin = folder.join("venv").join(if cfg!(windows) { "Scripts" } else { "bin" });
    let python = bin.join("python");
    let pins = std::fs::read_to_string(requirements)
        .with_context(|| format!("read `{}`", requirements.display()))?;
    let stamp = folder.join("installed.txt");
    if python.exists() && std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == pins) {
        return Ok(python);
    }
    eprintln!("installing the pinned peers into {}", folder.display());
    std::fs::create_dir_all(folder)?;
    let venv = folder.join("venv");
    let system = if cfg!(windows) { "python" } else { "python3" };
    if let Err(error) =
        process::must(Command::new(system).args(["-m", "venv", "--clear"]).arg(&venv))
    {
        bail!("{error:#}\nhint: `peers` needs Python 3.10 or newer with `venv`");
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    process::must(Command::new(&python).args(pip).arg(requirements))?;
    std::fs::write(&stamp, pins)?;
    Ok(python)
}
