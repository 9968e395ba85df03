//! One measured (or honestly missing) value.

use serde::{Deserialize, Serialize};

use crate::{Summary, Unit, nan};

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Throughput, accuracy.
    HigherIsBetter,
    /// Latency, memory.
    LowerIsBetter,
    /// A fact that is neither (a parameter count, a share of a limit).
    Neutral,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// Read from a clock, a counter or the kernel.
    Measured,
    /// Calculated from a model with stated assumptions.
    Estimated,
    /// Not to be had here; `reason` says why.
    Unavailable,
}

/// A named value with its unit, direction, provenance and the samples behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Dotted name, unique within its scenario, such as `convert.records_per_s`.
    pub metric: String,
    /// Unit of `value`, `ci95` and `samples`.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    /// Where the value comes from.
    pub provenance: Provenance,
    /// The headline value (the median when there are several samples); `None` when unavailable.
    pub value: Option<f64>,
    /// 95 % confidence interval of the median, when there are enough samples for one.
    #[serde(default)]
    pub ci95: Option<[f64; 2]>,
    /// The raw samples, in the order they were taken. May be thinned by the suite.
    #[serde(default, deserialize_with = "nan::numbers")]
    pub samples: Vec<f64>,
    /// Percentiles and spread of the samples.
    #[serde(default)]
    pub summary: Option<Summary>,
    /// Why the value is unavailable, or how it was estimated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Share of the machine's measured limit this value reaches (0..=1), with `limit_name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_of_limit: Option<f64>,
    /// Which limit `share_of_limit` refers to, such as `fill bandwidth 17.2 GB/s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_name: Option<String>,
}

impl Measurement {
    /// A measured value from one or more samples; the headline is their median.
    ///
    /// No finite sample makes the measurement unavailable: an unknown is never a zero.
    #[must_use]
    pub fn measured(metric: &str, unit: Unit, direction: Direction, samples: &[f64]) -> Self {
        let Some(summary) = Summary::of(samples) else {
            return Self::unavailable(metric, unit, direction, "no finite sample was taken");
        };
        let finite: Vec<f64> = samples.iter().copied().filter(|x| x.is_finite()).collect();
        let left_out = samples.len() - finite.len();
        Self {
            value: Some(summary.median),
            ci95: summary.ci95,
            reason: (left_out > 0)
                .then(|| format!("{left_out} of {} samples were not finite", samples.len())),
            samples: finite,
            summary: (samples.len() > 1).then_some(summary),
            ..Self::empty(metric, unit, direction, Provenance::Measured)
        }
    }

    /// A value calculated from others; `how` says by which formula and assumptions.
    #[must_use]
    pub fn estimated(
        metric: &str,
        unit: Unit,
        direction: Direction,
        value: f64,
        how: &str,
    ) -> Self {
        if !value.is_finite() {
            return Self::unavailable(metric, unit, direction, &format!("no finite result: {how}"));
        }
        Self {
            value: Some(value),
            reason: Some(how.to_owned()),
            ..Self::empty(metric, unit, direction, Provenance::Estimated)
        }
    }

    /// A value that could not be had, and why.
    #[must_use]
    pub fn unavailable(metric: &str, unit: Unit, direction: Direction, reason: &str) -> Self {
        Self {
            reason: Some(reason.to_owned()),
            ..Self::empty(metric, unit, direction, Provenance::Unavailable)
        }
    }

    /// The same measurement with its share of a measured machine limit.
    #[must_use]
    pub fn with_limit(mut self, share: f64, limit_name: impl Into<String>) -> Self {
        self.share_of_limit = share.is_finite().then_some(share);
        self.limit_name = Some(limit_name.into());
        self
    }

    fn empty(metric: &str, unit: Unit, direction: Direction, provenance: Provenance) -> Self {
        Self {
            metric: metric.to_owned(),
            unit,
            direction,
            provenance,
            value: None,
            ci95: None,
            samples: Vec::new(),
            summary: None,
            reason: None,
            share_of_limit: None,
            limit_name: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_is_never_a_zero() {
        let none = Measurement::measured("x", Unit::Seconds, Direction::LowerIsBetter, &[f64::NAN]);
        assert_eq!((none.value, none.provenance), (None, Provenance::Unavailable));
        let how = "0 FLOP in 0 s";
        let none =
            Measurement::estimated("x", Unit::FlopPerSecond, Direction::Neutral, f64::NAN, how);
        assert_eq!((none.value, none.provenance), (None, Provenance::Unavailable));
        assert!(none.reason.unwrap().contains(how));
    }

    #[test]
    fn samples_left_out_are_counted() {
        let m = Measurement::measured(
            "x",
            Unit::Seconds,
            Direction::LowerIsBetter,
            &[1.0, f64::NAN, 3.0],
        );
        assert_eq!((m.value, m.samples.len()), (Some(2.0), 2));
        assert_eq!(m.reason.as_deref(), Some("1 of 3 samples were not finite"));
    }
}
