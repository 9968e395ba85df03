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
    found.value.unwrap_or_else(|| panic!("{name}: {:?}", found.reason))
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
    assert!(leaking.scenario.findings.iter().any(|f| f.text.starts_with("leak")));
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
    assert!(measured(&writing, "disk_written").value.is_some());
}
