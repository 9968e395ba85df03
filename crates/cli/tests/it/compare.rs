//! `lob compare`: signs, rules, machines and promotion.

use lob_metrics::{Direction, Measurement, Run, Status, Unit};

use super::{json, lob, lob_fails, lob_ok, shown};

/// A document of one scenario on a machine `speed` times as fast.
fn document(folder: &std::path::Path, name: &str, speed: f64) -> String {
    let mut run = lob_fixtures::sample_run();
    run.id = name.to_owned();
    run.scenarios.truncate(1);
    let (lower, higher) = (Direction::LowerIsBetter, Direction::HigherIsBetter);
    run.scenarios[0].measurements = vec![
        Measurement::measured("x.latency", Unit::Seconds, lower, &[0.1 / speed]),
        Measurement::measured("x.rate", Unit::SamplesPerSecond, higher, &[1000.0 * speed]),
        Measurement::measured("x.allocations", Unit::Count, lower, &[500.0]),
        Measurement::measured("x.windows", Unit::Count, Direction::Neutral, &[7.0 * speed]),
    ];
    let path = folder.join(name);
    std::fs::write(&path, run.to_json().unwrap()).unwrap();
    shown(&path).to_owned()
}

#[test]
fn a_faster_and_a_slower_run_are_named_with_the_right_sign() {
    let folder = tempfile::tempdir().unwrap();
    let base = document(folder.path(), "base", 1.0);
    for (name, speed, code, latency, rate, verdict) in [
        ("faster", 1.25, 0, "-20.0 %", "+25.0 %", "improvement"),
        ("slower", 0.8, 1, "+25.0 %", "-20.0 %", "regression"),
        ("alike", 0.95, 0, "+5.3 %", "-5.0 %", "unchanged"),
    ] {
        let current = document(folder.path(), name, speed);
        let output = lob(&["compare", &base, &current]);
        assert_eq!(output.status.code(), Some(code), "{name}");
        let text = String::from_utf8(output.stdout).unwrap();
        for (metric, sign) in [("x.latency", latency), ("x.rate", rate)] {
            let line = text.lines().find(|l| l.contains(metric)).unwrap();
            assert!(line.starts_with(verdict) && line.contains(sign), "{line}");
        }
        let counts = text.lines().find(|l| l.contains("x.allocations")).unwrap();
        assert!(counts.starts_with("unchanged"), "{counts}");
    }
    // 20 % and 25 % worse: beyond the first rule both, beyond the second one only.
    let slower = shown(&folder.path().join("slower")).to_owned();
    let told =
        json(&String::from_utf8(lob(&["compare", &base, &slower, "--json"]).stdout).unwrap());
    let rules = |metric: &str| {
        let changes = told["changes"].as_array().unwrap();
        changes.iter().find(|c| c["metric"] == metric).unwrap()["broken_rules"].clone()
    };
    assert_eq!(rules("x.latency"), serde_json::json!([0.1, 0.2]));
    assert_eq!(rules("x.rate"), serde_json::json!([0.1]));
    assert_eq!(lob(&["compare", &base, &slower, "--threshold", "0.3"]).status.code(), Some(0));
}

fn change(path: &str, edit: impl FnOnce(&mut Run)) {
    let mut run = Run::from_json(&std::fs::read_to_string(path).unwrap()).unwrap();
    edit(&mut run);
    std::fs::write(path, run.to_json().unwrap()).unwrap();
}

#[test]
fn other_machines_are_refused_and_a_failed_scenario_is_worse() {
    let folder = tempfile::tempdir().unwrap();
    let base = document(folder.path(), "base", 1.0);
    let current = document(folder.path(), "current", 1.0);
    change(&current, |run| run.host.fingerprint = "another".to_owned());
    assert!(lob_fails(&["compare", &base, &current]).contains("different machines"));
    lob_ok(&["compare", &base, &current, "--force"]);
    change(&base, |run| run.host.fingerprint = "another".to_owned());
    change(&current, |run| {
        run.scenarios[0].measurements.clear();
        run.scenarios[0].status = Status::Failed;
    });
    assert_eq!(lob(&["compare", &base, &current]).status.code(), Some(1));
    let summary = folder.path().join("summary.md");
    lob(&["compare", &base, &current, "--summary", shown(&summary)]);
    assert!(std::fs::read_to_string(summary).unwrap().contains("**lost**"));
}

#[test]
fn a_baseline_changes_by_promotion_only() {
    let folder = tempfile::tempdir().unwrap();
    let fast = document(folder.path(), "fast", 2.0);
    let slow = document(folder.path(), "slow", 1.0);
    let baseline = folder.path().join("baselines/main.json");
    let baseline = shown(&baseline);
    let id = || Run::from_json(&std::fs::read_to_string(baseline).unwrap()).unwrap().id;
    assert_eq!(lob(&["compare", baseline, &fast]).status.code(), Some(2), "there is none yet");
    lob_ok(&["compare", baseline, &fast, "--promote"]);
    assert_eq!(id(), "fast");
    assert_eq!(lob(&["compare", baseline, &slow]).status.code(), Some(1));
    assert_eq!(id(), "fast", "comparing alone changes nothing");
    lob_ok(&["compare", baseline, &slow, "--promote"]);
    assert_eq!(id(), "slow");
    change(&fast, |run| {
        run.settings.insert("interrupted".to_owned(), true.into());
    });
    assert!(lob_fails(&["compare", baseline, &fast, "--promote"]).contains("interrupted"));
    assert_eq!(id(), "slow");
}
