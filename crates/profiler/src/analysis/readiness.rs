//! Whether a service may go into production.

use lob_metrics::{Unit, Verdict};

/// What a service must keep to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Requirements {
    /// Longest latency per sample in seconds.
    pub max_latency_s: f64,
    /// Fewest samples per second.
    pub min_throughput_per_s: f64,
    /// Most memory the work may add, in bytes.
    pub max_memory_bytes: f64,
}

impl Default for Requirements {
    /// 100 ms, 100 a second, 1000 MB, as the seed documents ask.
    fn default() -> Self {
        Self { max_latency_s: 0.1, min_throughput_per_s: 100.0, max_memory_bytes: 1000e6 }
    }
}

/// What was measured of the service; `None` where it was not.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ServiceFigures {
    /// Latency per sample in seconds.
    pub latency_s: Option<f64>,
    /// Samples per second.
    pub throughput_per_s: Option<f64>,
    /// Memory the work added, in bytes.
    pub memory_bytes: Option<f64>,
}

/// One requirement and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadinessCheck {
    /// `latency`, `throughput` or `memory`.
    pub name: &'static str,
    /// Outcome; what was not measured has not passed.
    pub verdict: Verdict,
    /// Measured value.
    pub found: Option<f64>,
    /// Required value.
    pub required: f64,
    /// Unit of both.
    pub unit: Unit,
}

/// All checks and the verdict over them.
#[derive(Debug, Clone, PartialEq)]
pub struct Readiness {
    /// The checks.
    pub checks: Vec<ReadinessCheck>,
    /// Whether every one of them passed.
    pub ready: bool,
}

/// Holds measured figures against requirements. A figure that is absent or no number is not
/// measured, and then the service is not ready.
#[must_use]
pub fn readiness(required: &Requirements, found: &ServiceFigures) -> Readiness {
    let check = |name, found: Option<f64>, required: f64, unit, at_most: bool| {
        let found = found.filter(|value| value.is_finite());
        let holds = |value: f64| if at_most { value <= required } else { value >= required };
        let verdict = match found {
            None => Verdict::NotMeasured,
            Some(value) if holds(value) => Verdict::Pass,
            Some(_) => Verdict::Fail,
        };
        ReadinessCheck { name, verdict, found, required, unit }
    };
    let rate = Unit::SamplesPerSecond;
    let checks = vec![
        check("latency", found.latency_s, required.max_latency_s, Unit::Seconds, true),
        check("throughput", found.throughput_per_s, required.min_throughput_per_s, rate, false),
        check("memory", found.memory_bytes, required.max_memory_bytes, Unit::Bytes, true),
    ];
    let ready = checks.iter().all(|check| check.verdict == Verdict::Pass);
    Readiness { checks, ready }
}

impl Readiness {
    /// A line per check and the verdict.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for check in &self.checks {
            let verdict = match check.verdict {
                Verdict::Pass => "PASS",
                Verdict::Fail => "FAIL",
                _ => "NOT MEASURED",
            };
            let found = check.found.map_or("no value".to_owned(), |v| check.unit.format(v));
            let required = check.unit.format(check.required);
            out.push_str(&format!("{}: {verdict} ({found}, required {required})\n", check.name));
        }
        out.push_str(if self.ready { "ready\n" } else { "not ready\n" });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(latency_s: f64, throughput: f64, memory: f64) -> Vec<Verdict> {
        let found = ServiceFigures {
            latency_s: Some(latency_s),
            throughput_per_s: Some(throughput),
            memory_bytes: Some(memory),
        };
        let readiness = readiness(&Requirements::default(), &found);
        let verdicts: Vec<Verdict> = readiness.checks.iter().map(|check| check.verdict).collect();
        assert_eq!(readiness.ready, verdicts.iter().all(|v| *v == Verdict::Pass));
        verdicts
    }

    #[test]
    fn limits_are_inclusive_on_the_right_side() {
        use Verdict::{Fail, NotMeasured, Pass};
        assert_eq!(verdicts(0.1, 100.0, 1000e6), [Pass, Pass, Pass]);
        assert_eq!(verdicts(0.11, 99.0, 1001e6), [Fail, Fail, Fail]);
        assert_eq!(verdicts(0.01, 500.0, 1e6), [Pass, Pass, Pass]);
        assert_eq!(verdicts(f64::NAN, 100.0, 1.0), [NotMeasured, Pass, Pass]);
    }

    #[test]
    fn what_was_not_measured_is_not_ready() {
        let outcome = readiness(&Requirements::default(), &ServiceFigures::default());
        assert!(!outcome.ready);
        assert!(
            outcome.text().contains("latency: NOT MEASURED")
                && outcome.text().ends_with("not ready\n")
        );
    }
}
