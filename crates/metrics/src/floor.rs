//! Floors: what a figure reaches on a machine of the usual kind, below which something broke.

use serde::{Deserialize, Serialize};

use crate::Unit;
use crate::reference::in_reference;

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
}

#[cfg(test)]
mod tests {
    use super::*;

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
