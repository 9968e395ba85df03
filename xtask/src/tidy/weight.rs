//! How many crates a newcomer builds: the tree of a bare `cargo build`, build scripts and procedural
//! macros included.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

use crate::process;

/// Most crates of the tree that are not ours: how our own code is cut costs a newcomer nothing. With
/// all of burn there were 240; a reader of CSV, HMAC, clap's manual and completions and what makes names
/// of C++ readable have come since.
const MAX_CRATES: usize = 235;
/// How the names of our own crates begin.
const OURS: &str = "lob-";
/// Most crates that the tree holds in more than one version.
const MAX_DOUBLED: usize = 12;

/// Whether the tree of the default build is as small as it was.
pub(super) fn violations() -> Result<Vec<String>> {
    let mut tree = process::cargo();
    tree.args(["tree", "--package", "lob-cli", "--edges", "normal,build", "--prefix", "none"]);
    let output = tree.arg("--locked").output().context("cannot start `cargo tree`")?;
    if !output.status.success() {
        bail!("`cargo tree` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(weigh(&String::from_utf8_lossy(&output.stdout), MAX_CRATES, MAX_DOUBLED))
}

/// Holds the output of `cargo tree --prefix none` against the limits.
fn weigh(tree: &str, max_crates: usize, max_doubled: usize) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        let found = (words.next(), words.next());
        if let (Some(name), Some(version)) = found
            && !name.starts_with(OURS)
        {
            versions.entry(name).or_default().insert(version);
        }
    }
    let n_crates: usize = versions.values().map(BTreeSet::len).sum();
    let doubled: Vec<&str> =
        versions.iter().filter(|(_, of)| of.len() > 1).map(|(name, _)| *name).collect();
    let mut found = Vec::new();
    if n_crates > max_crates {
        found.push(format!(
            "the default build has {n_crates} crates of others, at most {max_crates} are allowed: leave \
             one out, or say in xtask/src/tidy/weight.rs why it is worth the wait"
        ));
    }
    if doubled.len() > max_doubled {
        let (n, names) = (doubled.len(), doubled.join(", "));
        found.push(format!("{n} crates have several versions, at most {max_doubled}: {names}"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_and_doubled_versions_are_counted_once() {
        let tree = "lob-cli v0.1.0 (/x)\na v1.0.0\na v2.0.0 (proc-macro)\nb v1.0.0\nb v1.0.0 (*)\n";
        assert!(weigh(tree, 3, 1).is_empty());
        assert!(weigh(tree, 2, 1)[0].contains("3 crates"));
        assert!(weigh(tree, 3, 0)[0].ends_with(": a"));
    }
}
