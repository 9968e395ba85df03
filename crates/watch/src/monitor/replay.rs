//! A monitor fed from the log of another process.

use std::path::Path;
use std::time::Duration;

use lob_scope::Unavailable;
use serde_json::Value;

use super::{JsonLinesTail, ProductionMonitor};
use crate::timestamp;

/// A line may be ahead of our clock by this much; more is a mistake of its writer's clock and
/// would push everything else out of the windows.
const MAX_AHEAD: Duration = Duration::from_secs(300);

/// Follows the request log of a [`ProductionMonitor`] in another process and gives the same
/// figures here.
#[derive(Debug)]
pub struct LogReplay {
    tail: JsonLinesTail,
    monitor: ProductionMonitor,
    refused: u64,
}

impl LogReplay {
    /// Follows the log at `path`; its requests are judged by `sla`.
    #[must_use]
    pub fn new(path: &Path, sla: Duration) -> Self {
        Self { tail: JsonLinesTail::new(path), monitor: ProductionMonitor::new(sla), refused: 0 }
    }

    /// Takes in the lines written since the last call and returns how many requests they hold.
    ///
    /// # Errors
    /// Where the file cannot be read (yet); the next call tries again.
    pub fn poll(&mut self) -> Result<u64, Unavailable> {
        let lines = self.tail.poll()?;
        let latest = timestamp::now().saturating_add(MAX_AHEAD);
        let mut requests = 0;
        for line in lines {
            match parse(&line) {
                Line::Request { label, latency, at } if at <= latest => {
                    self.monitor.record_at(&label, latency, at);
                    requests += 1;
                }
                Line::Alert => {}
                _ => self.refused += 1,
            }
        }
        Ok(requests)
    }

    /// The figures so far.
    #[must_use]
    pub fn monitor(&self) -> &ProductionMonitor {
        &self.monitor
    }

    /// Lines that were no request: torn, of another kind, or with a time in the future.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused + self.tail.skipped()
    }
}

enum Line {
    Request { label: String, latency: Duration, at: Duration },
    Alert,
    Unknown,
}

fn parse(line: &str) -> Line {
    let Ok(document) = serde_json::from_str::<Value>(line) else { return Line::Unknown };
    if document.get("alert").is_some() {
        return Line::Alert;
    }
    let request = || {
        let latency = document.get("user_facing_latency")?.as_f64()?;
        Some(Line::Request {
            label: document.get("label")?.as_str()?.to_owned(),
            latency: Duration::try_from_secs_f64(latency).ok()?,
            at: timestamp::parse_rfc3339(document.get("timestamp")?.as_str()?)?,
        })
    };
    request().unwrap_or(Line::Unknown)
}
