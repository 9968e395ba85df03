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

/// One metric in a scenario of this suite, with the reference workload at `reference_s`.
fn run_of(suite: &str, measurement: Measurement, reference_s: Option<f64>) -> lob_metrics::Run {
    let mut run = sample_run();
    run.scenarios.truncate(1);
    let scenario = &mut run.scenarios[0];
    suite.clone_into(&mut scenario.suite);
    scenario.measurements = vec![measurement];
    let name = format!("{}.reference", scenario.id);
    scenario.measurements.extend(reference_s.map(|s| {
        Measurement::measured(&name, Unit::Seconds, Direction::Neutral, &[s])
            .with_role(lob_metrics::Role::Reference)
    }));
    run
}

#[test]
fn small_differences_of_single_readings_are_noise() {
    use ChangeVerdict::{Improvement, Regression, Unchanged};
    let mib = 1_048_576.0;
    for (suite, unit, base, current, expected) in [
        // What two profiles of one program differ by.
        ("profile", Unit::Count, 2.0, 3.0, Unchanged),
        ("profile", Unit::Count, 0.0, 1.0, Unchanged),
        ("profile", Unit::Bytes, 0.0, 24_576.0, Unchanged),
        ("profile", Unit::Seconds, 0.004, 0.008, Unchanged),
        ("profile", Unit::Seconds, 0.038, 0.049, Unchanged),
        ("profile", Unit::Fraction, 0.001, 0.002, Unchanged),
        // And what is a change all the same.
        ("profile", Unit::Count, 33.0, 101.0, Unchanged),
        ("profile", Unit::Count, 76.0, 170.0, Unchanged),
        ("profile", Unit::Count, 2.0, 60.0, Regression),
        ("profile", Unit::Count, 10_000.0, 12_000.0, Regression),
        ("render", Unit::Count, 33.0, 101.0, Regression),
        ("profile", Unit::Bytes, 0.0, 2.0 * mib, Regression),
        ("profile", Unit::Bytes, 50.0 * mib, 40.0 * mib, Improvement),
        ("profile", Unit::Seconds, 0.100, 0.150, Regression),
        ("profile", Unit::Fraction, 0.30, 0.40, Regression),
        // A latency that a stopwatch took is no account of the kernel.
        ("render", Unit::Seconds, 4e-6, 8e-6, Regression),
    ] {
        let run = |value: f64| {
            let lower = Direction::LowerIsBetter;
            run_of(suite, Measurement::measured("x", unit, lower, &[value]), None)
        };
        let found = &compare(&run(base), &run(current), &CompareConfig::default()).unwrap()[0];
        assert_eq!(found.verdict, expected, "{suite} {unit} {base} {current}: {found:?}");
    }
    // Where the samples themselves say how far they stray there is no further tolerance.
    let run = |value: f64| {
        let samples = [value; 4];
        let lower = Direction::LowerIsBetter;
        run_of("profile", Measurement::measured("x", Unit::Count, lower, &samples), None)
    };
    let found = &compare(&run(2.0), &run(3.0), &CompareConfig::default()).unwrap()[0];
    assert_eq!((found.verdict, found.slack.to_bits()), (Regression, 0.0f64.to_bits()));
}

#[test]
fn a_slower_machine_is_no_regression() {
    use ChangeVerdict::{NotComparable, Regression, Unchanged};
    let (time, rate) = (Unit::Seconds, Unit::SamplesPerSecond);
    for (unit, base, current, reference, expected) in [
        (time, 1.0, 1.3, 1.3, Unchanged),
        (rate, 130.0, 100.0, 1.3, Unchanged),
        (time, 1.0, 1.3, 1.0, Regression),
        (time, 1.0, 1.6, 1.3, Regression),
        // Faster than the machine allows for, and yet no slower: nothing to blame.
        (time, 1.0, 1.0, 1.3, Unchanged),
        (time, 1.0, 3.6, 3.6, NotComparable),
        (time, 1.0, 9.0, 3.6, NotComparable),
        (time, 1.0, 1.0, 0.3, NotComparable),
        (rate, 100.0, 10.0, 3.6, NotComparable),
        // What is counted does not hang on the speed of the machine.
        (Unit::Count, 100.0, 200.0, 3.6, Regression),
    ] {
        let direction = if unit == Unit::SamplesPerSecond {
            Direction::HigherIsBetter
        } else {
            Direction::LowerIsBetter
        };
        let run = |value: f64, reference_s: f64| {
            let measured = Measurement::measured("x", unit, direction, &[value]);
            run_of("render", measured, Some(reference_s))
        };
        let (base, current) = (run(base, 0.001), run(current, 0.001 * reference));
        let found = &compare(&base, &current, &CompareConfig::default()).unwrap()[0];
        assert_eq!(found.verdict, expected, "{found:?} at {reference}");
        let slowdown = lob_metrics::machine_slowdown(&base, &current).unwrap();
        assert!((slowdown - reference).abs() < 1e-9);
    }
}

