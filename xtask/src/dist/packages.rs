//! What is linked into a release: the packages of the normal dependencies of `lob-cli`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process;

/// One package of the tree.
#[derive(Debug, Clone)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// SPDX expression.
    pub(super) licence: String,
    pub(super) authors: Vec<String>,
    pub(super) repository: Option<String>,
    /// Where its sources lie.
    pub(super) folder: PathBuf,
    /// Whether it comes from a registry; ours do not.
    pub(super) is_outside: bool,
    /// SHA-256 of its archive in the registry, from `Cargo.lock`.
    pub(super) checksum: Option<String>,
}

/// The target that a bare `cargo build` builds for.
pub(super) fn host_target() -> Result<String> {
    let output =
        std::process::Command::new("rustc").arg("-vV").output().context("start `rustc`")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

/// The package that the release is named after.
pub(super) fn own(tree: &[Package]) -> Result<&Package> {
    tree.iter().find(|package| package.name == "lob-cli").context("`lob-cli` is not in the tree")
}

/// All packages that are linked into `lob` with these features, by name and version.
pub(super) fn tree(features: &[String]) -> Result<Vec<Package>> {
    let target = host_target()?;
    let mut command = process::cargo();
    command.args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &target]);
    for feature in features {
        command.args(["--features", &format!("lob-cli/{feature}")]);
    }
    let output = command.output().context("start `cargo metadata`")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`cargo metadata` failed: {stderr}");
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let lock = fs::read_to_string(process::root().join("Cargo.lock")).context("read Cargo.lock")?;
    let linked = linked(&metadata).context("`cargo metadata` has another form than expected")?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let mut packages: Vec<Package> = packages
        .filter(|package| package["id"].as_str().is_some_and(|id| linked.contains(id)))
        .map(|package| read(package, &lock))
        .collect::<Option<_>>()
        .context("`cargo metadata` has another form than expected")?;
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(packages)
}

/// Ids of the packages reached from `lob-cli` over normal dependencies; programs of the build, such
/// as procedural macros, are not linked.
fn linked(metadata: &Value) -> Option<BTreeSet<&str>> {
    let packages = metadata["packages"].as_array()?;
    let is_macro = |id: &str| {
        let package = packages.iter().find(|package| package["id"] == id);
        let targets = package.and_then(|package| package["targets"].as_array());
        targets.into_iter().flatten().any(|target| {
            target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k == "proc-macro"))
        })
    };
    let root = packages.iter().find(|package| package["name"] == "lob-cli")?["id"].as_str()?;
    let nodes = metadata["resolve"]["nodes"].as_array()?;
    let (mut seen, mut open) = (BTreeSet::from([root]), vec![root]);
    while let Some(id) = open.pop() {
        let node = nodes.iter().find(|node| node["id"] == id)?;
        for dependency in node["deps"].as_array()? {
            let kinds = dependency["dep_kinds"].as_array()?;
            let id = dependency["pkg"].as_str()?;
            let is_normal = kinds.iter().any(|kind| kind["kind"].is_null());
            if is_normal && !is_macro(id) && seen.insert(id) {
                open.push(id);
            }
        }
    }
    Some(seen)
}

fn read(package: &Value, lock: &str) -> Option<Package> {
    let (name, version) = (package["name"].as_str()?, package["version"].as_str()?);
    let authors = package["authors"].as_array()?.iter().filter_map(Value::as_str);
    Some(Package {
        name: name.to_owned(),
        version: version.to_owned(),
        licence: package["license"].as_str().unwrap_or("see its files").replace('/', " OR "),
        authors: authors.map(str::to_owned).collect(),
        repository: package["repository"].as_str().map(str::to_owned),
        folder: Path::new(package["manifest_path"].as_str()?).parent()?.to_owned(),
        is_outside: !package["source"].is_null(),
        checksum: checksum(lock, name, version),
    })
}

/// The checksum that a lock file lists for a package.
fn checksum(lock: &str, name: &str, version: &str) -> Option<String> {
    let entry = lock.split("[[package]]").find(|entry| {
        let has = |line: String| entry.lines().any(|found| found == line);
        has(format!("name = \"{name}\"")) && has(format!("version = \"{version}\""))
    })?;
    let sum = entry.lines().find_map(|line| line.strip_prefix("checksum = \""))?;
    Some(sum.trim_end_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed setup must stop the test")]

    use super::*;

    #[test]
    fn what_is_linked_is_listed_and_what_builds_it_is_not() {
        let tree = tree(&[]).unwrap();
        let has = |name: &str| tree.iter().any(|package| package.name == name);
        assert!(has("lob-cli") && has("parquet") && has("zstd-sys") && has("burn-tensor"));
        assert!(!has("serde_derive"), "a procedural macro");
        assert!(!has("cc") && !has("criterion"), "of the build, of the tests");
        for package in tree.iter().filter(|package| package.is_outside) {
            assert_eq!(package.checksum.as_ref().map(String::len), Some(64), "{}", package.name);
        }
    }

    #[test]
    fn a_checksum_is_that_of_name_and_version() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"11\"\n\n\
                    [[package]]\nname = \"a\"\nversion = \"2.0.0\"\nchecksum = \"22\"\n\n\
                    [[package]]\nname = \"own\"\nversion = \"2.0.0\"\n";
        assert_eq!(checksum(lock, "a", "2.0.0").as_deref(), Some("22"));
        assert_eq!(checksum(lock, "own", "2.0.0"), None);
    }
}
