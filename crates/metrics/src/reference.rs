//! Figures in units of a fixed piece of work, which a slower machine moves too.

use crate::Unit;

/// Last part of the metric every scenario carries: seconds of a fixed piece of work, measured just
/// before and after it in the same process.
pub const REFERENCE: &str = "reference";

/// A value of this unit in units of the reference workload: a time divided by its time, a rate
/// multiplied with it; `None` for what is no speed.
pub(crate) fn in_reference(unit: Unit, value: f64, reference_s: f64) -> Option<f64> {
    match unit {
        Unit::Seconds => Some(value / reference_s),
        Unit::SamplesPerSecond
        | Unit::RecordsPerSecond
        | Unit::ValuesPerSecond
        | Unit::BytesPerSecond
        | Unit::FlopPerSecond => Some(value * reference_s),
        _ => None,
    }
}
