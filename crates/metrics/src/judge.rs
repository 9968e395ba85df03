//! Targets held against a run.

use crate::reference::in_reference;
use crate::{Direction, Floor, Measurement, Provenance, Run, Scenario, Target, TargetResult};

/// Judges every target against the worst value the run holds for its metric, in the given order.
#[must_use]
pub fn judge_all(targets: &[Target], run: &Run) -> Vec<TargetResult> {
    targets.iter().map(|target| judge_in(target, deciding(target, run))).collect()
}

fn judge_in(target: &Target, deciding: Option<(&Scenario, &Measurement)>) -> TargetResult {
    let mut result = target.judge(deciding.map(|(_, measurement)| measurement));
    if let (Some((scenario, measurement)), Some(value)) = (deciding, result.value) {
        result.floor_at = target.floor.and_then(|floor| floor_at(floor, scenario, measurement));
        result.floor_held = result.floor_at.map(|floor| target.reaches(floor, value));
    }
    result
}

/// Of several measurements of the metric, the one that decides: the worst value in the
/// target's unit, so that a target that holds, holds everywhere.
fn deciding<'a>(target: &Target, run: &'a Run) -> Option<(&'a Scenario, &'a Measurement)> {
    let badness = |m: &Measurement| {
        match m.value() {
            _ if m.unit != target.unit => f64::NEG_INFINITY,
            None if m.provenance() == Provenance::Unavailable => f64::NEG_INFINITY,
            // Measured and no number: nothing can be worse.
            None => f64::INFINITY,
            Some(v) if target.direction == Direction::HigherIsBetter => -v,
            Some(v) => v,
        }
    };
    run.measurements()
        .filter(|(_, m)| m.metric == target.metric)
        .max_by(|(_, a), (_, b)| badness(a).total_cmp(&badness(b)))
}

/// The floor in the unit of the measurement, on the machine and at the time it was measured;
/// `None` where the scenario has no reference.
fn floor_at(floor: Floor, scenario: &Scenario, measurement: &Measurement) -> Option<f64> {
    match floor {
        Floor::Value(floor) => Some(floor),
        Floor::Reference(floor) => {
            Some(floor / in_reference(measurement.unit, 1.0, scenario.reference_s()?)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{REFERENCE, Unit};

    #[test]
    fn a_floor_in_the_reference_moves_with_the_machine() {
        let mut scenario: Scenario = serde_json::from_value(serde_json::json!({
            "id": "a", "suite": "a", "title": "A", "config": {}, "status": "passed", "elapsed_s": 1.0,
            "measurements": [], "scopes": [], "timeline": [], "findings": [], "artifacts": [],
        }))
        .unwrap();
        let rate = |value| {
            let unit = Unit::RecordsPerSecond;
            Measurement::measured("m", unit, Direction::HigherIsBetter, &[value])
        };
        let floor = Floor::Reference(500.0);
        assert_eq!(floor_at(floor, &scenario, &rate(1.0)), None, "no reference, no floor");
        let name = format!("{}.{REFERENCE}", scenario.id);
        let reference = Measurement::measured(&name, Unit::Seconds, Direction::Neutral, &[0.000_5]);
        scenario.measurements.push(reference);
        // 500 records a pass of half a millisecond are a million a second.
        assert_eq!(floor_at(floor, &scenario, &rate(1.0)), Some(1_000_000.0));
        let time = Measurement::measured("m", Unit::Seconds, Direction::LowerIsBetter, &[1.0]);
        assert_eq!(
            floor_at(floor, &scenario, &time),
            Some(0.25),
            "500 passes of half a millisecond"
        );
        assert_eq!(floor_at(Floor::Value(0.3), &scenario, &time), Some(0.3));
    }
}
