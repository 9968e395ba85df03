//! Targets: a hard limit and a goal per metric, and the verdict on a measured value.

use serde::{Deserialize, Serialize};

use crate::{Direction, Floor, Measurement, Unit};

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
    /// measurement and are judged by [`judge_all`](crate::judge_all).
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

    pub(crate) fn reaches(&self, figure: f64, value: f64) -> bool {
        match self.direction {
            Direction::HigherIsBetter => value >= figure,
            Direction::LowerIsBetter => value <= figure,
            Direction::Neutral => true,
        }
    }
}
