//! Targets: a hard limit and a goal per metric, and the verdict on a measured value.

use serde::{Deserialize, Serialize};

use crate::{Direction, Measurement, Run, Unit};

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
    /// Why there is no verdict or a value was not comparable, when that needs saying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Target {
    /// Judges a measurement, or its absence, against this target. A value in another unit counts
    /// as absent: seconds are never held against bytes.
    #[must_use]
    pub fn judge(&self, measurement: Option<&Measurement>) -> TargetResult {
        let comparable = measurement.filter(|m| m.unit == self.unit);
        let value = comparable.and_then(|m| m.value).filter(|v| v.is_finite());
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
            (None, Some(m)) => m.reason.clone(),
        };
        TargetResult { target: self.clone(), value, verdict, goal_reached, reason }
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
    fn deciding<'a>(&self, run: &'a Run) -> Option<&'a Measurement> {
        let badness = |m: &Measurement| {
            match m.value.filter(|_| m.unit == self.unit) {
                None => f64::NEG_INFINITY,
                // Measured and no number: nothing can be worse.
                Some(v) if !v.is_finite() => f64::INFINITY,
                Some(v) if self.direction == Direction::HigherIsBetter => -v,
                Some(v) => v,
            }
        };
        run.measurements()
            .map(|(_, m)| m)
            .filter(|m| m.metric == self.metric)
            .max_by(|a, b| badness(a).total_cmp(&badness(b)))
    }
}

/// Judges every target against the worst value the run holds for its metric, in the given order.
#[must_use]
pub fn judge_all(targets: &[Target], run: &Run) -> Vec<TargetResult> {
    targets.iter().map(|target| target.judge(target.deciding(run))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(required: bool) -> Target {
        Target {
            metric: "sample_s".to_owned(),
            unit: Unit::Seconds,
            direction: Direction::LowerIsBetter,
            hard_limit: Some(0.010),
            goal: Some(0.002),
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
        let odd = Measurement { value: Some(f64::NAN), ..measured(Unit::Seconds, 0.001) };
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
