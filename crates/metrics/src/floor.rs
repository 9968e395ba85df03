//! Floors: what a figure reaches on a machine of the usual kind, below which something broke.

use serde::{Deserialize, Serialize};

use crate::history::{in_reference, reference_s};
use crate::{Measurement, Scenario, Unit};

/// The least (of a time: the most) that is expected of a metric. Limits are what somebody asked for
/// once and may be a thousand times off; a floor is near what the program does, so that half the
/// speed lost is noticed. Both forms travel between machines.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Floor {
    /// In the target's own unit: for figures that are ratios already, such as shares of a roof.
    Value(f64),
    /// In units of the reference workload that ran beside the scenario: a time divided by the
    /// workload's time, a rate multiplied with it.
    Reference(f64),
}

impl Floor {
    /// Whether a metric in `unit` can have this floor: only times and rates have a ratio to the
    /// reference workload.
    #[must_use]
    pub fn fits(self, unit: Unit) -> bool {
        match self {
            Self::Value(floor) => floor.is_finite(),
            Self::Reference(floor) => {
                floor.is_finite() && floor > 0.0 && in_reference(unit, 1.0, 1.0).is_some()
            }
        }
    }

    /// The floor in the unit of the measurement, on the machine and at the time it was measured;
    /// `None` where the scenario has no reference.
    pub(crate) fn at(self, scenario: &Scenario, measurement: &Measurement) -> Option<f64> {
        match self {
            Self::Value(floor) => Some(floor),
            Self::Reference(floor) => {
                Some(floor / in_reference(measurement.unit, 1.0, reference_s(scenario)?)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Direction, REFERENCE};

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
        assert_eq!(floor.at(&scenario, &rate(1.0)), None, "no reference, no floor");
        let name = format!("{}.{REFERENCE}", scenario.id);
        let reference = Measurement::measured(&name, Unit::Seconds, Direction::Neutral, &[0.000_5]);
        scenario.measurements.push(reference);
        // 500 records a pass of half a millisecond are a million a second.
        assert_eq!(floor.at(&scenario, &rate(1.0)), Some(1_000_000.0));
        let time = Measurement::measured("m", Unit::Seconds, Direction::LowerIsBetter, &[1.0]);
        assert_eq!(floor.at(&scenario, &time), Some(0.25), "500 passes of half a millisecond");
        assert_eq!(Floor::Value(0.3).at(&scenario, &time), Some(0.3));
    }

    #[test]
    fn only_speeds_have_a_ratio_to_the_reference() {
        assert!(Floor::Reference(1.0).fits(Unit::Seconds));
        assert!(Floor::Reference(1.0).fits(Unit::BytesPerSecond));
        for unit in [Unit::Bytes, Unit::Fraction, Unit::Count] {
            assert!(!Floor::Reference(1.0).fits(unit) && Floor::Value(1.0).fits(unit), "{unit}");
        }
        for wrong in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            assert!(!Floor::Reference(wrong).fits(Unit::Seconds), "{wrong}");
        }
        assert!(!Floor::Value(f64::NAN).fits(Unit::Fraction));
    }
}
