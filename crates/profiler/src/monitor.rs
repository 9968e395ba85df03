//! Requests in production: latencies by label over a rolling hour, against a promise.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::prometheus::Page;
use crate::sketch::Counts;

/// Labels told apart; requests of further ones are recorded under [`OTHER_LABELS`].
pub const MAX_LABELS: usize = 64;
/// The label that takes what [`MAX_LABELS`] refuses.
pub const OTHER_LABELS: &str = "(other labels)";

/// The rolling hour is kept in this many slices, so a report covers 55 to 60 minutes.
const SLICES: usize = 12;
const SLICE: Duration = Duration::from_secs(300);

/// Records request latencies and judges them against a service-level agreement.
///
/// Bounded in memory: per label twelve sketches of five minutes each, at most [`MAX_LABELS`] + 1
/// labels, whatever the number of requests. Shared between threads by reference.
///
/// ```
/// use std::time::Duration;
/// let monitor = lob_profiler::ProductionMonitor::new(Duration::from_secs(2));
/// {
///     let _request = monitor.request("predict");
/// }
/// monitor.record("predict", Duration::from_secs(3));
/// let report = monitor.last_hour();
/// assert_eq!((report[0].requests, report[0].violations), (2, 1));
/// ```
#[derive(Debug)]
pub struct ProductionMonitor {
    sla: Duration,
    start: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    labels: BTreeMap<String, Label>,
    /// Requests whose label was refused.
    refused: u64,
}

#[derive(Debug)]
struct Label {
    slices: Vec<Slice>,
    requests: u64,
    violations: u64,
    total_s: f64,
}

/// Five minutes of one label.
#[derive(Debug)]
struct Slice {
    /// Which five minutes since the monitor began.
    epoch: u64,
    /// Latencies in nanoseconds.
    counts: Counts,
    requests: u64,
    violations: u64,
    sum_s: f64,
    max_s: f64,
}

/// Latencies of one label over about the last hour.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestReport {
    /// The label.
    pub label: String,
    /// Requests finished.
    pub requests: u64,
    /// Requests that took longer than the agreement allows.
    pub violations: u64,
    /// Mean latency in seconds.
    pub mean_s: f64,
    /// Median latency in seconds, within 3.2 %, as the percentiles below.
    pub p50_s: f64,
    /// 95th percentile in seconds.
    pub p95_s: f64,
    /// 99th percentile in seconds.
    pub p99_s: f64,
    /// Longest latency in seconds.
    pub max_s: f64,
}

/// A request under way; dropping it records its latency, also when the work panics.
#[derive(Debug)]
#[must_use = "a request lasts as long as its guard: bind it to a name"]
pub struct RequestGuard<'a> {
    monitor: &'a ProductionMonitor,
    label: &'a str,
    start: Instant,
}

impl Drop for RequestGuard<'_> {
    fn drop(&mut self) {
        self.monitor.record(self.label, self.start.elapsed());
    }
}

impl Default for ProductionMonitor {
    /// An agreement of 2 seconds.
    fn default() -> Self {
        Self::new(Duration::from_secs(2))
    }
}

impl ProductionMonitor {
    /// A monitor with the longest latency the agreement allows.
    #[must_use]
    pub fn new(sla: Duration) -> Self {
        Self { sla, start: Instant::now(), inner: Mutex::default() }
    }

    /// Begins a request. Labels name kinds of requests, not single ones.
    pub fn request<'a>(&'a self, label: &'a str) -> RequestGuard<'a> {
        RequestGuard { monitor: self, label, start: Instant::now() }
    }

    /// Records a finished request.
    pub fn record(&self, label: &str, latency: Duration) {
        self.record_at(label, latency, self.start.elapsed());
    }

    /// Latencies of about the last hour, a line per label, in the order of the labels.
    #[must_use]
    pub fn last_hour(&self) -> Vec<RequestReport> {
        self.report_at(self.start.elapsed())
    }

    /// Requests recorded under [`OTHER_LABELS`] because their own label was one too many.
    #[must_use]
    pub fn labels_refused(&self) -> u64 {
        self.inner().refused
    }

    /// The figures as Prometheus text: counters since the start, percentiles of the last hour.
    #[must_use]
    pub fn prometheus_text(&self) -> String {
        let mut page = Page::default();
        let name = "lob_request_seconds";
        let help = "Latency of requests; percentiles over the last hour.";
        for report in self.last_hour() {
            for (q, value) in
                [("0.5", report.p50_s), ("0.95", report.p95_s), ("0.99", report.p99_s)]
            {
                let labels = [("label", report.label.as_str()), ("quantile", q)];
                page.add(name, "summary", help, &labels, value);
            }
        }
        for (label, state) in &self.inner().labels {
            let labels = [("label", label.as_str())];
            page.add_as(name, "_sum", "summary", help, &labels, state.total_s);
            page.add_as(name, "_count", "summary", help, &labels, state.requests as f64);
            let help = "Requests slower than the agreement.";
            let violations = state.violations as f64;
            page.add("lob_request_sla_violations_total", "counter", help, &labels, violations);
        }
        let help = "Longest latency the agreement allows.";
        page.add("lob_request_sla_seconds", "gauge", help, &[], self.sla.as_secs_f64());
        page.finish()
    }

