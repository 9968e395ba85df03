//! `lob ab`: commands whose difference no noise can hide.

use lob_metrics::{COUNTS_REPEAT, Direction, Measurement, Unit};

use super::{evidence, json, lob, lob_fails, lob_ok, shown};

#[test]
fn a_slower_candidate_is_a_regression_and_a_failing_one_an_error() {
    // Sleeping commands: their ratio is far beyond any noise of the machine.
    let (fast, slow) = ("sleep 0.01", "sleep 0.05");
    let judged = lob(&["ab", "--baseline", fast, "--candidate", slow, "--pairs", "8", "--json"]);
    assert_eq!(judged.status.code(), Some(1));
    let judged = json(&String::from_utf8(judged.stdout).unwrap());
    assert_eq!(judged["verdict"], "regression");
    assert_eq!(judged["confirmed"], true);
    let wall = judged["metrics"].as_array().unwrap().iter().find(|m| m["name"] == "wall_time");
    let wall = wall.expect("wall time is always measured");
    assert!(wall["effect"].as_f64().unwrap() > 1.0 && wall["q_value"].as_f64().unwrap() < 0.02);
    let judged =
        json(&lob_ok(&["ab", "--baseline", slow, "--candidate", fast, "--pairs", "8", "--json"]));
    assert_eq!(judged["verdict"], "improvement");
    assert_eq!(lob(&["ab", "--baseline", "true", "--candidate", "false"]).status.code(), Some(2));
}

#[test]
fn the_metrics_of_a_run_are_judged_each_in_its_own_direction() {
    let folder = tempfile::tempdir().unwrap();
    let document = |name: &str, allocations: f64, rate: f64| {
        let mut run = lob_fixtures::sample_run();
        run.scenarios.truncate(1);
        let (lower, higher) = (Direction::LowerIsBetter, Direction::HigherIsBetter);
        run.scenarios[0].measurements = vec![
            Measurement::measured("memory.x.allocations", Unit::Count, lower, &[allocations])
                .repeating_within(COUNTS_REPEAT),
            Measurement::measured("x.samples_per_s", Unit::SamplesPerSecond, higher, &[rate]),
        ];
        if name == "elsewhere" {
            run.host.fingerprint = "another machine".to_owned();
        }
        let path = folder.path().join(name);
        std::fs::write(&path, run.to_json().unwrap()).unwrap();
        format!("cp {} \"$LOB_AB_OUT/run.json\"", shown(&path))
    };
    let base = document("base", 100.0, 50.0);
    let more = document("more", 101.0, 50.0);
    let faster = document("faster", 100.0, 60.0);
    let elsewhere = document("elsewhere", 100.0, 50.0);
    let args = |candidate: &str, metric: &str| -> Vec<String> {
        let args = ["ab", "--pairs", "8", "--json", "--quiet", "--baseline", &base, "--candidate"];
        let judged = [candidate, "--metrics", metric];
        args.iter().chain(&judged).map(|a| (*a).to_owned()).collect()
    };
    for (candidate, metric, code, verdict) in [
        (&more, "memory.x.allocations", 1, "regression"),
        (&base, "memory.x.allocations", 0, "equivalent"),
        (&faster, "x.samples_per_s", 0, "improvement"),
        (&more, "x.samples_per_s", 0, "equivalent"),
    ] {
        let args = args(candidate, metric);
        let output = lob(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(code), "{metric}");
        let found = json(&String::from_utf8(output.stdout).unwrap());
        assert_eq!(found["verdict"], verdict, "{found}");
        assert_eq!(found["metrics"].as_array().unwrap().len(), 1);
    }
    let elsewhere = args(&elsewhere, "x.samples_per_s");
    let mut elsewhere: Vec<&str> = elsewhere.iter().map(String::as_str).collect();
    assert!(lob_fails(&elsewhere).contains("--force"));
    elsewhere.push("--force");
    assert_eq!(json(&lob_ok(&elsewhere))["verdict"], "equivalent");
    let unknown = args(&base, "no.such.metric");
    let unknown: Vec<&str> = unknown.iter().map(String::as_str).collect();
    assert!(lob_fails(&unknown).contains("memory.x.allocations"), "the known ones are named");
}

#[test]
fn instructions_are_counted_where_valgrind_is() {
    if std::process::Command::new("valgrind").arg("--version").output().is_err() {
        evidence::skipped("valgrind is not installed");
        return;
    }
    let (less, more) = ("true", "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done");
    let args = ["ab", "--pairs", "8", "--max-pairs", "8", "--metrics", "peak_rss", "--quiet"];
    let counted = |candidate: &str| {
        let sides = ["--baseline", less, "--candidate", candidate, "--instructions", "--json"];
        lob(&[&args[..], &sides].concat())
    };
    let found = counted(more);
    assert_eq!(found.status.code(), Some(1), "{}", String::from_utf8_lossy(&found.stderr));
    let found = json(&String::from_utf8(found.stdout).unwrap());
    let last = found["metrics"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["name"], &last["verdict"]), (&"instructions".into(), &"regression".into()));
    let same = json(&String::from_utf8(counted(less).stdout).unwrap());
    let last = same["metrics"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["verdict"], "equivalent", "{last}");
}
