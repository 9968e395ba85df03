//! Collecting what a scenario measures.

use std::collections::BTreeMap;
use std::time::Instant;

use lob_metrics::{Artifact, Axis, Bound, Direction, Finding, Measurement, Roof, Severity, Unit};
use serde_json::Value;

/// Most samples of one measurement that a Run document keeps.
const SAMPLES_MAX: usize = 1_000;

/// Everything one scenario reports.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) config: BTreeMap<String, Value>,
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) artifacts: Vec<Artifact>,
    /// Why the scenario did not apply; makes it skipped instead of passed.
    pub(crate) skipped: Option<String>,
}

impl Recorder {
    /// Notes a setting.
    pub(crate) fn config(&mut self, key: &str, value: impl Into<Value>) {
        self.config.insert(key.to_owned(), value.into());
    }

    /// Adds a measurement. Of very many samples the document keeps every n-th; value, interval and
    /// percentiles are of all.
    pub(crate) fn add(&mut self, mut measurement: Measurement) {
        let step = measurement.samples.len().div_ceil(SAMPLES_MAX).max(1);
        measurement.samples = measurement.samples.into_iter().step_by(step).collect();
        self.measurements.push(measurement);
    }

    /// A throughput, with its share of a limit in the same unit where there is one.
    pub(crate) fn rate(&mut self, metric: &str, unit: Unit, samples: &[f64], limit: Option<Limit>) {
        let measurement = Measurement::measured(metric, unit, Direction::HigherIsBetter, samples);
        self.add(match &limit {
            Some(limit) => limit.on(measurement),
            None => measurement,
        });
    }

    /// A throughput as a point of a series over a size.
    pub(crate) fn rate_over(
        &mut self,
        metric: &str,
        unit: Unit,
        samples: &[f64],
        (series, axis, n): (&str, Axis, usize),
    ) {
        let m = Measurement::measured(metric, unit, Direction::HigherIsBetter, samples);
        self.add(m.over(series, axis, u32::try_from(n).unwrap_or(u32::MAX)));
    }

    /// A latency in seconds.
    pub(crate) fn latency(&mut self, metric: &str, samples: &[f64]) {
        self.add(Measurement::measured(metric, Unit::Seconds, Direction::LowerIsBetter, samples));
    }

    /// A single latency figure in seconds, such as a percentile.
    pub(crate) fn latency_value(&mut self, metric: &str, value: f64) {
        self.latency(metric, &[value]);
    }

    /// A plain fact.
    pub(crate) fn count(&mut self, metric: &str, value: f64) {
        self.add(Measurement::measured(metric, Unit::Count, Direction::Neutral, &[value]));
    }

    /// An observation.
    pub(crate) fn finding(&mut self, severity: Severity, text: impl Into<String>) {
        self.findings.push(Finding { severity, text: text.into() });
    }
}

/// A machine limit, in the unit of the demand that is held against it.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    /// The demand at the measured rate: bytes or FLOP per second.
    pub(crate) demand: f64,
    /// The machine's figure.
    pub(crate) limit: f64,
    /// What `demand` is a demand on; `None` for what neither memory nor arithmetic bounds.
    pub(crate) bound: Option<Bound>,
    /// Name of the limit.
    pub(crate) name: String,
}

/// What `threads` threads can do: measured for one and for all cores, and in between at most so
/// many times the one.
pub(crate) fn on_threads(roof: &Roof, one: Option<f64>, all: &str, threads: usize) -> Option<f64> {
    let all = roof.more.get(all).copied();
    match threads {
        0 | 1 => one,
        n if n >= super::cores() => all,
        n => Some((one? * n as f64).min(all?)),
    }
}

impl Limit {
    /// A demand against a measured roof; `None` when the roof was not measured.
    pub(crate) fn of(demand: f64, roof: Option<f64>, name: &str, unit: Unit) -> Option<Self> {
        let limit = roof.filter(|l| *l > 0.0)?;
        let bound = match unit {
            Unit::FlopPerSecond => Some(Bound::Arithmetic),
            Unit::BytesPerSecond => Some(Bound::Memory),
            _ => None,
        };
        Some(Self { demand, limit, bound, name: format!("{name} {}", unit.format(limit)) })
    }

    /// The same limit where something other than memory or arithmetic sets it, such as zstd.
    pub(crate) fn unbounded(self) -> Self {
        Self { bound: None, ..self }
    }

    /// A measurement with its share of this limit.
    pub(crate) fn on(&self, measurement: Measurement) -> Measurement {
        let measurement = measurement.with_limit(self.demand / self.limit, self.name.clone());
        match self.bound {
            Some(bound) => measurement.with_demand(bound, self.demand),
            None => measurement,
        }
    }
}

/// Times `body` repeatedly until `budget_s` is spent, at least `least` times, after one warm-up.
/// Returns the seconds of each repetition.
pub(crate) fn repeat<E>(
    budget_s: f64,
    least: usize,
    mut body: impl FnMut() -> Result<(), E>,
) -> Result<Vec<f64>, E> {
    body()?;
    let started = Instant::now();
    let mut samples = Vec::new();
    while samples.len() < least || started.elapsed().as_secs_f64() < budget_s {
        let begun = Instant::now();
        body()?;
        samples.push(begun.elapsed().as_secs_f64());
    }
    Ok(samples)
}
