//! Two runs compared, metric by metric.

use lob_fixtures::sample_run;
use lob_metrics::{
    COUNTS_REPEAT, ChangeVerdict, CompareConfig, Direction, Measurement, MetricsError,
    PEAK_RSS_REPEATS, Unit, compare,
};

/// The verdict on one metric that goes from `base` to `current`.
fn verdict(direction: Direction, base: Option<f64>, current: Option<f64>) -> ChangeVerdict {
    let run = |value: Option<f64>| {
        let mut run = sample_run();
        let m = match value {
            Some(v) => Measurement::measured("x", Unit::Seconds, direction, &[v]),
            None => Measurement::unavailable("x", Unit::Seconds, direction, "sensor missing"),
        };
        run.scenarios[0].measurements = vec![m];
        run.scenarios.truncate(1);
        run
    };
    let changes = compare(&run(base), &run(current), &CompareConfig::default()).unwrap();
    assert_eq!(changes.len(), 1);
    changes[0].verdict
}

#[test]
fn each_metric_is_judged_by_its_own_direction() {
    use ChangeVerdict::*;
    use Direction::*;
    for (direction, base, current, expected) in [
        (HigherIsBetter, Some(100.0), Some(120.0), Improvement),
        (HigherIsBetter, Some(100.0), Some(80.0), Regression),
        (LowerIsBetter, Some(100.0), Some(120.0), Regression),
        (LowerIsBetter, Some(100.0), Some(80.0), Improvement),
        (LowerIsBetter, Some(100.0), Some(109.0), Unchanged),
        (Neutral, Some(100.0), Some(200.0), Changed),
        (LowerIsBetter, Some(0.0), Some(1.0), Regression),
        (LowerIsBetter, Some(0.0), Some(0.0), Unchanged),
        (LowerIsBetter, Some(-1.0), Some(-2.0), Improvement),
        (LowerIsBetter, Some(1.0), None, Lost),
        (LowerIsBetter, None, Some(1.0), New),
        (LowerIsBetter, None, None, NotComparable),
    ] {
        assert_eq!(
            verdict(direction, base, current),
            expected,
            "{direction:?} {base:?} {current:?}"
        );
    }
}

#[test]
fn counts_are_held_to_the_last_one() {
    for (within, current, expected) in [
        (Some(COUNTS_REPEAT), 101.0, ChangeVerdict::Regression),
        (Some(COUNTS_REPEAT), 99.0, ChangeVerdict::Improvement),
        (Some(COUNTS_REPEAT), 100.0, ChangeVerdict::Unchanged),
        (Some(PEAK_RSS_REPEATS), 104.0, ChangeVerdict::Unchanged),
        (Some(PEAK_RSS_REPEATS), 106.0, ChangeVerdict::Regression),
        (None, 106.0, ChangeVerdict::Unchanged),
    ] {
        let run = |value: f64| {
            let mut run = sample_run();
            run.scenarios.truncate(1);
            let lower = Direction::LowerIsBetter;
            let figure = Measurement::measured("figure", Unit::Count, lower, &[value]);
            run.scenarios[0].measurements = vec![Measurement { repeats_within: within, ..figure }];
            run
        };
        let changes = compare(&run(100.0), &run(current), &CompareConfig::default()).unwrap();
        assert_eq!(changes[0].verdict, expected, "{within:?} {current}");
    }
}

#[test]
fn other_machines_are_refused_unless_forced() {
    let base = sample_run();
    let mut current = base.clone();
    current.host.fingerprint = "another".to_owned();
    let refused = compare(&base, &current, &CompareConfig::default()).unwrap_err().to_string();
    assert!(refused.contains("another") && refused.contains("--force"), "{refused}");
    let forced = CompareConfig { force: true, ..CompareConfig::default() };
    assert!(!compare(&base, &current, &forced).unwrap().is_empty());
}

#[test]
fn a_threshold_must_be_a_positive_share() {
    let run = sample_run();
    for threshold in [0.0, -0.1, f64::NAN] {
        let config = CompareConfig { threshold, force: false };
        assert!(matches!(compare(&run, &run, &config), Err(MetricsError::Threshold { .. })));
    }
}

#[test]
fn a_metric_that_is_gone_is_named() {
    let base = sample_run();
    let mut current = base.clone();
    let gone = current.scenarios[0].measurements.remove(0);
    let changes = compare(&base, &current, &CompareConfig::default()).unwrap();
    let lost: Vec<_> = changes.iter().filter(|c| c.verdict == ChangeVerdict::Lost).collect();
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].metric, gone.metric);
}
