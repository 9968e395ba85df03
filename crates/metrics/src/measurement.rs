//! One measured (or honestly missing) value.

use serde::{Deserialize, Serialize};

use crate::{Axis, Bound, By, Demand, Means, Over, Provenance, Reading, Role, Summary, Unit, nan};

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

/// A named value with its unit, direction, role, provenance and the samples behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Dotted name, unique within its scenario, such as `convert.records_per_s`.
    pub metric: String,
    /// Unit of the value, `ci95` and `samples`.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    /// The headline value (the median when there are several samples), or why there is none.
    #[serde(flatten)]
    pub reading: Reading,
    /// Which of the scenario's figures it is.
    #[serde(default)]
    pub role: Role,
    /// Which point of which series over a size it is, if of any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,
    /// By which of several means it was reached, if others are its counterparts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    /// What the value asks of the machine, where that is memory or arithmetic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demand: Option<Demand>,
    /// Share by which the value may differ between two runs of the same program before the
    /// difference counts; `None` for what is timed and needs a statistical test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats_within: Option<f64>,
    /// 95 % confidence interval of the median, when there are enough samples for one.
    #[serde(default)]
    pub ci95: Option<[f64; 2]>,
    /// The raw samples, in the order they were taken. May be thinned by the suite.
    #[serde(default, deserialize_with = "nan::numbers")]
    pub samples: Vec<f64>,
    /// Percentiles and spread of the samples.
    #[serde(default)]
    pub summary: Option<Summary>,
    /// Share of the machine's measured limit this value reaches (0..=1), with `limit_name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_of_limit: Option<f64>,
    /// Which limit `share_of_limit` refers to, such as `fill bandwidth 17.2 GB/s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_name: Option<String>,
    /// Whether `share_of_limit` is an upper bound, because other programs kept the machine from
    /// showing its limit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub share_is_at_most: bool,
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
        let note = (left_out > 0)
            .then(|| format!("{left_out} of {} samples were not finite", samples.len()));
        Self {
            ci95: summary.ci95,
            samples: finite,
            summary: (samples.len() > 1).then_some(summary),
            ..Self::of(metric, unit, direction, Reading::Measured { value: summary.median, note })
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
        Self::of(metric, unit, direction, Reading::Estimated { value, how: how.to_owned() })
    }

    /// A value that could not be had, and why.
    #[must_use]
    pub fn unavailable(metric: &str, unit: Unit, direction: Direction, reason: &str) -> Self {
        Self::of(metric, unit, direction, Reading::Unavailable { reason: reason.to_owned() })
    }

    /// The headline value; `None` when unavailable.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.reading.value()
    }

    /// Why the value is unavailable, how it was estimated, or what to know of it.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reading.reason()
    }

    /// Where the value comes from.
    #[must_use]
    pub const fn provenance(&self) -> Provenance {
        self.reading.provenance()
    }

    /// The same measurement in another role.
    #[must_use]
    pub fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// The same measurement as a point of a series.
    #[must_use]
    pub fn over(self, series: impl Into<String>, axis: Axis, n: u32) -> Self {
        Self { over: Some(Over { series: series.into(), axis, n }), ..self }
    }

    /// The same measurement as one of several that differ in their means.
    #[must_use]
    pub fn by(self, figure: impl Into<String>, means: Means) -> Self {
        Self { by: Some(By { figure: figure.into(), means }), ..self }
    }

    /// The same measurement with what it asks of memory or arithmetic, a second.
    #[must_use]
    pub fn with_demand(self, of: Bound, per_s: f64) -> Self {
        let demand = per_s.is_finite().then_some(Demand { of, per_s });
        Self { demand, ..self }
    }

    /// The same measurement as one that is counted, and repeats from run to run within this share.
    #[must_use]
    pub fn repeating_within(self, share: f64) -> Self {
        Self { repeats_within: share.is_finite().then_some(share), ..self }
    }

    /// The same measurement with its share of a measured machine limit.
    #[must_use]
    pub fn with_limit(mut self, share: f64, limit_name: impl Into<String>) -> Self {
        self.share_of_limit = share.is_finite().then_some(share);
        self.limit_name = Some(limit_name.into());
        self
    }

    /// A share of the machine's limit in words: `"at most "` before what is an upper bound.
    #[must_use]
    pub fn share_in_words(&self, share: &str) -> String {
        if self.share_is_at_most { format!("at most {share}") } else { share.to_owned() }
    }

    fn of(metric: &str, unit: Unit, direction: Direction, reading: Reading) -> Self {
        Self {
            metric: metric.to_owned(),
            unit,
            direction,
            reading,
            role: if direction == Direction::Neutral { Role::Fact } else { Role::Detail },
            over: None,
            by: None,
            demand: None,
            repeats_within: None,
            ci95: None,
            samples: Vec::new(),
            summary: None,
            share_of_limit: None,
            limit_name: None,
            share_is_at_most: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_is_never_a_zero() {
        let none = Measurement::measured("x", Unit::Seconds, Direction::LowerIsBetter, &[f64::NAN]);
        assert_eq!((none.value(), none.provenance()), (None, Provenance::Unavailable));
        let how = "0 FLOP in 0 s";
        let none =
            Measurement::estimated("x", Unit::FlopPerSecond, Direction::Neutral, f64::NAN, how);
        assert_eq!((none.value(), none.provenance()), (None, Provenance::Unavailable));
        assert!(none.reason().unwrap().contains(how));
    }

    #[test]
    fn samples_left_out_are_counted() {
        let m = Measurement::measured(
            "x",
            Unit::Seconds,
            Direction::LowerIsBetter,
            &[1.0, f64::NAN, 3.0],
        );
        assert_eq!((m.value(), m.samples.len()), (Some(2.0), 2));
        assert_eq!(m.reason(), Some("1 of 3 samples were not finite"));
    }
}
