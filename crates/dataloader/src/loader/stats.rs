use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::make::{Counts, Reads};

/// Batches the recent figures look back on, and how many they need.
const WINDOW: usize = 100;
const WINDOW_MIN: usize = 10;

/// Figures of a loader since it was made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoaderStats {
    /// Samples delivered.
    pub samples: u64,
    /// Samples left out; of depth images, windows none of whose bins has a bid and an ask.
    pub skipped: u64,
    /// Batches delivered.
    pub batches: u64,
    /// Time the consumer waited for data, seconds.
    pub wait_s: f64,
    /// Longest wait for one batch, seconds.
    pub wait_max_s: f64,
    /// Bytes of pages read from the maps.
    pub bytes_read: u64,
    /// Blocks of bins found decoded.
    pub cache_hits: u64,
    /// Blocks of bins that had to be read.
    pub cache_misses: u64,
    /// Mean number of finished batches waiting when the consumer asked.
    pub queue_depth_mean: f64,
    /// Batch buffers allocated; those of dropped batches are used again.
    pub buffers: u64,
    /// The last 100 batches; `None` before the tenth.
    pub recent: Option<RecentStats>,
}

/// Figures of the last batches, for a live display.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecentStats {
    /// Samples delivered a second.
    pub samples_per_s: f64,
    /// Share of the time the consumer waited for data, 0 to 1.
    pub wait_share: f64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    samples: u64,
    skipped: u64,
    batches: u64,
    wait: Duration,
    wait_max: Duration,
    depths: u64,
    recent: VecDeque<(Instant, usize, Duration)>,
}

impl Counters {
    /// Takes note of a batch that the consumer waited for this long, and of how many others were
    /// ready then.
    pub(super) fn count(&self, of: Counts, wait: Duration, depth: usize) {
        let samples = of.samples;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.skipped += of.skipped as u64;
        if samples == 0 {
            return;
        }
        inner.samples += samples as u64;
        inner.batches += 1;
        inner.wait += wait;
        inner.wait_max = inner.wait_max.max(wait);
        inner.depths += depth as u64;
        if inner.recent.len() == WINDOW {
            inner.recent.pop_front();
        }
        inner.recent.push_back((Instant::now(), samples, wait));
    }

    /// All figures, with what was read and how many buffers were made.
    pub(super) fn stats(&self, reads: Reads, buffers: u64) -> LoaderStats {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        LoaderStats {
            samples: inner.samples,
            skipped: inner.skipped,
            batches: inner.batches,
            wait_s: inner.wait.as_secs_f64(),
            wait_max_s: inner.wait_max.as_secs_f64(),
            #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
            queue_depth_mean: inner.depths as f64 / inner.batches.max(1) as f64,
            recent: inner.recent(),
            bytes_read: reads.bytes,
            cache_hits: reads.cache_hits,
            cache_misses: reads.cache_misses,
            buffers,
        }
    }
}

impl Inner {
    fn recent(&self) -> Option<RecentStats> {
        let first = self.recent.front().filter(|_| self.recent.len() >= WINDOW_MIN)?.0;
        let seconds = self.recent.back()?.0.duration_since(first).as_secs_f64();
        // The first batch came before the stretch that is measured.
        let later = || self.recent.iter().skip(1);
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
        let samples = later().map(|batch| batch.1).sum::<usize>() as f64;
        let wait_s = later().map(|batch| batch.2).sum::<Duration>().as_secs_f64();
        (seconds > 0.0).then(|| RecentStats {
            samples_per_s: samples / seconds,
            wait_share: (wait_s / seconds).min(1.0),
        })
    }
}
