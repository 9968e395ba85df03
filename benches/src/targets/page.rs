//! `docs/TARGETS.md` held against the sources: nothing on the page may be invented or forgotten.

#![allow(clippy::unwrap_used, reason = "a test: what cannot be read fails it")]

use std::path::{Path, PathBuf};

use crate::{default_targets, scenarios};

/// Lines of the checklist by chapter.
const CHECKLIST: [(char, usize); 7] =
    [('A', 7), ('B', 14), ('C', 10), ('D', 10), ('E', 21), ('F', 6), ('G', 9)];
/// What a file's name ends with.
const FILES: [&str; 7] = [".json", ".md", ".html", ".toml", ".txt", ".log", ".yml"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust source below a folder, one after the other.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("page.rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// What stands between back-ticks.
fn tokens(page: &str) -> Vec<&str> {
    page.split('`').skip(1).step_by(2).collect()
}

/// A literal of the sources as its fixed parts: `load.rss_size_{name}` is `load.rss_size_` and
/// an empty end. `None` for what is no metric's name.
fn fixed_parts(literal: &str) -> Option<Vec<&str>> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_.{}-".contains(c);
    if !literal.contains('.') || !literal.chars().all(is_name) {
        return None;
    }
    let mut parts = Vec::new();
    let mut rest = literal;
    while let Some((fixed, from)) = rest.split_once('{') {
        parts.push(fixed);
        rest = from.split_once('}')?.1;
    }
    parts.push(rest);
    let n_letters: usize =
        parts.iter().map(|p| p.chars().filter(char::is_ascii_alphabetic).count()).sum();
    (n_letters >= 4).then_some(parts)
}

/// What of `name` is not fixed by `parts`; `None` where they do not fit.
fn variable_parts<'a>(name: &'a str, parts: &[&str]) -> Option<Vec<&'a str>> {
    let (first, others) = parts.split_first()?;
    let mut rest = name.strip_prefix(first)?;
    let mut found = Vec::new();
    for (position, part) in others.iter().enumerate() {
        let is_last = position + 1 == others.len();
        let at = if is_last { rest.strip_suffix(part)?.len() } else { rest.find(part)? };
        found.push(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    rest.is_empty().then_some(found)
}

/// Whether the sources can give a metric this name; `*` stands for anything.
fn is_metric(name: &str, text: &str, literals: &[Vec<&str>]) -> bool {
    if let Some(of_all) = name.strip_prefix("{scenario}.") {
        return of_all == lob_metrics::REFERENCE || text.contains(&format!("\"{of_all}\""));
    }
    literals.iter().any(|parts| {
        variable_parts(name, parts)
            .is_some_and(|found| found.iter().flat_map(|v| v.split('*')).all(|v| text.contains(v)))
    })
}

/// Whether `word` stands in the text by itself.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        !is_part(text[..at].chars().next_back()) && !is_part(text[at + word.len()..].chars().next())
    })
}

#[test]
fn the_page_has_every_line_of_the_checklist_once() {
    let page = std::fs::read_to_string(root().join("docs/TARGETS.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
    let is_id = |id: &&str| id.len() >= 2 && id[1..].chars().all(|c| c.is_ascii_digit());
    let found: Vec<String> = rows
        .flat_map(|(ids, _)| ids.split(", ").filter(is_id).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let expected: Vec<String> =
        CHECKLIST.iter().flat_map(|(c, n)| (1..=*n).map(move |i| format!("{c}{i}"))).collect();
    assert_eq!(found, expected);
}

#[test]
fn every_scenario_metric_test_and_item_on_the_page_exists() {
    let page = std::fs::read_to_string(root().join("docs/TARGETS.md")).unwrap();
    let mut ours = String::new();
    sources(&root().join("benches/src"), &mut ours);
    let mut all = ours.clone();
    sources(&root().join("crates"), &mut all);
    sources(&root().join("xtask/src"), &mut all);
    let known: Vec<String> = scenarios()
        .iter()
        .map(|s| s.id.to_owned())
        .chain(default_targets().unwrap().into_iter().map(|t| t.metric))
        .collect();
    ours.push_str(&known.join("\n"));
    let literals: Vec<Vec<&str>> = ours
        .lines()
        .flat_map(|l| l.split('"').skip(1).step_by(2))
        .filter_map(fixed_parts)
        .collect();
    assert!(literals.len() > 100, "{} names found", literals.len());
    let (mut n_metrics, mut invented) = (0, Vec::new());
    for token in tokens(&page) {
        if token.contains(['/', '<', '\\']) || FILES.iter().any(|end| token.ends_with(end)) {
            continue;
        }
        if token.contains('.') && !token.contains(' ') {
            let is_known = known.iter().any(|k| k == token);
            n_metrics += 1;
            if !is_known && !is_metric(token, &ours, &literals) {
                invented.push(token.to_owned());
            }
        } else {
            // Commands, options and items: every word of them is somebody's name.
            for word in token.split(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c))) {
                let word = word.trim_start_matches('-').replace('-', "_");
                let is_name = word.len() > 3 && !word.chars().all(|c| c.is_ascii_uppercase());
                if is_name && !has_word(&all, &word) {
                    invented.push(format!("{token}: {word}"));
                }
            }
        }
    }
    assert!(invented.is_empty(), "not in the sources: {invented:#?}");
    assert!(n_metrics > 60, "{n_metrics} metrics on the page");
}

#[test]
fn an_invented_metric_is_found_out() {
    let text = "\"load.rss_size_{name}\" \"100MB\" \"peak_rss\" \"{id}.{name}\"";
    let literals: Vec<Vec<&str>> = text.split('"').filter_map(fixed_parts).collect();
    for (name, expected) in [
        ("load.rss_size_100MB", true),
        ("load.rss_size_*", true),
        ("load.rss_size_7MB", false),
        ("load.rss", false),
        ("store.rows", false),
        ("{scenario}.peak_rss", true),
        ("{scenario}.mean_rss", false),
    ] {
        assert_eq!(is_metric(name, text, &literals), expected, "{name}");
    }
}
