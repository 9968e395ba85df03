//! `lob bench`, end to end on a small input; the full main job is `cargo xtask bench --quick`.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lob_metrics::{Run, Status};

use crate::{fixture, json, lob, lob_ok, shown};

#[test]
fn the_list_names_every_scenario() {
    let list = lob_ok(&["bench", "--list"]);
    for id in ["machine.roof", "convert.bins", "dataloader.images", "contrastive.train"] {
        assert!(list.lines().any(|line| line.starts_with(id)), "{id}");
    }
}

#[test]
fn a_suite_on_a_file_leaves_its_run_and_reports() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let input = fixture("small.mbp-10.dbn.zst");
    let history = folder.path().join("history.jsonl");
    let summary = folder.path().join("summary.md");
    let targets = folder.path().join("targets.toml");
    // No machine renders an image in a picosecond.
    let target = "[[target]]\nmetric = \"render.volume\"\nunit = \"s\"\ndirection = \"lower_is_better\"\nhard_limit = 1e-12\nsource = \"test\"\n";
    std::fs::write(&targets, target).unwrap();
    let args = ["bench", "--quick", "--suite", "depth,memory", "--input", shown(&input)];
    let files = ["--history", shown(&history), "--summary", shown(&summary)];
    let judged = ["--targets", shown(&targets), "--order-seed", "5", "--out", shown(&out)];
    let trace = folder.path().join("trace.json");
    let traced = ["--trace", shown(&trace)];
    let output = lob(&[&args[..], &files, &judged, &traced].concat());
    let stdout = String::from_utf8(output.stdout).unwrap();
    let html = out.join("report.html");
    assert_eq!(
        stdout.lines().last(),
        Some(shown(&html)),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let run = json(&std::fs::read_to_string(out.join("run.json")).unwrap());
    assert_eq!(run["inputs"][0]["records"], 3000);
    assert_eq!(run["inputs"][0]["sha256"].as_str().unwrap().len(), 64);
    let scenarios = run["scenarios"].as_array().unwrap();
    for scenario in scenarios {
        assert_eq!(scenario["status"], "passed", "{}: {}", scenario["id"], scenario["reason"]);
    }
    let ids: Vec<&str> = scenarios.iter().map(|s| s["id"].as_str().unwrap()).collect();
    let place = |id: &str| ids.iter().position(|i| *i == id).unwrap();
    assert!(place("convert.bins") < place("depth.render"), "not in the order of the list: {ids:?}");
    let traced = crate::trace::check(&trace);
    let processes: BTreeSet<&str> = traced.processes.iter().map(String::as_str).collect();
    assert_eq!(processes, ids.iter().copied().collect(), "a process for each scenario");
    assert!(traced.scopes["render"] > 0 && traced.scopes["depth.render"] == 1);
    assert_eq!(run["settings"]["order_seed"], 5);
    assert_eq!(run["settings"]["order"].as_array().unwrap().len(), ids.len());
    assert_eq!(output.status.code(), Some(1), "a missed target");
    assert_eq!(run["targets"][0]["verdict"], "fail");
    let metric = |scenario: usize, name: &str| {
        let all = scenarios[scenario]["measurements"].as_array().unwrap();
        all.iter().find(|m| m["metric"] == name).unwrap_or_else(|| panic!("{name}")).clone()
    };
    for steady in ["memory.render_steady.allocations", "memory.signals_steady.allocations"] {
        let found = metric(place("memory.allocations"), steady);
        assert_eq!(found["value"], 0.0, "{found}");
    }
    let decoded = metric(place("memory.allocations"), "memory.decode.allocations");
    assert!(decoded["value"].as_f64().unwrap() > 0.0);
    assert!(metric(place("depth.render"), "depth.render.reference")["value"].is_f64());
    assert_eq!(std::fs::read_to_string(&history).unwrap().lines().count(), 1);
    assert!(out.join("history.md").exists());
    assert!(std::fs::read_to_string(&summary).unwrap().contains("| `render.volume` |"));
    let page = std::fs::read_to_string(html).unwrap();
    assert!(page.contains("small.mbp-10.dbn.zst"));
    assert!(std::fs::metadata(out.join("report.md")).unwrap().len() > 0);
    let pictures = std::fs::read_dir(&out)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|e| e == "png"));
    assert!(pictures.count() > 0);

    // The Run document can be drawn again, and compared with itself.
    let again = folder.path().join("again");
    let run_json = out.join("run.json");
    lob_ok(&["report", shown(&run_json), "--out", shown(&again), "--format", "md,txt"]);
    assert!(again.join("report.md").exists());
    let compared = json(&lob_ok(&["compare", shown(&run_json), shown(&run_json), "--json"]));
    assert!(!compared["changes"].as_array().unwrap().is_empty());
}

