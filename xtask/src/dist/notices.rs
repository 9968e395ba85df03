//! `THIRD-PARTY.md`: whose code and fonts a release contains, with the licences in full.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::packages::Package;
use crate::process;

/// Starts of the names of files that hold a licence or a notice, in capitals.
const STARTS: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT", "UNLICENSE"];
/// Licence files that lie deeper in a package than its root: of fonts, and of C sources.
const DEEPER: [(&str, &[&str]); 2] = [
    ("epaint_default_fonts", &["fonts/UFL.txt", "fonts/OFL.txt"]),
    ("zstd-sys", &["zstd/LICENSE", "zstd/COPYING"]),
];

/// The whole document.
pub(super) fn notices(tree: &[Package]) -> Result<String> {
    let outside: Vec<&Package> = tree.iter().filter(|package| package.is_outside).collect();
    let mut page = format!(
        "# Third-party software in this release\n\n\
         `lob` contains the {} packages below, under the licences named, and the font Ubuntu Light \
         under the Ubuntu Font Licence 1.0. The texts follow the table; a text that several packages \
         share stands once.\n\n\
         | package | licence | authors | texts |\n|---|---|---|---|\n",
        outside.len()
    );
    let mut texts: BTreeMap<String, usize> = BTreeMap::new();
    let mut rows = Vec::new();
    for package in outside {
        let mut numbers = Vec::new();
        for text in licence_texts(package)? {
            let next = texts.len() + 1;
            numbers.push(*texts.entry(text).or_insert(next));
        }
        rows.push((package, numbers));
    }
    for (package, numbers) in rows {
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        let authors = package.authors.join(", ").replace('|', "\\|");
        let Package { name, version, licence, .. } = package;
        writeln!(page, "| {name} {version} | {licence} | {authors} | {} |", numbers.join(", "))?;
    }
    let mut by_number: Vec<(usize, String)> = texts.into_iter().map(|(t, n)| (n, t)).collect();
    by_number.sort();
    for (number, text) in by_number {
        write!(page, "\n## Text {number}\n\n````text\n{}\n````\n", text.trim_matches('\n'))?;
    }
    Ok(page)
}

/// The texts in a package's folder. Some packages carry none: then the standard one of its expression.
fn licence_texts(package: &Package) -> Result<Vec<String>> {
    let mut paths = files(&package.folder)?;
    for (_, deeper) in DEEPER.iter().filter(|(name, _)| *name == package.name) {
        paths.extend(deeper.iter().map(|path| package.folder.join(path)));
    }
    if paths.is_empty() {
        return Ok(vec![standard_text(package)?]);
    }
    let read = |path: &PathBuf| {
        let bytes = fs::read(path).with_context(|| format!("read `{}`", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).replace("\r\n", "\n"))
    };
    paths.iter().map(read).collect()
}

/// The standard text of a package's licence, with its authors where the licence names them.
fn standard_text(package: &Package) -> Result<String> {
    if package.licence == "CC0-1.0" {
        return Ok(format!(
            "The authors of {} have waived their rights by CC0 1.0 Universal:\n\
             https://creativecommons.org/publicdomain/zero/1.0/legalcode",
            package.name
        ));
    }
    let standard = [("MIT", "LICENSE-MIT"), ("Apache-2.0", "LICENSE-APACHE")];
    let known = standard.iter().find(|(spdx, _)| package.licence.contains(spdx));
    let (_, file) = known.with_context(|| {
        format!("`{}` ({}) carries no licence text", package.name, package.licence)
    })?;
    let path = process::root().join(file);
    let text = fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))?;
    let holders = match &package.authors[..] {
        [] => format!("the authors of {}", package.name),
        authors => authors.join(", "),
    };
    let line = |line: &str| match line.starts_with("Copyright (c)") {
        true => format!("Copyright (c) {holders}"),
        false => line.to_owned(),
    };
    Ok(text.lines().map(line).collect::<Vec<_>>().join("\n"))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("list `{}`", folder.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        if path.is_file() && STARTS.iter().any(|start| name.starts_with(start)) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed setup must stop the test")]

    use super::*;
    use crate::dist::packages;

    #[test]
    fn every_package_has_a_licence_text_and_the_font_its_own() {
        let tree = packages::tree(&[]).unwrap();
        let page = notices(&tree).unwrap();
        for package in tree.iter().filter(|package| package.is_outside) {
            let row = page.lines().find(|line| {
                line.starts_with(&format!("| {} {} |", package.name, package.version))
            });
            let row = row.unwrap_or_else(|| panic!("no row for {}", package.name));
            assert!(!row.ends_with("|  |"), "no text: {row}");
        }
        assert!(page.contains("UBUNTU FONT LICENCE Version 1.0"), "in full");
        assert!(page.contains("Redistribution and use in source and binary forms"), "of zstd");
    }
}