    fn record_at(&self, label: &str, latency: Duration, since_start: Duration) {
        let late = latency > self.sla;
        let epoch = since_start.as_secs() / SLICE.as_secs();
        let mut inner = self.inner();
        let known = inner.labels.contains_key(label);
        let label = if known || inner.labels.len() < MAX_LABELS {
            label
        } else {
            inner.refused += 1;
            OTHER_LABELS
        };
        if !inner.labels.contains_key(label) {
            let fresh = Label { slices: Vec::new(), requests: 0, violations: 0, total_s: 0.0 };
            inner.labels.insert(label.to_owned(), fresh);
        }
        let Some(state) = inner.labels.get_mut(label) else { return };
        state.requests += 1;
        state.violations += u64::from(late);
        state.total_s += latency.as_secs_f64();
        let slice = state.slice(epoch);
        slice.requests += 1;
        slice.violations += u64::from(late);
        slice.sum_s += latency.as_secs_f64();
        slice.max_s = slice.max_s.max(latency.as_secs_f64());
        slice.counts.record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    fn report_at(&self, since_start: Duration) -> Vec<RequestReport> {
        let now = since_start.as_secs() / SLICE.as_secs();
        let inner = self.inner();
        let report = |(label, state): (&String, &Label)| {
            let recent = state.slices.iter().filter(|s| s.epoch + (SLICES as u64) > now);
            state_report(label, recent)
        };
        inner.labels.iter().filter_map(report).collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing under the lock can panic half-way through a change that matters.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Label {
    /// The slice of these five minutes; the place of the oldest is used again.
    fn slice(&mut self, epoch: u64) -> &mut Slice {
        let found = self.slices.iter().position(|slice| slice.epoch == epoch);
        let index = found.unwrap_or_else(|| {
            if self.slices.len() < SLICES {
                self.slices.push(Slice::new(epoch));
                return self.slices.len() - 1;
            }
            let oldest = (0..SLICES).min_by_key(|i| self.slices[*i].epoch).unwrap_or(0);
            self.slices[oldest].restart(epoch);
            oldest
        });
        &mut self.slices[index]
    }
}

impl Slice {
    fn new(epoch: u64) -> Self {
        let counts = Counts::new();
        Self { epoch, counts, requests: 0, violations: 0, sum_s: 0.0, max_s: 0.0 }
    }

    fn restart(&mut self, epoch: u64) {
        self.counts.clear();
        (self.epoch, self.requests, self.violations) = (epoch, 0, 0);
        (self.sum_s, self.max_s) = (0.0, 0.0);
    }
}

fn state_report<'a>(label: &str, slices: impl Iterator<Item = &'a Slice>) -> Option<RequestReport> {
    let mut sum = Slice::new(0);
    for slice in slices {
        sum.counts.add(&slice.counts);
        sum.requests += slice.requests;
        sum.violations += slice.violations;
        sum.sum_s += slice.sum_s;
        sum.max_s = sum.max_s.max(slice.max_s);
    }
    // Without a request there is no latency to report, not one of zero.
    let quantile = |q| Some((sum.counts.quantile(q)? * 1e-9).min(sum.max_s));
    Some(RequestReport {
        label: label.to_owned(),
        requests: sum.requests,
        violations: sum.violations,
        mean_s: sum.sum_s / sum.requests as f64,
        p50_s: quantile(0.50)?,
        p95_s: quantile(0.95)?,
        p99_s: quantile(0.99)?,
        max_s: sum.max_s,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn percentiles_are_those_of_the_last_hour() {
        let monitor = ProductionMonitor::default();
        monitor.record_at("a", Duration::from_secs(50), Duration::ZERO);
        for ms in 1..=1000 {
            monitor.record_at("a", Duration::from_millis(ms), 62 * MINUTE);
        }
        let report = &monitor.report_at(63 * MINUTE)[0];
        assert_eq!((report.requests, report.violations), (1000, 0));
        for (got, expected) in
            [(report.p50_s, 0.5), (report.p95_s, 0.95), (report.p99_s, 0.99), (report.max_s, 1.0)]
        {
            assert!((got - expected).abs() <= 0.032 * expected, "{got} against {expected}");
        }
        assert!((report.mean_s - 0.5005).abs() < 1e-9);
        // What has been, stays counted.
        let text = monitor.prometheus_text();
        assert!(text.contains("lob_request_seconds_count{label=\"a\"} 1001"), "{text}");
        assert!(text.contains("lob_request_sla_violations_total{label=\"a\"} 1"), "{text}");
    }

    #[test]
    fn an_hour_without_requests_reports_nothing() {
        let monitor = ProductionMonitor::default();
        monitor.record_at("a", Duration::from_secs(1), Duration::ZERO);
        assert_eq!(monitor.report_at(MINUTE).len(), 1);
        assert_eq!(monitor.report_at(61 * MINUTE), []);
    }

    #[test]
    fn days_of_requests_take_the_room_of_an_hour() {
        let monitor = ProductionMonitor::default();
        for n in 0..1000 {
            monitor.record_at("a", Duration::from_millis(5), n * 5 * MINUTE);
        }
        assert_eq!(monitor.inner().labels["a"].slices.len(), SLICES);
        assert_eq!(monitor.report_at(999 * 5 * MINUTE)[0].requests, SLICES as u64);
    }

    #[test]
    fn labels_are_limited() {
        let monitor = ProductionMonitor::default();
        for n in 0..2 * MAX_LABELS {
            monitor.record(&format!("request {n}"), Duration::from_millis(1));
        }
        let report = monitor.last_hour();
        assert_eq!(report.len(), MAX_LABELS + 1);
        let other = report.iter().find(|r| r.label == OTHER_LABELS).unwrap();
        assert_eq!(other.requests, MAX_LABELS as u64);
        assert_eq!(monitor.labels_refused(), MAX_LABELS as u64);
    }

    #[test]
    fn a_panicking_request_is_recorded() {
        let monitor = ProductionMonitor::new(Duration::ZERO);
        let caught = std::panic::catch_unwind(|| {
            let _request = monitor.request("panics");
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert!(caught.is_err());
        assert_eq!(monitor.last_hour()[0].requests, 1);
    }
}
