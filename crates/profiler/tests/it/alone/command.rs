//! Programs profiled from outside.

use std::process::{Command, Stdio};
use std::time::Duration;

use lob_metrics::{Measurement, Status};
use lob_profiler::{Bound, CommandProfile, LeakVerdict, ProfilerError, profile_command};

const INTERVAL: Duration = Duration::from_millis(4);

fn profiled(arguments: &[&str]) -> CommandProfile {
    let mut command = Command::new(crate::example("behave"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    profile_command(command, INTERVAL).unwrap()
}

fn measured<'a>(profile: &'a CommandProfile, name: &str) -> &'a Measurement {
    let name = format!("command.{name}");
    profile.scenario.measurements.iter().find(|m| m.metric == name).unwrap()
}

#[cfg(target_os = "linux")]
fn value(profile: &CommandProfile, name: &str) -> f64 {
    let found = measured(profile, name);
    found.value().unwrap_or_else(|| panic!("{name}: {:?}", found.reason()))
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let error = profile_command(Command::new("no-such-program-at-all"), INTERVAL).unwrap_err();
    assert!(matches!(&error, ProfilerError::Start { .. }));
    assert!(error.to_string().contains("no-such-program-at-all"));
}

#[test]
fn a_program_that_fails_makes_the_scenario_fail() {
    let profile = profiled(&["fail"]);
    assert_eq!(profile.status.code(), Some(3));
    assert_eq!(profile.scenario.status, Status::Failed);
    assert!(profile.scenario.reason.as_ref().unwrap().contains("exit"), "{:?}", profile.scenario);
    assert_eq!(profile.scenario.config["arguments"], serde_json::json!(["fail"]));
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_that_leaks_is_accused_and_one_that_spins_is_not() {
    let leaking = profiled(&["leak"]);
    assert_eq!(leaking.leak.verdict, LeakVerdict::Leak, "{}", leaking.leak.text("s"));
    let leaks = leaking.scenario.findings.iter().filter(|f| f.text.starts_with("leak"));
    let leaks: Vec<&str> = leaks.map(|f| f.text.as_str()).collect();
    assert!(leaks[0].contains("memory grows to the end"), "{leaks:?}");
    // Where the kernel tells, the line is named too.
    if leaking.memory_lines.is_ok() {
        assert!(leaks[1].contains("behave.rs:") && leaks[1].contains("leak"), "{leaks:?}");
    }
    assert!(value(&leaking, "peak_rss") > (60 << 20) as f64);
    assert!(value(&leaking, "page_faults.minor") > 10_000.0);

    let spinning = profiled(&["spin"]);
    assert_ne!(spinning.leak.verdict, LeakVerdict::Leak, "{}", spinning.leak.text("s"));
    assert!(value(&spinning, "cpu_time") >= 0.29, "the program itself counts 0.3 s");
    // Also where it does not get its turn: it was ready to run all the time.
    assert_eq!(spinning.bound, Bound::Cpu, "{:?}", spinning.scenario.findings);
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_that_waits_is_told_from_one_that_works() {
    let sleeping = profiled(&["sleep"]);
    assert!(matches!(sleeping.bound, Bound::Sleep | Bound::Mixed), "{:?}", sleeping.bound);
    assert!(value(&sleeping, "cpu_share") < 0.5);
    assert!(value(&sleeping, "context_switches.voluntary") >= 1.0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_that_waits_for_another_is_said_to_wait_for_its_stream() {
    let waiting = profiled(&["pipe"]);
    assert_eq!(waiting.bound, Bound::StreamIo, "{:?}", waiting.scenario.findings);
    let said = waiting.scenario.findings.iter().any(|f| f.text.starts_with("I/O-bound"));
    assert!(said && value(&waiting, "waiting.stream") > 0.5);
}

#[test]
fn the_run_of_a_program_opens_in_a_viewer() {
    let profile = profiled(&["spin"]);
    let document: serde_json::Value = serde_json::from_str(&profile.to_chrome_json()).unwrap();
    let events = document["traceEvents"].as_array().unwrap();
    let of = |phase: &'static str| events.iter().filter(move |e| e["ph"] == phase);
    let number = |event: &serde_json::Value, key: &str| event[key].as_f64().unwrap();
    let program = of("X").next().unwrap();
    assert!((number(program, "dur") / 1e6 - profile.scenario.elapsed_s).abs() < 1e-6);
    assert_eq!(of("i").count(), profile.scenario.findings.len());
    let points: usize = profile.scenario.timeline.iter().map(|t| t.t_s.len()).sum();
    assert_eq!(of("C").count(), points);
    assert!(of("C").all(|e| e["args"]["value"].is_number() && number(e, "ts") >= 0.0));
    assert!(of("C").all(|e| e["name"].as_str().unwrap().ends_with(')')), "a unit in each name");
    let Ok(lines) = &profile.lines else { return };

    // Every thread has its row, and in a row pieces of work lie inside each other or apart.
    for thread in &lines.threads {
        let row: Vec<(f64, f64)> = of("X")
            .filter(|e| e["pid"] == thread.pid && e["tid"] == thread.tid)
            .map(|e| (number(e, "ts"), number(e, "ts") + number(e, "dur")))
            .collect();
        let apart = |a: &(f64, f64), b: &(f64, f64)| {
            let inside = |a: &(f64, f64), b: &(f64, f64)| b.0 <= a.0 + 2e-3 && a.1 <= b.1 + 2e-3;
            inside(a, b) || inside(b, a) || a.1 <= b.0 + 2e-3 || b.1 <= a.0 + 2e-3
        };
        assert!(!row.is_empty(), "{thread:?}");
        assert!(row.iter().all(|a| row.iter().all(|b| apart(a, b))), "{row:?}");
    }
    let samples = document["samples"].as_array().unwrap();
    assert_eq!(samples.len(), lines.timed.len());
    let frames = document["stackFrames"].as_object().unwrap();
    for sample in samples {
        let mut at = sample["sf"].as_str().map(str::to_owned);
        let mut names = Vec::new();
        while let Some(id) = at {
            names.push(frames[&id]["name"].as_str().unwrap());
            at = frames[&id]["parent"].as_str().map(str::to_owned);
        }
        assert_eq!(names.last(), Some(&"behave"), "{names:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn descendants_count() {
    let alone = profiled(&["sleep"]);
    let family = profiled(&["family"]);
    assert!(value(&family, "cpu_time") >= 0.29, "the child's time was lost");
    assert_eq!(value(&alone, "processes"), 1.0);
    assert_eq!(value(&family, "processes"), 2.0);
    let series = |name: &str| family.scenario.timeline.iter().find(|t| t.metric == name).unwrap();
    for name in ["rss", "anon_rss", "cpu_share", "threads"] {
        assert_eq!(series(name).t_s.len(), series(name).values.len(), "{name}");
        assert!(series(name).t_s.is_sorted(), "{name}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn bytes_read_and_written_are_counted() {
    let writing = profiled(&["write"]);
    assert!(value(&writing, "written") >= (8 << 20) as f64);
    assert!(measured(&writing, "disk_written").value().is_some());
}

#[cfg(target_os = "linux")]
#[test]
fn the_hot_lines_of_a_program_and_of_its_children_are_named() {
    for mode in ["spin", "family"] {
        let profile = profiled(&[mode]);
        let lines = match &profile.lines {
            Ok(lines) => lines,
            Err(missing) => {
                // Not every kernel lets programs be sampled; then it says why.
                assert!(missing.reason.contains("perf_event"), "{missing}");
                return;
            }
        };
        assert!(lines.samples >= 50, "{mode}: {} samples of 0.3 s", lines.samples);
        let hot: Vec<_> = lines.hot_lines().collect();
        let names = |l: &&lob_profiler::stacks::HotLine| {
            l.file.as_ref().is_some_and(|f| f.ends_with("behave.rs"))
        };
        assert!(hot.first().is_some_and(names), "{mode}: {hot:?}");
        assert!(hot[0].function.contains("spin") && hot[0].module == "behave", "{mode}: {hot:?}");
        let finding = profile.scenario.findings.iter().find(|f| f.text.starts_with("hot line"));
        assert!(finding.unwrap().text.contains("behave.rs:"), "{finding:?}");
        let main =
            lines.stacks.iter().filter(|s| s.frames.iter().any(|f| f.name == "behave::main"));
        assert!(main.map(|s| s.samples).sum::<u64>() * 10 > lines.samples * 9, "unwound to main");
        assert_eq!(value(&profile, "stack_samples"), lines.samples as f64);
    }
}

#[test]
fn hardware_counters_have_a_value_or_a_reason() {
    let profile = profiled(&["spin"]);
    for name in ["instructions", "cycles", "cache_misses", "branch_misses"] {
        let found = measured(&profile, name);
        match found.value() {
            Some(count) => assert!(name == "cache_misses" || count > 1000.0, "{name}: {count}"),
            None => assert!(found.reason().as_ref().is_some_and(|r| !r.is_empty()), "{name}"),
        }
    }
}
