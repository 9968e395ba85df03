//! Targets judged over a run.

use lob_fixtures::sample_run;
use lob_metrics::{
    Direction, Floor, Measurement, REFERENCE, Reading, Target, Unit, Verdict, judge_all,
};

fn latency(required: bool) -> Target {
    Target {
        metric: "sample_s".to_owned(),
        unit: Unit::Seconds,
        direction: Direction::LowerIsBetter,
        hard_limit: Some(0.010),
        goal: Some(0.002),
        floor: None,
        required,
        source: "B1".to_owned(),
    }
}

fn measured(unit: Unit, value: f64) -> Measurement {
    Measurement::measured("sample_s", unit, Direction::LowerIsBetter, &[value])
}

#[test]
fn limit_and_goal_are_judged_apart() {
    for (value, verdict, goal_reached) in [
        (0.001, Verdict::Pass, Some(true)),
        (0.010, Verdict::Pass, Some(false)),
        (0.011, Verdict::Fail, Some(false)),
    ] {
        let result = latency(true).judge(Some(&measured(Unit::Seconds, value)));
        assert_eq!((result.verdict, result.goal_reached), (verdict, goal_reached), "{value}");
    }
}

/// One scenario's NaN is not made up for by another's good value.
#[test]
fn a_value_that_is_no_number_decides() {
    let mut run = sample_run();
    let reading = Reading::Measured { value: f64::NAN, note: None };
    let odd = Measurement { reading, ..measured(Unit::Seconds, 0.001) };
    run.scenarios[0].measurements = vec![measured(Unit::Seconds, 0.001), odd];
    run.scenarios.truncate(1);
    assert_eq!(judge_all(&[latency(true)], &run)[0].verdict, Verdict::Fail);
    assert_eq!(judge_all(&[latency(false)], &run)[0].verdict, Verdict::NotMeasured);
}

#[test]
fn an_absent_value_fails_only_where_it_is_required() {
    assert_eq!(latency(true).judge(None).verdict, Verdict::Fail);
    assert_eq!(latency(false).judge(None).verdict, Verdict::NotMeasured);
    let gpu =
        Measurement::unavailable("sample_s", Unit::Seconds, Direction::LowerIsBetter, "no GPU");
    let skipped = latency(false).judge(Some(&gpu));
    assert_eq!(
        (skipped.verdict, skipped.reason.as_deref()),
        (Verdict::NotMeasured, Some("no GPU"))
    );
}

#[test]
fn a_required_metric_without_a_value_fails_the_run() {
    let unavailable =
        Measurement::unavailable("sample_s", Unit::Seconds, Direction::LowerIsBetter, "no GPU");
    let gone = measured(Unit::Seconds, f64::NAN);
    let no_limit = |required| Target { hard_limit: None, ..latency(required) };
    // What a scenario left of the metric, required or not, and the verdict.
    for (left, required, expected) in [
        (None, true, Verdict::Fail),
        (None, false, Verdict::NotMeasured),
        (Some(unavailable.clone()), true, Verdict::Fail),
        (Some(unavailable), false, Verdict::NotMeasured),
        (Some(gone), true, Verdict::Fail),
        (Some(measured(Unit::Seconds, 0.001)), true, Verdict::Pass),
    ] {
        let mut run = sample_run();
        run.scenarios[0].measurements.extend(left.clone());
        for target in [latency(required), no_limit(required)] {
            let result = judge_all(&[target], &run).remove(0);
            assert_eq!(result.verdict, expected, "{left:?}, required: {required}");
            assert_eq!(result.reason.is_none(), expected == Verdict::Pass, "{left:?}");
        }
    }
    let read: Target = serde_json::from_str(
        r#"{"metric": "m", "unit": "s", "direction": "lower_is_better", "goal": 1.0}"#,
    )
    .unwrap();
    assert!(!read.required, "a metric is required only where the file says so");
}

#[test]
fn a_value_below_the_floor_passes_its_limit_and_is_named() {
    let mut run = sample_run();
    let scenario = &mut run.scenarios[0];
    let reference = format!("{}.{}", scenario.id, REFERENCE);
    scenario.measurements.push(Measurement::measured(
        &reference,
        Unit::Seconds,
        Direction::Neutral,
        &[0.000_5],
    ));
    scenario.measurements.push(measured(Unit::Seconds, 0.003));
    // Of a reference of half a millisecond 3 ms are six times.
    for (floor, at, held) in [
        (None, None, None),
        (Some(Floor::Reference(7.0)), Some(0.003_5), Some(true)),
        (Some(Floor::Reference(5.0)), Some(0.002_5), Some(false)),
        (Some(Floor::Value(0.001)), Some(0.001), Some(false)),
    ] {
        let target = Target { floor, ..latency(true) };
        let result = judge_all(&[target], &run).remove(0);
        assert_eq!(result.verdict, Verdict::Pass, "a floor is no limit");
        assert_eq!((result.floor_at, result.floor_held), (at, held), "{floor:?}");
        run.targets = vec![result];
        assert_eq!(run.below_floor().count(), usize::from(held == Some(false)));
        run.settings.insert("strict".to_owned(), false.into());
        assert!(run.passed(), "floors belong to strict runs");
        run.settings.insert("strict".to_owned(), true.into());
        assert_eq!(run.passed(), held != Some(false));
    }
    let absent = Target { floor: Some(Floor::Value(1.0)), ..latency(false) };
    let absent = Target { metric: "nowhere".to_owned(), ..absent };
    let result = judge_all(&[absent], &run).remove(0);
    assert_eq!((result.floor_at, result.floor_held), (None, None));
}

#[test]
fn another_unit_is_not_compared() {
    let result = latency(true).judge(Some(&measured(Unit::Bytes, 0.001)));
    assert_eq!((result.verdict, result.value), (Verdict::Fail, None));
    assert!(result.reason.unwrap().contains("`B`"));
}

#[test]
fn the_worst_scenario_decides() {
    let mut run = sample_run();
    run.scenarios[0].measurements.push(measured(Unit::Seconds, 0.001));
    run.scenarios[1].measurements.push(measured(Unit::Seconds, 0.020));
    let results = judge_all(&[latency(true)], &run);
    assert_eq!((results[0].value, results[0].verdict), (Some(0.020), Verdict::Fail));
    assert_eq!(judge_all(&[], &run), []);
}
