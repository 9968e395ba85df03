//! Strings from outside must never become markup, and the page must never ask the network.

use lob_metrics::{Reading, Run};
use lob_report::{Format, render_all_with_baseline};
use serde_json::Value;

use crate::text;

const ATTACK: &str =
    "</script><script>alert(1)</script>\"'><img src=http://evil.example/x onerror=alert(2)>`|";

/// Fields whose value is one of a fixed set of words.
const CLOSED: [&str; 11] = [
    "unit",
    "direction",
    "provenance",
    "status",
    "verdict",
    "severity",
    "kind",
    "role",
    "axis",
    "means",
    "of",
];

fn poison(value: &mut Value, key: &str) {
    match value {
        Value::String(text) if !CLOSED.contains(&key) => ATTACK.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| poison(item, key)),
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                poison(field, name);
            }
            if key == "config" {
                fields.insert(ATTACK.to_owned(), ATTACK.into());
            }
        }
        _ => {}
    }
}

/// The sample with the attack in every free string.
fn hostile_run() -> Run {
    let json = lob_fixtures::sample_run().to_json().expect("the sample is writable");
    let mut document: Value = serde_json::from_str(&json).expect("JSON reads back");
    poison(&mut document, "");
    Run::from_json(&document.to_string()).expect("only strings were changed")
}

#[test]
fn script_tags_in_every_string_stay_text() {
    let run = hostile_run();
    let page = text(&run, Format::Html);
    assert_eq!(page.matches("<script").count(), 1, "the page has one script, its own");
    assert_eq!(page.matches("</script").count(), 1);
    assert!(!page.contains("<img src=http"), "an image was injected");
    assert!(page.matches("&lt;script&gt;alert(1)").count() > 50, "the strings are shown as text");
    let xml = text(&run, Format::Junit);
    assert!(!xml.contains("<script") && xml.contains("&lt;script&gt;"));
    let markdown = text(&run, Format::Md);
    let outside_code: String = markdown.replace("\\`", "").split('`').step_by(2).collect();
    assert!(!outside_code.contains("<script") && !outside_code.contains("<img"), "{outside_code}");
    assert!(text(&run, Format::Txt).contains("alert(1)"), "plain text has no markup to escape");
}

#[test]
fn every_file_of_a_hostile_run_stays_harmless() {
    let run = hostile_run();
    let mut base = run.clone();
    for m in base.scenarios.iter_mut().flat_map(|s| &mut s.measurements) {
        if let Some(value) = m.value() {
            m.reading = Reading::Measured { value: 3.0 * value, note: None };
        }
    }
    let files =
        render_all_with_baseline(&run, Some(&base), &Format::ALL).expect("only strings changed");
    assert!(files.len() > 30);
    for file in &files {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_./".contains(c);
        let name = &file.file_name;
        assert!(
            name.chars().all(plain) && !name.contains("..") && !name.starts_with('/'),
            "{name}"
        );
        let text = String::from_utf8_lossy(&file.bytes);
        let scripts = text.matches("<script").count();
        match name.rsplit('.').next() {
            Some("html") => assert_eq!(scripts, usize::from(name == "report.html"), "{name}"),
            Some("svg" | "xml") => assert_eq!(scripts, 0, "{name}"),
            Some("md") => {
                let outside: String = text.replace("\\`", "").split('`').step_by(2).collect();
                assert!(!outside.contains("<script") && !outside.contains("<img"), "{name}");
            }
            _ => {}
        }
    }
}

#[test]
fn the_page_asks_the_network_for_nothing() {
    let page = text(&lob_fixtures::sample_run(), Format::Html).to_lowercase();
    for forbidden in [
        "http://",
        "https://",
        "@import",
        "url(",
        "fetch(",
        "xmlhttprequest",
        "websocket",
        "sendbeacon",
        "src=\"//",
        "href=\"//",
        "import(",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("default-src 'none'"));
    for attribute in ["src=\"", "href=\""] {
        for rest in page.split(attribute).skip(1) {
            assert!(
                rest.starts_with('#') || rest.starts_with("data:"),
                "{attribute}{}",
                &rest[..30]
            );
        }
    }
}
