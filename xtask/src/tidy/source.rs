//! House rules that are read off the source text.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Most lines a file may have before its test module.
const MAX_LINES: usize = 400;

/// Words that mark unfinished or switched-off work, split so that this file does not hold them.
const UNFINISHED: [&str; 3] =
    [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("#[ig", "nore")];

/// Walks every Rust file of the workspace's own packages.
pub(super) fn violations(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for folder in ["crates", "benches", "xtask"] {
        for path in files(&root.join(folder))? {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read `{}`", path.display()))?;
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            match path.extension().and_then(|e| e.to_str()) {
                Some("rs") => found.extend(rust(&name, &text)),
                Some("toml") if name.ends_with("Cargo.toml") => {
                    found.extend(manifest(&name, &text));
                    found.extend(bench_and_example(&name, &text));
                }
                _ => {}
            }
        }
    }
    found.extend(without_licence(root)?);
    Ok(found)
}

/// Every package is published by itself some day: its licences lie in its own folder.
fn without_licence(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for manifest in ["crates", "benches", "xtask"].map(|folder| files(&root.join(folder))) {
        for path in manifest?.iter().filter(|path| path.ends_with("Cargo.toml")) {
            let folder = path.parent().unwrap_or(root);
            for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
                if !folder.join(licence).is_file() {
                    let name = folder.strip_prefix(root).unwrap_or(folder).display();
                    found.push(format!("{name} has no {licence}: link the one at the root"));
                }
            }
        }
    }
    Ok(found)
}

fn rust(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
    let in_tests =
        name.contains("/tests/") || name.contains("/benches/") || name.contains("_tests");
    if lines > MAX_LINES && !in_tests {
        found.push(format!("{name} has {lines} lines before its tests, more than {MAX_LINES}"));
    }
    for word in UNFINISHED.iter().filter(|word| text.contains(**word)) {
        found.push(format!("{name} holds `{word}`"));
    }
    if name.ends_with("/mod.rs") {
        found.push(format!("{name}: write `x.rs` beside `x/`, not `mod.rs`"));
    }
    found
}

/// Every library shows its main use and has a bench. (`lob-bench` is the suite; nothing there is
/// worth timing alone.)
fn bench_and_example(name: &str, text: &str) -> Vec<String> {
    // What serves tests alone is used there.
    let for_tests = ["crates/simulate/", "crates/fixtures/"];
    if !text.contains("[lib]") || for_tests.iter().any(|folder| name.starts_with(folder)) {
        return Vec::new();
    }
    let has_bench = text.contains("[[bench]]") || name.starts_with("benches/");
    let has_example = text
        .split("[[example]]")
        .skip(1)
        .any(|example| example.split("\n[").next().is_some_and(|it| it.contains("test = true")));
    let mut found = Vec::new();
    if !has_bench {
        found.push(format!("{name}: the library has no `[[bench]]`"));
    }
    if !has_example {
        found.push(format!("{name}: the library has no `[[example]]` with `test = true`"));
    }
    found
}

/// `cargo bench -- --save-baseline` breaks on a library that keeps its default bench target.
fn manifest(name: &str, text: &str) -> Vec<String> {
    let library = text.contains("[lib]");
    let off = text.contains("bench = false");
    if library && !off {
        vec![format!("{name}: `[lib]` needs `bench = false`")]
    } else {
        Vec::new()
    }
}

pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("cannot list `{}`", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_without_bench_or_example_is_named() {
        let check = |name: &str, text: &str| bench_and_example(name, text).len();
        assert_eq!(check("crates/x/Cargo.toml", "[lib]\n"), 2);
        let bench = "[lib]\n[[bench]]\nname = \"a\"\n";
        assert_eq!(check("crates/x/Cargo.toml", bench), 1);
        let example = "[[example]]\nname = \"b\"\ntest = true\n";
        assert_eq!(check("crates/x/Cargo.toml", &format!("{bench}\n{example}")), 0);
        let elsewhere = "[[example]]\nname = \"b\"\n\n[[bin]]\ntest = true\n";
        assert_eq!(check("crates/x/Cargo.toml", &format!("{bench}\n{elsewhere}")), 1);
        assert_eq!(check("benches/Cargo.toml", &format!("[lib]\n{example}")), 0);
        assert_eq!(check("xtask/Cargo.toml", "[dependencies]\n"), 0);
    }

    #[test]
    fn long_files_and_unfinished_work_are_named() {
        let long = "fn a() {}\n".repeat(MAX_LINES + 1);
        assert_eq!(rust("crates/x/src/a.rs", &long).len(), 1);
        assert_eq!(rust("crates/x/tests/it/a.rs", &long).len(), 0);
        let tested = format!("fn a() {{}}\n#[cfg(test)]\n{long}");
        assert_eq!(rust("crates/x/src/a.rs", &tested).len(), 0);
        assert_eq!(rust("crates/x/src/a.rs", UNFINISHED[0]).len(), 1);
        assert_eq!(manifest("crates/x/Cargo.toml", "[lib]\n").len(), 1);
        assert_eq!(manifest("crates/x/Cargo.toml", "[lib]\nbench = false\n").len(), 0);
    }
}
