//! Bottlenecks and what to do about them, each with the figure it rests on.

use lob_metrics::{Finding, Recommendation, Severity, Unit};

/// More resident memory than this is a finding: 16,000 MB.
const HIGH_MEMORY_BYTES: f64 = 16e9;
/// More of all cores in use than this.
const BUSY_CPU: f64 = 0.95;
/// Less of a GPU in use than this.
const IDLE_GPU: f64 = 0.70;
/// More of the time spent waiting for a disk than this.
const HIGH_IO_WAIT: f64 = 0.20;
/// More of a GPU's memory in use than this.
const FULL_GPU: f64 = 0.90;
/// Accelerator utilisation, as MLPerf Storage defines it (the share of a step in which the model
/// computes), at which a loader is fast enough.
const ACCELERATOR_UTILISATION_PASS: f64 = 0.9;
/// More of the run's CPU time spent measuring than this.
const DEAR_PROFILER: f64 = 0.01;
/// Hardly any core in use, though nothing is waited for.
const IDLE_CPU: f64 = 0.50;

/// What was measured of a run; `None` where it was not.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Observed {
    /// Peak resident memory in bytes.
    pub peak_ram_bytes: Option<f64>,
    /// Share of all cores in use, 0..=1.
    pub cpu_share: Option<f64>,
    /// Share of time a GPU computed, 0..=1.
    pub gpu_utilisation: Option<f64>,
    /// Share of a GPU's memory in use, 0..=1.
    pub gpu_memory_share: Option<f64>,
    /// Share of time spent waiting for a disk, 0..=1.
    pub io_wait_share: Option<f64>,
    /// Share of time the model waits for its next batch, 0..=1.
    pub data_wait_share: Option<f64>,
    /// Share of CPU time spent in the profiler itself, 0..=1.
    pub profiler_share: Option<f64>,
    /// Units of work per second, and how many are wanted.
    pub throughput_per_s: Option<(f64, f64)>,
}

/// A bottleneck with its advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// What was seen.
    pub finding: Finding,
    /// What to do, with the measured line it rests on.
    pub recommendation: Recommendation,
}

/// Bottlenecks, most pressing first. Thresholds are those of the seed documents.
///
/// ```
/// use lob_profiler::{Observed, diagnose};
/// let seen = Observed { io_wait_share: Some(0.35), ..Observed::default() };
/// let found = diagnose(&seen);
/// assert_eq!(found.len(), 1);
/// assert!(found[0].recommendation.evidence.contains("35.0 %"));
/// ```
#[must_use]
pub fn diagnose(seen: &Observed) -> Vec<Diagnosis> {
    let mut found = Found::default();
    found.memory(seen);
    found.waiting(seen);
    found.computing(seen);
    found.0.sort_by_key(|diagnosis| std::cmp::Reverse(diagnosis.finding.severity));
    found.0
}

#[derive(Default)]
struct Found(Vec<Diagnosis>);

impl Found {
    fn add(&mut self, bad: bool, severity: Severity, text: String, advice: &str) {
        if bad {
            let finding = Finding { severity, text: text.clone() };
            let recommendation = Recommendation { text: advice.to_owned(), evidence: text };
            self.0.push(Diagnosis { finding, recommendation });
        }
    }

    fn memory(&mut self, seen: &Observed) {
        if let Some(bytes) = seen.peak_ram_bytes {
            let text = format!("peak memory {}, above 16,000 MB", Unit::Bytes.format(bytes));
            let advice = "Use less memory: smaller batches, f32 or narrower, recycled buffers \
                          instead of intermediate copies.";
            self.add(bytes > HIGH_MEMORY_BYTES, Severity::Warning, text, advice);
        }
        if let Some(used) = seen.gpu_memory_share {
            let text = format!("{} of the GPU's memory in use, above 90 %", share(used));
            let advice = "Leave the GPU some memory: a smaller batch, or gradient accumulation.";
            self.add(used > FULL_GPU, Severity::Warning, text, advice);
        }
    }

