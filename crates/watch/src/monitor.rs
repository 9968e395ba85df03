//! Requests in production: latencies by label over rolling and clock hours, against a promise.

mod log;
mod replay;
mod tail;
mod window;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lob_scope::{process_cpu_time_s, rss_bytes};
use serde_json::{Value, json};

use crate::prometheus::page::Page;
use crate::{Alert, AlertEvent, AlertRule, timestamp};
use window::{Label, SLICE_S, SLICES, Slice};

pub use log::{JsonLinesLog, LogLimits};
pub use replay::LogReplay;
pub(crate) use tail::JsonLinesTail;
pub use window::{HourReport, RequestReport};

/// Labels told apart; requests of further ones are recorded under [`OTHER_LABELS`].
pub const MAX_LABELS: usize = 64;
/// The label that takes what [`MAX_LABELS`] refuses.
pub const OTHER_LABELS: &str = "(other labels)";

/// Longest label or request id kept; the rest is cut off.
const MAX_NAME_BYTES: usize = 256;
/// How often, at most, memory, CPU and the alert are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The alert looks at the last five to ten minutes.
const ALERT_SLICES: u64 = 2;
/// The alert ends when the 95th percentile is below this share of the agreement.
const CLEAR_SHARE: f64 = 0.9;

/// Records request latencies and judges them against a service-level agreement.
///
/// Bounded in memory: per label twelve sketches of five minutes, one of the current clock hour and
/// the figures of the last 24, at most [`MAX_LABELS`] + 1 labels, whatever the number of requests.
/// Shared between threads by reference. Time is the wall clock's at the start, moved on by the
/// monotonic clock: a wall clock that is set meanwhile changes nothing.
///
/// ```
/// use std::time::Duration;
/// let monitor = lob_watch::ProductionMonitor::new(Duration::from_secs(2));
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
    start_unix: Duration,
    inner: Mutex<Inner>,
    log: Option<Mutex<LogState>>,
}

#[derive(Debug)]
struct Inner {
    labels: BTreeMap<String, Label>,
    /// Requests whose label was refused.
    refused: u64,
    alert: Alert,
    alert_looked: Option<Duration>,
}

#[derive(Debug)]
struct LogState {
    log: JsonLinesLog,
    errors: u64,
    last_error: Option<String>,
    looked: Option<(Duration, Option<f64>)>,
    memory_mb: Option<f64>,
    cpu_percent: Option<f64>,
}

/// A request under way; dropping it records its latency, also when the work panics.
#[derive(Debug)]
#[must_use = "a request lasts as long as its guard: bind it to a name"]
pub struct RequestGuard<'a> {
    monitor: &'a ProductionMonitor,
    label: &'a str,
    id: Option<String>,
    start: Instant,
    user_facing: Option<Duration>,
}

impl RequestGuard<'_> {
    /// Ends the request with the latency its user saw, queueing and network included, which the
    /// agreement is about.
    pub fn finish(mut self, user_facing: Duration) {
        self.user_facing = Some(user_facing);
    }
}

