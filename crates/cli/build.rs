//! Records which sources, settings and compiler made this program: for `lob --version --verbose` and
//! for the Run documents, so that a history has an axis.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What a packager sets where there is no git: the revision of the sources.
const REVISION: &str = "LOB_REVISION";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={REVISION}");
    let (revision, unknown) = match std::env::var(REVISION).ok().filter(|text| !text.is_empty()) {
        Some(named) => (named, String::new()),
        None => match from_git() {
            Ok(found) => (found, String::new()),
            Err(reason) => (String::new(), reason),
        },
    };
    for (name, value) in [
        ("LOB_BUILD_REVISION", revision),
        ("LOB_BUILD_REVISION_UNKNOWN", unknown),
        ("LOB_BUILD_TARGET", known("TARGET")),
        ("LOB_BUILD_PROFILE", format!("{}, opt-level {}", known("PROFILE"), known("OPT_LEVEL"))),
        ("LOB_BUILD_FEATURES", features().join(",")),
    ] {
        println!("cargo::rustc-env={name}={}", value.replace('\n', " "));
    }
}

fn known(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// The cargo features, sorted; `default` is none of its own.
fn features() -> Vec<String> {
    let mut found: Vec<String> = std::env::vars()
        .filter_map(|(name, _)| Some(name.strip_prefix("CARGO_FEATURE_")?.to_lowercase()))
        .map(|name| name.replace('_', "-"))
        .filter(|name| name != "default")
        .collect();
    found.sort();
    found
}

/// The commit, with `-dirty` where what is built differs from it. Asks to be run again when either
/// may have changed, and only then.
fn from_git() -> Result<String, String> {
    let root = Path::new(&known("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().map_err(|error| error.to_string())?;
    let top = git(&root, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok() != Some(root.clone()) {
        // Unpacked inside a repository of somebody else's, whose commits are none of ours.
        return Err("the sources are no git checkout".to_owned());
    }
    for name in ["HEAD", "logs/HEAD", "packed-refs"] {
        watch(&root.join(git(&root, &["rev-parse", "--git-path", name])?));
    }
    if let Ok(branch) = git(&root, &["symbolic-ref", "--quiet", "HEAD"]) {
        watch(&root.join(git(&root, &["rev-parse", "--git-path", &branch])?));
    }
    let built = built_from(&root);
    built.iter().for_each(|path| watch(path));
    let commit = git(&root, &["rev-parse", "--short=12", "HEAD"])?;
    let mut differs = Command::new("git");
    differs.current_dir(&root).args(["diff", "--quiet", "HEAD", "--"]).args(&built);
    let status = differs.status().map_err(|error| format!("git cannot be started: {error}"))?;
    match status.code() {
        Some(0) => Ok(commit),
        Some(1) => Ok(format!("{commit}-dirty")),
        _ => Err(format!("`git diff` failed: {status}")),
    }
}

/// The files and folders of the workspace that the program is made of.
fn built_from(root: &Path) -> Vec<PathBuf> {
    let mut packages = vec![root.join("benches")];
    let crates = std::fs::read_dir(root.join("crates")).into_iter().flatten().flatten();
    packages.extend(crates.map(|entry| entry.path()));
    let parts = ["src", "Cargo.toml", "build.rs", "targets.toml"];
    let mut all: Vec<PathBuf> =
        packages.iter().flat_map(|package| parts.map(|part| package.join(part))).collect();
    all.extend(["Cargo.toml", "Cargo.lock", ".cargo/config.toml"].map(|name| root.join(name)));
    all.retain(|path| path.exists());
    all.sort();
    all
}

/// Cargo runs a script again every time if it is to watch what does not exist.
fn watch(path: &Path) {
    if path.exists() {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

fn git(root: &Path, args: &[&str]) -> Result<String, String> {
    let output = Command::new("git").current_dir(root).args(args).output();
    let output = output.map_err(|error| format!("git cannot be started: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(said.lines().next().unwrap_or("git failed").to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
