//! Collecting what a scenario measures.

use std::collections::BTreeMap;
use std::time::Instant;

use lob_metrics::{Artifact, Direction, Finding, Measurement, Severity, Unit};
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
        self.add(with_limit(measurement, limit));
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
    /// Name of the limit.
    pub(crate) name: String,
}

impl Limit {
    /// A demand against a measured roof; `None` when the roof was not measured.
    pub(crate) fn of(demand: f64, roof: Option<f64>, name: &str, unit: Unit) -> Option<Self> {
        let limit = roof.filter(|l| *l > 0.0)?;
        Some(Self { demand, limit, name: format!("{name} {}", unit.format(limit)) })
    }
}

fn with_limit(measurement: Measurement, limit: Option<Limit>) -> Measurement {
    match limit {
        Some(Limit { demand, limit, name }) => measurement.with_limit(demand / limit, name),
        None => measurement,
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
