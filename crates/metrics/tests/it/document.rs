//! Writing and reading Run documents.

#![allow(clippy::unwrap_used, reason = "a failed test is what a failed unwrap should be")]

use lob_metrics::{Measurement, MetricsError, Run};
use serde_json::Value;

#[test]
fn a_run_survives_the_round_trip() {
    let run = lob_fixtures::sample_run();
    let text = run.to_json().unwrap();
    assert!(text.starts_with("{\"schema_version\":2,"), "{}", &text[..60]);
    assert_eq!(text.lines().count(), 1, "a series must not take a line a number");
    assert!(text.ends_with("}\n"), "one document, one line feed");
    assert!(Run::from_json(&text).unwrap() == run, "the run read back differs");
}

#[test]
fn a_number_that_is_none_does_not_make_a_run_unreadable() {
    let mut run = lob_fixtures::sample_run();
    run.elapsed_s = f64::NAN;
    run.scenarios[1].timeline[0].values[0] = f64::INFINITY;
    run.scenarios[1].scopes[0].p99_s = f64::NAN;
    run.roof.more.insert("numa_bytes_per_s".to_owned(), f64::NAN);
    let read = Run::from_json(&run.to_json().unwrap()).unwrap();
    assert!(read.elapsed_s.is_nan() && read.scenarios[1].timeline[0].values[0].is_nan());
    assert_eq!(read.roof.more.get("numa_bytes_per_s"), None);
}

/// The message for `sample` with one change made to its JSON.
fn refusal(change: impl Fn(&mut Value)) -> (MetricsError, String) {
    let mut document: Value =
        serde_json::from_str(&lob_fixtures::sample_run().to_json().unwrap()).unwrap();
    change(&mut document);
    let error = Run::from_json(&document.to_string()).unwrap_err();
    let text = error.to_string();
    (error, text)
}

#[test]
fn broken_documents_are_refused_with_the_reason() {
    let (error, text) = refusal(|d| d["schema_version"] = 99.into());
    assert!(matches!(error, MetricsError::SchemaVersion { found: 99, expected: 2 }));
    assert!(text.contains("`99`"), "{text}");
    let (_, text) = refusal(|d| d["schema_version"] = "one".into());
    assert!(text.contains("\"one\""), "{text}");
    let (_, text) = refusal(|d| d["scenarios"][0]["status"] = "excellent".into());
    assert!(text.contains("excellent") && text.contains("line"), "{text}");
    let (_, text) = refusal(|d| *d = serde_json::json!([1, 2]));
    assert!(text.contains("absent"), "{text}");
    for text in ["", "{", "\u{feff}"] {
        assert!(matches!(Run::from_json(text), Err(MetricsError::NotARun { .. })), "{text:?}");
    }
}

#[test]
fn the_sample_holds_every_kind_of_measurement() {
    let run = lob_fixtures::sample_run();
    let has = |test: fn(&Measurement) -> bool| run.measurements().any(|(_, m)| test(m));
    assert!(
        has(|m| m.ci95.is_some())
            && has(|m| m.value().is_none())
            && has(|m| m.share_of_limit.is_some())
    );
    assert!(!run.passed(), "the sample misses one target");
}
