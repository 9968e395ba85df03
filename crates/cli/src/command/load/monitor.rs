//! The live line of figures.

use lob_dataloader::Loader;
use lob_metrics::Unit;

/// Batches before the first line.
const WARM_UP: u64 = 10;

/// Writes a line to standard error after every few batches.
pub(super) struct Monitor {
    every: Option<u64>,
}

impl Monitor {
    pub(super) fn new(every: Option<u64>) -> Self {
        Self { every: every.map(|every| every.max(1)) }
    }

    /// Is told of each batch. The figures are those of the last 100.
    pub(super) fn after(&mut self, batches: u64, loader: &Loader) {
        let Some(every) = self.every else { return };
        if batches < WARM_UP || batches != WARM_UP && !batches.is_multiple_of(every) {
            return;
        }
        let stats = loader.stats();
        let Some(recent) = stats.recent else { return };
        let blocks = (stats.cache_hits + stats.cache_misses).max(1);
        let rss = lob_scope::rss_bytes().map(|bytes| Unit::Bytes.format(bytes as f64));
        eprintln!(
            "batch {batches}: {}, RSS {}, data wait {:.0} %, {:.1} batches ready, cache hits {:.0} %",
            Unit::SamplesPerSecond.format(recent.samples_per_s),
            rss.unwrap_or_else(|_| "unknown".to_owned()),
            recent.wait_share * 100.0,
            stats.queue_depth_mean,
            stats.cache_hits as f64 / blocks as f64 * 100.0,
        );
    }
}
