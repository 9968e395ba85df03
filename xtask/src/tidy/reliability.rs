//! `docs/RELIABILITY.md` held against the sources: a promise names a test that exists.

use std::path::Path;

use anyhow::{Context, Result};

const PAGE: &str = "docs/RELIABILITY.md";

/// Tests, fuzz targets and files named on the page that are not there.
pub(super) fn violations(root: &Path) -> Result<Vec<String>> {
    let page = std::fs::read_to_string(root.join(PAGE))
        .with_context(|| format!("cannot read `{PAGE}`"))?;
    let mut sources = String::new();
    for folder in ["crates", "benches", "xtask"] {
        for path in super::source::files(&root.join(folder))? {
            if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push_str(&std::fs::read_to_string(&path)?);
            }
        }
    }
    let mut found = unknown(&page, &sources);
    for target in std::fs::read_dir(root.join("fuzz/fuzz_targets"))? {
        let name = target?.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        if !page.contains(&format!("| `{name}` |")) {
            found.push(format!("{PAGE} has no row for the fuzz target `{name}`"));
        }
    }
    Ok(found)
}

/// Names of tests on the page that no source has.
fn unknown(page: &str, sources: &str) -> Vec<String> {
    let is_test = |name: &&str| {
        name.matches('_').count() >= 3
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    page.split('`')
        .skip(1)
        .step_by(2)
        .filter(is_test)
        .filter(|name| !sources.contains(&format!("fn {name}(")))
        .map(|name| format!("{PAGE} names the test `{name}`, which no source has"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_is_gone_is_named() {
        let page = "| kill | whole | `it_is_all_there`, `it_is_all_gone` | `lob_store` |";
        let found = unknown(page, "fn it_is_all_there() {}\nfn lob() {}");
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("`it_is_all_gone`"), "{found:?}");
    }
}