#[test]
fn a_damaged_input_is_a_failed_scenario_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(fixture("small.mbo.dbn.zst")).unwrap();
    let half = folder.path().join("half.mbo.dbn.zst");
    std::fs::write(&half, &whole[..whole.len() / 2]).unwrap();
    let out = folder.path().join("out");
    let output = lob(&[
        "bench",
        "--quick",
        "--suite",
        "convert.bins",
        "--input",
        shown(&half),
        "--out",
        shown(&out),
    ]);
    assert_eq!(output.status.code(), Some(2));
    let run = json(&std::fs::read_to_string(out.join("run.json")).unwrap());
    let decode =
        run["scenarios"].as_array().unwrap().iter().find(|s| s["id"] == "convert.decode").unwrap();
    assert_eq!(decode["status"], "failed");
    assert!(decode["reason"].as_str().unwrap().contains("truncated"));
    assert!(out.join("report.html").exists());
}

/// Waits for something a child does; the limit only ends a test that has failed.
fn wait_for(mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(300);
    while !done() {
        assert!(Instant::now() < limit, "nothing happened");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn ctrl_c_leaves_a_valid_partial_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let history = folder.path().join("history.jsonl");
    let mut child = Command::new(env!("CARGO_BIN_EXE_lob"))
        .args(["bench", "--quick", "--out", shown(&out), "--history", shown(&history)])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let run_json = out.join("run.json");
    wait_for(|| run_json.exists());
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    assert_eq!(child.wait().unwrap().code(), Some(2));
    let run = Run::from_json(&std::fs::read_to_string(run_json).unwrap()).unwrap();
    assert_eq!(run.settings["interrupted"], true);
    assert!(run.scenarios.iter().any(|s| s.status != Status::Skipped), "nothing ran");
    let left = run.scenarios.iter().filter(|s| s.status == Status::Skipped).count();
    assert!(left > 5, "{left} scenarios are skipped");
    assert!(run.notes.iter().any(|n| n.starts_with("interrupted")), "{:?}", run.notes);
    assert!(out.join("report.html").exists());
    assert!(!history.exists(), "half a run is no history");
}

#[test]
fn a_scenario_that_takes_too_long_is_stopped_and_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let args = ["bench", "--quick", "--suite", "depth", "--time-cap-s", "0", "--out", shown(&out)];
    assert_eq!(lob(&args).status.code(), Some(2));
    let run = Run::from_json(&std::fs::read_to_string(out.join("run.json")).unwrap()).unwrap();
    let roof = run.scenarios.iter().find(|s| s.id == "machine.roof").unwrap();
    assert_eq!(roof.status, Status::TimedOut);
    let render = run.scenarios.iter().find(|s| s.id == "depth.render").unwrap();
    assert_eq!(render.status, Status::Skipped);
    assert!(render.reason.as_deref().unwrap().contains("needs"));
}

#[test]
fn the_self_test_prints_its_rates() {
    let folder = tempfile::tempdir().unwrap();
    let input = fixture("small.mbp-10.dbn.zst");
    let args = ["bench", "--self-test", "--quick", "--trials", "1", "--input", shown(&input)];
    let output = lob(&[&args[..], &["--quiet", "--out", shown(folder.path())]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{stderr}");
    let table = String::from_utf8(output.stdout).unwrap();
    for slow_down in ["0 %", "3 %", "5 %", "10 %"] {
        let rows = table.lines().filter(|l| l.contains(&format!(" {slow_down} "))).count();
        assert!(rows >= 4, "{slow_down}: {table}");
    }
    let found = json(&std::fs::read_to_string(folder.path().join("self_test.json")).unwrap());
    let rates = found["rates"].as_array().unwrap();
    assert_eq!(rates.len(), 16);
    let ended = |r: &serde_json::Value| -> u64 {
        let kinds = ["regressions", "improvements", "equivalent", "inconclusive"];
        kinds.iter().map(|k| r[k].as_u64().unwrap()).sum()
    };
    assert!(rates.iter().all(|r| ended(r) == r["trials"].as_u64().unwrap()));
    assert_eq!(rates[0]["machine"], "this machine");
    assert_eq!(rates[0]["trials"], 1);
}

#[test]
fn any_program_is_profiled_and_its_failure_told() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("profile");
    let args = ["profile", "--interval-ms", "5", "--out", shown(&out), "--", "sh", "-c"];
    let said = lob_ok(&[&args[..], &["sleep 0.1"]].concat());
    assert_eq!(said.trim(), shown(&out.join("report.html")));
    let run = json(&std::fs::read_to_string(out.join("run.json")).unwrap());
    let settings = r#"{"program": ["sh", "-c", "sleep 0.1"], "interval_ms": 5}"#;
    assert_eq!(run["settings"], json(settings), "those of a profile, not of a suite");
    let wall = &run["scenarios"][0]["measurements"][0];
    assert_eq!(wall["metric"], "command.wall_time");
    assert!(wall["value"].as_f64().unwrap() >= 0.1);
    assert_eq!(lob(&[&args[..], &["exit 3"]].concat()).status.code(), Some(3), "the program's own");
}
