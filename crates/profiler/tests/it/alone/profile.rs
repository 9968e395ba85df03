//! One stretch of work measured from every side.

use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use lob_metrics::Unit;
use lob_profiler::profile;
use lob_scope::OTHER_NAMES;

#[test]
fn a_profile_holds_time_memory_scopes_and_a_timeline() {
    let (sum, profile) = profile("profiled work", Duration::from_millis(1), || {
        let _scope = lob_scope::scope("inner \"part\"");
        let block = black_box(vec![1u8; 16 << 20]);
        block.iter().map(|byte| u64::from(*byte)).sum::<u64>()
    });
    assert_eq!(sum, 16 << 20);
    let value = |metric: &str| {
        let found = profile.measurements.iter().find(|m| m.metric == metric).unwrap();
        assert!(found.value().is_some() || found.reason().is_some(), "{metric}");
        found.value()
    };
    assert!(value("wall_time").unwrap() > 0.0);
    #[cfg(target_os = "linux")]
    {
        assert!(value("cpu_time").unwrap() > 0.0);
        assert!(value("peak_rss").unwrap() > (16 << 20) as f64);
        assert!(value("page_faults.minor").unwrap() > 0.0);
        assert!(profile.timeline.iter().any(|t| t.metric == "rss" && t.unit == Unit::Bytes));
    }
    let paths: Vec<&str> = profile.scopes.iter().map(|s| s.path.as_str()).collect();
    assert_eq!(paths, ["profiled work", "profiled work/inner \"part\""]);
    let scenario = profile.into_scenario("tests");
    assert_eq!((scenario.id.as_str(), scenario.scopes.len()), ("profiled work", 2));
}

#[test]
fn names_past_the_limit_are_recorded_together_and_warned_of_once() {
    // The limit holds for a whole process, so another one is driven into it.
    let output = Command::new(crate::example("behave")).arg("names").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let limit = lob_scope::MAX_DYNAMIC_NAMES as u64;
    let refused = 1100 - limit;
    assert_eq!(lines[0], format!("{} scopes", limit + 1), "{text}");
    assert_eq!(lines[1], format!("{refused} calls of {OTHER_NAMES}"), "{text}");
    assert!(lines[2].starts_with(&format!("{refused} calls")), "{text}");
    assert_eq!(lines.len(), 3, "one warning: {text}");
}
