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
        let output = lob(&["compare", &base, &current, "--all"]);
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

#[test]
fn what_changed_is_shown_by_size_and_the_verdict_comes_last() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let lower = Direction::LowerIsBetter;
    let write = |name: &str, values: [f64; 5], reference_s: f64| {
        document(folder.path(), name, 1.0);
        let path = shown(&path(name)).to_owned();
        change(&path, |run| {
            let names = ["a", "b", "c", "d", "e"];
            let measured = names.iter().zip(values);
            run.scenarios[0].measurements = measured
                .map(|(name, value)| Measurement::measured(name, Unit::Seconds, lower, &[value]))
                .collect();
            let name = format!("{}.reference", run.scenarios[0].id);
            let neutral = Direction::Neutral;
            let reference = Measurement::measured(&name, Unit::Seconds, neutral, &[reference_s]);
            run.scenarios[0].measurements.push(reference.with_role(lob_metrics::Role::Reference));
        });
        path
    };
    let base = write("base", [1.0; 5], 0.001);
    let current = write("current", [1.2, 1.6, 1.0, 0.5, 1.01], 0.001);
    let output = lob(&["compare", &base, &current]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let metrics: Vec<&str> =
        text.lines().filter_map(|line| line.split_whitespace().nth(2)).take(3).collect();
    assert_eq!(metrics, ["b", "a", "d"], "worse before better, larger before smaller: {text}");
    let last = text.lines().last().unwrap();
    assert!(
        last.starts_with("regression: 2 worse (2 beyond 10 %, 1 beyond 20 %), 1 better"),
        "{last}"
    );
    assert!(last.contains("3 unchanged") && text.lines().count() == 4, "{text}");
    assert_eq!(
        lob(&["compare", &base, &current, "--all"]).stdout.iter().filter(|b| **b == b'\n').count(),
        7
    );

    // The same on a machine that was 3.6 times slower: nobody is to blame.
    let slower = write("slower", [3.6; 5], 0.0036);
    let output = lob(&["compare", &base, &slower]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("this machine was 3.6 times slower"), "{text}");
    assert!(text.lines().last().unwrap().starts_with("no verdict:"), "{text}");
    let told =
        json(&String::from_utf8(lob(&["compare", &base, &slower, "--json"]).stdout).unwrap());
    assert_eq!(told["verdict"], "no verdict");
    // In units of the reference workload nothing has changed, and four times as much has.
    assert_eq!(lob(&["compare", &base, &slower, "--force"]).status.code(), Some(0));
    let much_slower = write("much slower", [14.4; 5], 0.0036);
    assert_eq!(lob(&["compare", &base, &much_slower, "--force"]).status.code(), Some(1));
    assert_eq!(lob(&["compare", &base, &much_slower]).status.code(), Some(2));

    // Other records than the baseline's.
    change(&slower, |run| run.inputs[0].sha256 = "0".repeat(64));
    change(&slower, |run| run.inputs[0].fingerprint = None);
    let output = lob(&["compare", &base, &slower]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .starts_with("no verdict: the runs read different inputs")
    );
    assert!(String::from_utf8(output.stderr).unwrap().contains("--force"));
}