#[test]
fn other_inputs_are_refused_unless_forced() {
    let base = sample_run();
    assert!(!base.inputs.is_empty(), "the example reads a file");
    let config = CompareConfig::default();
    let mut moved = base.clone();
    moved.inputs[0].path = "elsewhere/same.dbn".to_owned();
    assert!(compare(&base, &moved, &config).is_ok(), "a path is no content");
    let mut other = base.clone();
    other.inputs[0].sha256 = "0".repeat(64);
    other.inputs[0].fingerprint = Some("0".repeat(32));
    other.inputs[0].path = "other.dbn".to_owned();
    let refused = compare(&base, &other, &config).unwrap_err().to_string();
    assert!(refused.contains("other.dbn") && refused.contains("--force"), "{refused}");
    assert!(compare(&base, &other, &CompareConfig { force: true, ..config }).is_ok());
    let mut fewer = base.clone();
    fewer.inputs.push(other.inputs[0].clone());
    assert!(compare(&base, &fewer, &config).is_err(), "one more file is another input");
    let mut none = base.clone();
    none.inputs.clear();
    assert!(compare(&base, &none, &config).is_ok(), "what made its own records names none");
}

/// A launch that had to wait for a core, or ended after a few samples, tells nothing of its own.
#[test]
fn what_a_profile_cannot_tell_has_no_verdict() {
    use ChangeVerdict::{NotComparable, Regression};
    let run = |metric: &str, unit: Unit, value: f64, waited: Option<f64>, samples: u64| {
        let lower = Direction::LowerIsBetter;
        let name = format!("command.{metric}");
        let mut run = run_of("profile", Measurement::measured(&name, unit, lower, &[value]), None);
        let scenario = &mut run.scenarios[0];
        scenario.config.insert("samples".to_owned(), samples.into());
        let neutral = Direction::Neutral;
        let fraction = Unit::Fraction;
        scenario.measurements.push(match waited {
            Some(share) => {
                Measurement::measured("command.waiting.cpu", fraction, neutral, &[share])
            }
            None => Measurement::unavailable("command.waiting.cpu", fraction, neutral, "too short"),
        });
        run
    };
    let (seconds, bytes, mib) = (Unit::Seconds, Unit::Bytes, 1_048_576.0);
    for (metric, unit, base, current, waited, samples, expected) in [
        ("wall_time", seconds, 1.0, 1.5, Some(0.02), 50, Regression),
        ("wall_time", seconds, 1.0, 1.5, Some(0.55), 50, NotComparable),
        ("wall_time", seconds, 1.0, 1.5, None, 2, NotComparable),
        ("cpu_time", seconds, 1.0, 1.5, Some(0.55), 50, Regression),
        ("peak_rss", bytes, mib, 9.0 * mib, Some(0.02), 50, Regression),
        ("peak_rss", bytes, mib, 9.0 * mib, Some(0.02), 3, NotComparable),
        ("peak_process_rss", bytes, mib, 9.0 * mib, Some(0.02), 3, Regression),
    ] {
        let (base, current) =
            (run(metric, unit, base, Some(0.0), 50), run(metric, unit, current, waited, samples));
        let config = CompareConfig::default();
        let found = &compare(&base, &current, &config).unwrap()[0];
        assert_eq!(found.verdict, expected, "{found:?} {waited:?} {samples}");
        // It is either run's fault.
        let back = &compare(&current, &base, &config).unwrap()[0];
        assert_eq!(back.verdict == NotComparable, expected == NotComparable, "{back:?}");
    }
}