impl Drop for RequestGuard<'_> {
    fn drop(&mut self) {
        let internal = self.start.elapsed();
        let user_facing = self.user_facing.unwrap_or(internal);
        self.monitor.record_request(self.label, self.id.as_deref(), internal, user_facing);
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
        let rule = AlertRule::above("sla", sla.as_secs_f64(), sla.as_secs_f64() * CLEAR_SHARE)
            .advise("the 95th percentile breaks the agreement: see which label is slow");
        let inner = Inner {
            labels: BTreeMap::new(),
            refused: 0,
            alert: Alert::new(rule),
            alert_looked: None,
        };
        let (start, start_unix) = (Instant::now(), timestamp::now());
        Self { sla, start, start_unix, inner: Mutex::new(inner), log: None }
    }

    /// The same monitor with a log that gets a line per request and per change of the alert.
    #[must_use]
    pub fn with_log(mut self, log: JsonLinesLog) -> Self {
        self.log = Some(Mutex::new(LogState {
            log,
            errors: 0,
            last_error: None,
            looked: None,
            memory_mb: None,
            cpu_percent: None,
        }));
        self
    }

    /// The longest latency the agreement allows.
    #[must_use]
    pub fn sla(&self) -> Duration {
        self.sla
    }

    /// Begins a request. Labels name kinds of requests, not single ones.
    pub fn request<'a>(&'a self, label: &'a str) -> RequestGuard<'a> {
        self.begin(label, None)
    }

    /// Begins a request with an id, which only the log gets to see.
    pub fn request_with_id<'a>(
        &'a self,
        label: &'a str,
        id: impl Into<String>,
    ) -> RequestGuard<'a> {
        self.begin(label, Some(id.into()))
    }

    fn begin<'a>(&'a self, label: &'a str, id: Option<String>) -> RequestGuard<'a> {
        RequestGuard { monitor: self, label, id, start: Instant::now(), user_facing: None }
    }

    /// Records a finished request.
    pub fn record(&self, label: &str, latency: Duration) {
        self.record_request(label, None, latency, latency);
    }

    /// Records a finished request with its id, the time it took here and the time its user saw;
    /// the latter is judged.
    pub fn record_request(
        &self,
        label: &str,
        id: Option<&str>,
        internal: Duration,
        user_facing: Duration,
    ) {
        let at = self.now();
        let event = self.record_at(label, user_facing, at);
        let Some(log) = &self.log else { return };
        // As for the other lock: a line is written whole or cut off.
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.look(at);
        let line = json!({
            "timestamp": timestamp::rfc3339(at),
            "request_id": id.map(shortened),
            "label": shortened(label),
            "internal_latency": internal.as_secs_f64(),
            "user_facing_latency": user_facing.as_secs_f64(),
            "memory_mb": log.memory_mb,
            "cpu_percent": log.cpu_percent,
            "sla_violation": user_facing > self.sla,
        });
        log.append(&line);
        let (state, p95_s) = match event {
            Some(AlertEvent::Raised(p95_s)) => ("raised", p95_s),
            Some(AlertEvent::Cleared(p95_s)) => ("cleared", p95_s),
            None => return,
        };
        let timestamp = timestamp::rfc3339(at);
        log.append(&json!({
            "timestamp": timestamp, "alert": "sla", "state": state, "p95_latency": p95_s,
        }));
    }

    /// Latencies of about the last hour, a line per label, in the order of the labels.
    #[must_use]
    pub fn last_hour(&self) -> Vec<RequestReport> {
        self.last(Duration::from_secs(3600))
    }

    /// Latencies of the last `window` (up to an hour, in steps of five minutes, the current five
    /// included), a line per label with requests, in the order of the labels.
    #[must_use]
    pub fn last(&self, window: Duration) -> Vec<RequestReport> {
        self.report_at(self.now(), window)
    }

    /// All labels together over the last `window`, as for [`Self::last`]; `None` without requests.
    #[must_use]
    pub fn overall(&self, window: Duration) -> Option<RequestReport> {
        overall_at(&self.inner(), self.now(), slices_of(window))
    }

    /// Latencies per label and clock hour: the last 24 hours with requests, and the current one.
    #[must_use]
    pub fn hourly(&self) -> Vec<HourReport> {
        let now = self.now();
        self.inner().labels.iter().flat_map(|(name, label)| label.hours(name, now)).collect()
    }

    /// The alert on the 95th percentile of all requests of the last five to ten minutes. It is
    /// looked at when a request ends, at most ten times a second.
    #[must_use]
    pub fn alert(&self) -> Alert {
        self.inner().alert.clone()
    }

    /// Requests recorded under [`OTHER_LABELS`] because their own label was one too many.
    #[must_use]
    pub fn labels_refused(&self) -> u64 {
        self.inner().refused
    }

    /// Lines the log could not take, with the last reason. A full disk never fails a request.
    #[must_use]
    pub fn log_errors(&self) -> (u64, Option<String>) {
        let Some(log) = &self.log else { return (0, None) };
        let log = log.lock().unwrap_or_else(PoisonError::into_inner);
        (log.errors, log.last_error.clone())
    }

    /// The figures as Prometheus text: counters since the start, percentiles of the last hour.
    #[must_use]
    pub fn prometheus_text(&self) -> String {
        let mut page = Page::default();
        self.write_page(&mut page);
        page.finish()
    }

    pub(crate) fn write_page(&self, page: &mut Page) {
        let name = "lob_request_seconds";
        let help = "Latency of requests in seconds; quantiles over the last hour.";
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
        let help = "Longest latency the agreement allows, in seconds.";
        page.add("lob_request_sla_seconds", "gauge", help, &[], self.sla.as_secs_f64());
        page.alert(&self.alert());
        let help = "Lines the request log could not take.";
        page.add("lob_request_log_errors_total", "counter", help, &[], self.log_errors().0 as f64);
    }

    fn now(&self) -> Duration {
        self.start_unix + self.start.elapsed()
    }

    fn record_at(&self, label: &str, latency: Duration, at: Duration) -> Option<AlertEvent> {
        let late = latency > self.sla;
        let label = shortened(label);
        let mut inner = self.inner();
        let known = inner.labels.contains_key(label);
        let label = if known || inner.labels.len() < MAX_LABELS {
            label
        } else {
            inner.refused += 1;
            OTHER_LABELS
        };
        if !inner.labels.contains_key(label) {
            inner.labels.insert(label.to_owned(), Label::new());
        }
        if let Some(state) = inner.labels.get_mut(label) {
            state.record(label, at, latency, late);
        }
        inner.look_at_alert(at)
    }

    fn report_at(&self, at: Duration, window: Duration) -> Vec<RequestReport> {
        let recent = |(name, label): (&String, &Label)| label.recent(name, at, slices_of(window));
        self.inner().labels.iter().filter_map(recent).collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing under the lock can panic half-way through a change that matters.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn look_at_alert(&mut self, at: Duration) -> Option<AlertEvent> {
        if self.alert_looked.is_some_and(|then| at >= then && at - then < LOOK_EVERY) {
            return None;
        }
        self.alert_looked = Some(at);
        let p95_s = overall_at(self, at, ALERT_SLICES).map(|report| report.p95_s);
        self.alert.observe(at, p95_s)
    }
}

