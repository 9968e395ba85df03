//! Latencies of one label: twelve slices of five minutes, and the clock hours.

use std::collections::VecDeque;
use std::time::Duration;

use lob_scope::QuantileSketch;

/// Slices of the rolling hour, so a report over an hour covers 55 to 60 minutes.
pub(super) const SLICES: usize = 12;
/// Length of a slice in seconds.
pub(super) const SLICE_S: u64 = 300;
/// Finished clock hours kept.
pub(super) const HOURS: usize = 24;
const HOUR_S: u64 = 3600;

/// Latencies of one label, or of all, over a stretch of time.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestReport {
    /// The label; empty for all together.
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

/// Latencies of one label in one clock hour (UTC).
#[derive(Debug, Clone, PartialEq)]
pub struct HourReport {
    /// Beginning of the hour since 1970-01-01 UTC.
    pub start: Duration,
    /// Whether the hour is over.
    pub complete: bool,
    /// Its figures.
    pub report: RequestReport,
}

/// One label.
#[derive(Debug)]
pub(super) struct Label {
    slices: Vec<Slice>,
    hour: Slice,
    finished: VecDeque<HourReport>,
    /// Since the beginning.
    pub(super) requests: u64,
    pub(super) violations: u64,
    pub(super) total_s: f64,
}

/// Requests of a stretch of time.
#[derive(Debug)]
pub(super) struct Slice {
    /// Which stretch since 1970.
    epoch: u64,
    /// Latencies in nanoseconds.
    counts: QuantileSketch,
    requests: u64,
    violations: u64,
    sum_s: f64,
    max_s: f64,
}

impl Label {
    pub(super) fn new() -> Self {
        Self {
            slices: Vec::new(),
            hour: Slice::new(0),
            finished: VecDeque::new(),
            requests: 0,
            violations: 0,
            total_s: 0.0,
        }
    }

    /// QuantileSketch a request that ended at `at` since 1970. One that is older than everything kept
    /// counts in the totals only.
    pub(super) fn record(&mut self, name: &str, at: Duration, latency: Duration, late: bool) {
        self.requests += 1;
        self.violations += u64::from(late);
        self.total_s += latency.as_secs_f64();
        if let Some(slice) = self.slice(at.as_secs() / SLICE_S) {
            slice.record(latency, late);
        }
        let hour = at.as_secs() / HOUR_S;
        if hour > self.hour.epoch {
            self.finish_hour(name);
            self.hour.restart(hour);
        }
        if hour == self.hour.epoch {
            self.hour.record(latency, late);
        }
    }

    /// Requests of the last `slices` slices at `at`; `None` when there were none.
    pub(super) fn recent(&self, name: &str, at: Duration, slices: u64) -> Option<RequestReport> {
        let mut sum = Slice::new(0);
        self.add_recent(&mut sum, at, slices);
        sum.report(name)
    }

    pub(super) fn add_recent(&self, sum: &mut Slice, at: Duration, slices: u64) {
        let now = at.as_secs() / SLICE_S;
        let recent = |slice: &&Slice| slice.epoch <= now && slice.epoch + slices > now;
        self.slices.iter().filter(recent).for_each(|slice| sum.add(slice));
    }

    /// Clock hours with requests, oldest first, the one `at` lies in included.
    pub(super) fn hours(&self, name: &str, at: Duration) -> Vec<HourReport> {
        let complete = at.as_secs() / HOUR_S > self.hour.epoch;
        let current = self.hour.hour_report(name, complete);
        self.finished.iter().cloned().chain(current).collect()
    }

    fn finish_hour(&mut self, name: &str) {
        if let Some(report) = self.hour.hour_report(name, true) {
            if self.finished.len() == HOURS {
                self.finished.pop_front();
            }
            self.finished.push_back(report);
        }
    }

    /// The slice of these five minutes; the place of the oldest is used again. `None` for minutes
    /// before all that are kept.
    fn slice(&mut self, epoch: u64) -> Option<&mut Slice> {
        if let Some(found) = self.slices.iter().position(|slice| slice.epoch == epoch) {
            return Some(&mut self.slices[found]);
        }
        if self.slices.len() < SLICES {
            self.slices.push(Slice::new(epoch));
            return self.slices.last_mut();
        }
        let oldest = self.slices.iter_mut().min_by_key(|slice| slice.epoch)?;
        if oldest.epoch > epoch {
            return None;
        }
        oldest.restart(epoch);
        Some(oldest)
    }

    #[cfg(test)]
    pub(super) fn n_slices(&self) -> usize {
        self.slices.len()
    }
}

impl Slice {
    pub(super) fn new(epoch: u64) -> Self {
        let counts = QuantileSketch::new();
        Self { epoch, counts, requests: 0, violations: 0, sum_s: 0.0, max_s: 0.0 }
    }

    fn restart(&mut self, epoch: u64) {
        self.counts.clear();
        (self.epoch, self.requests, self.violations) = (epoch, 0, 0);
        (self.sum_s, self.max_s) = (0.0, 0.0);
    }

    fn record(&mut self, latency: Duration, late: bool) {
        self.requests += 1;
        self.violations += u64::from(late);
        self.sum_s += latency.as_secs_f64();
        self.max_s = self.max_s.max(latency.as_secs_f64());
        self.counts.record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.requests += other.requests;
        self.violations += other.violations;
        self.sum_s += other.sum_s;
        self.max_s = self.max_s.max(other.max_s);
    }

    /// Without a request there is no latency to report, not one of zero.
    pub(super) fn report(&self, label: &str) -> Option<RequestReport> {
        let quantile = |q| Some((self.counts.quantile(q)? * 1e-9).min(self.max_s));
        Some(RequestReport {
            label: label.to_owned(),
            requests: self.requests,
            violations: self.violations,
            mean_s: self.sum_s / self.requests as f64,
            p50_s: quantile(0.50)?,
            p95_s: quantile(0.95)?,
            p99_s: quantile(0.99)?,
            max_s: self.max_s,
        })
    }

    fn hour_report(&self, label: &str, complete: bool) -> Option<HourReport> {
        let report = self.report(label)?;
        Some(HourReport { start: Duration::from_secs(self.epoch * HOUR_S), complete, report })
    }
}
