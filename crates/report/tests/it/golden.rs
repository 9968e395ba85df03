//! Markdown, text, JSON extracts and `JUnit` of the sample, byte for byte.
//!
//! After a wanted change: `LOB_BLESS=1 cargo test -p lob-report golden`, then read the difference.

use std::path::Path;

use lob_report::{Format, render_all};

fn check(format: Format, name: &str) {
    let files = render_all(&lob_fixtures::sample_run(), &[format]).expect("the sample renders");
    let file = files.into_iter().find(|f| f.file_name == name).expect("a file of this name");
    let found = String::from_utf8(file.bytes).expect("texts are UTF-8");
    let name = name.rsplit('/').next().expect("a split has a last part");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("LOB_BLESS").is_some() {
        std::fs::write(&path, &found).expect("the golden folder is writable");
    }
    let expected = std::fs::read_to_string(&path).expect("the golden file is part of the crate");
    for (i, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "{name}, line {}", i + 1);
    }
    assert_eq!(found.len(), expected.len(), "{name} has another length");
}

#[test]
fn markdown_is_as_stored() {
    check(Format::Md, "report.md");
}

#[test]
fn advice_is_as_stored() {
    check(Format::Txt, "optimization_recommendations.txt");
}

#[test]
fn the_page_for_deciders_is_as_stored() {
    check(Format::Md, "reports/performance_summary.md");
}

#[test]
fn extracts_are_as_stored() {
    check(Format::Json, "benchmark_results.json");
    check(Format::Json, "comprehensive_benchmark_results.json");
}

#[test]
fn junit_is_as_stored() {
    check(Format::Junit, "junit.xml");
}
