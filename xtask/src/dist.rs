//! `cargo xtask dist`: what a release consists of, from the sources at hand.
//!
//! `lob-VERSION-TARGET.tar.xz` with the stripped binary, its manual, completions, licences and notices;
//! beside it the bill of materials and the checksums of both.

mod notices;
mod packages;
mod sbom;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use self::packages::Package;
use crate::packing::Settings;
use crate::process;

/// Files of the repository that are part of a release as they are.
const DOCUMENTS: [&str; 5] =
    ["README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE-APACHE", "LICENSE-MIT"];
/// Shells with a completion script, and the name their convention gives it.
const SHELLS: [(&str, &str); 3] = [("bash", "lob.bash"), ("zsh", "_lob"), ("fish", "lob.fish")];

/// Builds `lob` and packs the release.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let settings = Settings::parse("dist", args)?;
    let lob = settings.lob()?;
    let out = settings.out.unwrap_or_else(|| process::root().join("results/dist"));
    // Programs run in this folder are given names in it.
    let out = std::path::absolute(out)?;
    let tree = packages::tree(&settings.features)?;
    let version = &packages::own(&tree)?.version;
    let name = format!("lob-{version}-{}", packages::host_target()?);
    let folder = out.join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("clear `{}`", folder.display()))?;
    }
    lay_out(&lob, &tree, &folder)?;
    let archive = pack(&out, &name)?;
    let bill = out.join(format!("{name}.cdx.json"));
    write(&bill, &serde_json::to_string_pretty(&sbom::cyclonedx(&tree)?)?)?;
    let sums = out.join(format!("{name}.sha256"));
    write(&sums, &checksums(&out, &[&archive, &bill])?)?;
    for path in [&archive, &bill, &sums] {
        println!("{:>12}  {}", fs::metadata(path)?.len(), path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the folder that the archive holds.
fn lay_out(lob: &Path, tree: &[Package], folder: &Path) -> Result<()> {
    for part in ["completions", "man/man1"] {
        let part = folder.join(part);
        fs::create_dir_all(&part).with_context(|| format!("make `{}`", part.display()))?;
    }
    let binary = folder.join("lob");
    fs::copy(lob, &binary)
        .with_context(|| format!("copy `{}` to `{}`", lob.display(), binary.display()))?;
    process::must(Command::new("strip").arg(&binary))
        .context("a release is stripped; `strip` is part of binutils")?;
    for (shell, name) in SHELLS {
        let output = Command::new(&binary).args(["completions", shell]).output();
        let output = output.with_context(|| format!("start `{}`", binary.display()))?;
        ensure!(output.status.success(), "`lob completions {shell}` failed: {}", output.status);
        let path = folder.join("completions").join(name);
        fs::write(&path, output.stdout).with_context(|| format!("write `{}`", path.display()))?;
    }
    process::must(Command::new(&binary).args(["man", "--out"]).arg(folder.join("man/man1")))?;
    for document in DOCUMENTS {
        let (from, to) = (process::root().join(document), folder.join(document));
        fs::copy(&from, &to).with_context(|| format!("copy `{}`", from.display()))?;
    }
    write(&folder.join("THIRD-PARTY.md"), &notices::notices(tree)?)
}

/// Packs the folder; the same files give the same archive.
fn pack(out: &Path, name: &str) -> Result<PathBuf> {
    let archive = out.join(format!("{name}.tar.xz"));
    let mut tar = Command::new("tar");
    tar.args(["--create", "--xz", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.args(["--mtime", &format!("@{}", source_date()), "--file"]);
    tar.arg(&archive).arg("--directory").arg(out).arg(name);
    process::must(&mut tar).context("packing needs GNU tar and xz")?;
    Ok(archive)
}

/// Seconds since 1970 that all files of the archive bear: SOURCE_DATE_EPOCH, or that of the commit.
fn source_date() -> String {
    std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .or_else(|| process::git(&["log", "-1", "--format=%ct"]))
        .unwrap_or_else(|| "0".to_owned())
}

/// `SHA-256  NAME` a line, as `sha256sum --check` reads them.
fn checksums(out: &Path, files: &[&PathBuf]) -> Result<String> {
    let names = files.iter().filter_map(|path| path.file_name()).map(OsStr::to_owned);
    let mut sum = Command::new("sha256sum");
    let output = sum.current_dir(out).args(names).output().context("start `sha256sum`")?;
    ensure!(output.status.success(), "`sha256sum` failed: {}", output.status);
    String::from_utf8(output.stdout).context("`sha256sum` printed no text")
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write `{}`", path.display()))
}
