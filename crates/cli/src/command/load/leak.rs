//! Whether serving epoch after epoch takes ever more memory.

use lob_profiler::{LeakConfig, LeakReport, LeakVerdict, leak_report};
use lob_scope::anon_rss_bytes;

/// Readings kept of an epoch: enough for a trend, too few to be one.
const READINGS_PER_EPOCH: u64 = 64;

/// Readings of anonymous memory; pages of the mapped store would look like growth.
pub(super) struct LeakWatch {
    n_batches: u64,
    every: u64,
    epochs: Vec<f64>,
    bytes: Vec<f64>,
}

impl LeakWatch {
    /// For epochs of `n_batches`.
    pub(super) fn new(n_batches: u64) -> Self {
        let every = n_batches.div_ceil(READINGS_PER_EPOCH).max(1);
        Self { n_batches: n_batches.max(1), every, epochs: Vec::new(), bytes: Vec::new() }
    }

    /// Is told of each batch, with the number of batches served before.
    pub(super) fn after(&mut self, batch: u64) {
        if !batch.is_multiple_of(self.every) {
            return;
        }
        if let Ok(bytes) = anon_rss_bytes() {
            self.epochs.push(batch as f64 / self.n_batches as f64);
            self.bytes.push(bytes as f64);
        }
    }

    pub(super) fn report(&self) -> LeakReport {
        leak_report(&self.epochs, &self.bytes, LeakConfig::default())
    }
}

/// The report as JSON.
pub(super) fn document(report: &LeakReport) -> serde_json::Value {
    serde_json::json!({
        "verdict": match report.verdict {
            LeakVerdict::Leak => "leak",
            LeakVerdict::NoLeak | LeakVerdict::LevelsOff => "no_leak",
            _ => "inconclusive",
        },
        "slope_bytes_per_epoch": report.slope,
        "slope_ci95": report.slope_ci95,
        "growth_bytes": report.growth_bytes,
        "floor_bytes": report.floor_bytes,
        "text": report.text("epoch"),
    })
}
