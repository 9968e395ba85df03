//! Targets: a hard limit and a goal per metric, and the verdict on a measured value.

use serde::{Deserialize, Serialize};

use crate::{Direction, Floor, Measurement, Provenance, Run, Scenario, Unit};

/// What a metric must reach.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Metric name as in [`Measurement::metric`].
    pub metric: String,
    /// Unit of both figures.
    pub unit: Unit,
    /// Which way is better; decides on which side of the figures a value must lie.
    pub direction: Direction,
    /// Missing this fails the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hard_limit: Option<f64>,
    /// What we aim for; missing it is reported, not failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<f64>,
    /// What a machine of the usual kind reaches; missing it fails a strict run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Floor>,
    /// Whether an absent value fails the run.
    #[serde(default)]
    pub required: bool,
    /// Which seed document or reference the figure comes from.
    #[serde(default)]
    pub source: String,
}

/// The outcome of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The hard limit holds.
    Pass,
    /// The hard limit is missed, or a required value is absent.
    Fail,
    /// No value, and none was required.
    NotMeasured,
}

/// A target with the value found and the verdict on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetResult {
    /// The target judged.
    #[serde(flatten)]
    pub target: Target,
    /// The value found.
    pub value: Option<f64>,
    /// The verdict on the hard limit.
    pub verdict: Verdict,
    /// Whether the goal is reached too; `None` without a goal or a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal_reached: Option<bool>,
    /// The floor in the target's unit on the machine of the run; `None` without one, or where the
    /// scenario has no reference to tell it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor_at: Option<f64>,
    /// Whether the value reaches the floor; `None` without either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor_held: Option<bool>,
    /// Why there is no verdict or a value was not comparable, when that needs saying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Target {
    /// Judges a measurement, or its absence, against this target. A value in another unit counts
    /// as absent: seconds are never held against bytes. Floors need the scenario of the
    /// measurement and are judged by [`judge_all`].
    #[must_use]
    pub fn judge(&self, measurement: Option<&Measurement>) -> TargetResult {
        let comparable = measurement.filter(|m| m.unit == self.unit);
        let value = comparable.and_then(Measurement::value);
        let verdict = match (value, self.hard_limit) {
            (None, _) if self.required => Verdict::Fail,
            (None, _) => Verdict::NotMeasured,
            (Some(v), Some(limit)) if !self.reaches(limit, v) => Verdict::Fail,
            (Some(_), _) => Verdict::Pass,
        };
        let goal_reached = value.zip(self.goal).map(|(v, goal)| self.reaches(goal, v));
        let reason = match (value, measurement) {
            (Some(_), _) => None,
            (None, None) => Some("no scenario of this run measures it".to_owned()),
            (None, Some(m)) if m.unit != self.unit => {
                Some(format!("measured in `{}`, the target is in `{}`", m.unit, self.unit))
            }
            (None, Some(m)) => m.reason().map(str::to_owned),
        };
        let target = self.clone();
        let (floor_at, floor_held) = (None, None);
        TargetResult { target, value, verdict, goal_reached, floor_at, floor_held, reason }
    }

    fn judge_in(&self, deciding: Option<(&Scenario, &Measurement)>) -> TargetResult {
        let mut result = self.judge(deciding.map(|(_, measurement)| measurement));
        if let (Some((scenario, measurement)), Some(value)) = (deciding, result.value) {
            result.floor_at = self.floor.and_then(|floor| floor.at(scenario, measurement));
            result.floor_held = result.floor_at.map(|floor| self.reaches(floor, value));
        }
        result
    }

    fn reaches(&self, figure: f64, value: f64) -> bool {
        match self.direction {
            Direction::HigherIsBetter => value >= figure,
            Direction::LowerIsBetter => value <= figure,
            Direction::Neutral => true,
        }
    }

    /// Of several measurements of the metric, the one that decides: the worst value in the
    /// target's unit, so that a target that holds, holds everywhere.
    fn deciding<'a>(&self, run: &'a Run) -> Option<(&'a Scenario, &'a Measurement)> {
        let badness = |m: &Measurement| {
            match m.value() {
                _ if m.unit != self.unit => f64::NEG_INFINITY,
                None if m.provenance() == Provenance::Unavailable => f64::NEG_INFINITY,
                // Measured and no number: nothing can be worse.
                None => f64::INFINITY,
                Some(v) if self.direction == Direction::HigherIsBetter => -v,
                Some(v) => v,
            }
        };
        run.measurements()
            .filter(|(_, m)| m.metric == self.metric)
            .max_by(|(_, a), (_, b)| badness(a).total_cmp(&badness(b)))
    }
}

/// Judges every target against the worst value the run holds for its metric, in the given order.
#[must_use]
pub fn judge_all(targets: &[Target], run: &Run) -> Vec<TargetResult> {
    targets.iter().map(|target| target.judge_in(target.deciding(run))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reading;

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
        let mut run = Run::sample();
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
            let mut run = Run::sample();
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
        let mut run = Run::sample();
        let scenario = &mut run.scenarios[0];
        let reference = format!("{}.{}", scenario.id, crate::REFERENCE);
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
        let mut run = Run::sample();
        run.scenarios[0].measurements.push(measured(Unit::Seconds, 0.001));
        run.scenarios[1].measurements.push(measured(Unit::Seconds, 0.020));
        let results = judge_all(&[latency(true)], &run);
        assert_eq!((results[0].value, results[0].verdict), (Some(0.020), Verdict::Fail));
        assert_eq!(judge_all(&[], &run), []);
    }
}