    fn waiting(&mut self, seen: &Observed) {
        if let Some(wait) = seen.io_wait_share {
            let text = format!("{} of the time waiting for a disk, above 20 %", share(wait));
            let advice = "Read less or ahead: a smaller layout, a cache, prefetching, or faster \
                          storage.";
            self.add(wait > HIGH_IO_WAIT, Severity::Warning, text, advice);
        }
        if let Some(wait) = seen.data_wait_share {
            let text = format!(
                "{} of a step spent waiting for the batch: accelerator utilisation {}, below 90 %",
                share(wait),
                share(1.0 - wait)
            );
            let advice = "The model waits for data: give the loader more workers or a larger \
                          prefetch budget.";
            let bad = wait > 1.0 - ACCELERATOR_UTILISATION_PASS;
            self.add(bad, Severity::Warning, text, advice);
        }
    }

    fn computing(&mut self, seen: &Observed) {
        if let Some(busy) = seen.gpu_utilisation {
            let text = format!("GPU {} utilised, below 70 %", share(busy));
            let advice = "Keep the GPU busy: larger batches, or a faster loader.";
            self.add(busy < IDLE_GPU, Severity::Warning, text, advice);
        }
        if let Some(busy) = seen.cpu_share {
            let text = format!("{} of all cores in use, above 95 %", share(busy));
            let advice = "The cores are the limit: look at the hot scopes first, then at more \
                          machines.";
            self.add(busy > BUSY_CPU, Severity::Info, text, advice);
            // Idle cores are a finding only where it was looked whether something was waited for.
            let waits = [seen.io_wait_share, seen.data_wait_share];
            let waited = waits.iter().flatten().any(|wait| *wait > HIGH_IO_WAIT);
            let looked = waits.iter().any(Option::is_some);
            let text = format!("{} of all cores in use, and nothing was waited for", share(busy));
            let advice = "Cores are idle: more workers, or locks that keep them apart.";
            self.add(busy < IDLE_CPU && looked && !waited, Severity::Info, text, advice);
        }
        if let Some((found, wanted)) = seen.throughput_per_s {
            let text = format!("{found:.1} per second, {wanted:.1} wanted");
            let advice = "Raise the throughput: vectorise the hot scopes, use more threads, cache \
                          what is made twice.";
            self.add(found < wanted, Severity::Warning, text, advice);
        }
        if let Some(own) = seen.profiler_share {
            let text = format!("{} of the CPU time spent measuring, above 1 %", share(own));
            let advice =
                "Measure less: fewer or larger scopes, a longer interval, a part of the run.";
            self.add(own > DEAR_PROFILER, Severity::Warning, text, advice);
        }
    }
}

fn share(value: f64) -> String {
    Unit::Fraction.format(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_threshold_rings_beyond_and_not_at_itself() {
        type Set = fn(&mut Observed, f64);
        let cases: [(Set, f64, f64); 7] = [
            (|o, v| o.peak_ram_bytes = Some(v), 16e9, 16.001e9),
            (|o, v| o.cpu_share = Some(v), 0.95, 0.96),
            (|o, v| o.gpu_utilisation = Some(v), 0.70, 0.69),
            (|o, v| o.gpu_memory_share = Some(v), 0.90, 0.91),
            (|o, v| o.io_wait_share = Some(v), 0.20, 0.21),
            (|o, v| o.data_wait_share = Some(v), 0.0999, 0.1001),
            (|o, v| o.profiler_share = Some(v), 0.01, 0.011),
        ];
        for (set, good, bad) in cases {
            let found = |value| {
                let mut seen = Observed::default();
                set(&mut seen, value);
                diagnose(&seen)
            };
            assert_eq!(found(good), []);
            let [diagnosis] = &found(bad)[..] else { panic!("{bad}") };
            assert_eq!(diagnosis.finding.text, diagnosis.recommendation.evidence);
            assert!(diagnosis.finding.text.contains(char::is_numeric));
        }
    }

    #[test]
    fn nothing_measured_finds_nothing() {
        assert_eq!(diagnose(&Observed::default()), []);
        let idle = Observed { cpu_share: Some(0.1), ..Observed::default() };
        assert_eq!(diagnose(&idle), []);
        let idle = Observed { io_wait_share: Some(0.0), ..idle };
        assert_eq!(diagnose(&idle).len(), 1);
        let slow = Observed { throughput_per_s: Some((50.0, 100.0)), ..idle };
        assert!(diagnose(&slow)[0].finding.text.contains("50.0 per second"));
    }
}