impl LogState {
    /// Memory and CPU of this process, for the lines of the next tenth of a second.
    fn look(&mut self, at: Duration) {
        let then = self.looked;
        if then.is_some_and(|(then, _)| at.saturating_sub(then) < LOOK_EVERY) {
            return;
        }
        let cpu_s = process_cpu_time_s().ok();
        self.memory_mb = rss_bytes().ok().map(|bytes| bytes as f64 * 1e-6);
        self.cpu_percent = then.and_then(|(then, before)| {
            let passed = at.saturating_sub(then).as_secs_f64();
            (passed > 0.0).then_some((cpu_s? - before?) / passed * 100.0)
        });
        self.looked = Some((at, cpu_s));
    }

    fn append(&mut self, line: &Value) {
        if let Err(error) = self.log.append(line) {
            self.errors += 1;
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            self.last_error = Some(format!("{error}: {}", cause.unwrap_or_default()));
        }
    }
}

fn overall_at(inner: &Inner, at: Duration, slices: u64) -> Option<RequestReport> {
    let mut sum = Slice::new(0);
    inner.labels.values().for_each(|label| label.add_recent(&mut sum, at, slices));
    sum.report("")
}

fn slices_of(window: Duration) -> u64 {
    window.as_secs().div_ceil(SLICE_S).clamp(1, SLICES as u64)
}

fn shortened(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_NAME_BYTES)]
}

#[cfg(test)]
mod tests;
