//! Times from batch to batch, in bounded memory however long it goes on.

use lob_metrics::Summary;

/// Times kept; at the limit every second one goes, and from then on every second one counts.
const MAX_KEPT: usize = 1 << 16;

/// Seconds from one batch to the next.
#[derive(Debug)]
pub(super) struct Pace {
    batches: u64,
    /// One of so many is kept.
    stride: u64,
    kept_s: Vec<f64>,
    max_s: f64,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { batches: 0, stride: 1, kept_s: Vec::new(), max_s: 0.0 }
    }

    pub(super) fn add(&mut self, batch_s: f64) {
        if self.batches.is_multiple_of(self.stride) {
            if self.kept_s.len() == MAX_KEPT {
                let mut at = 0;
                self.kept_s.retain(|_| {
                    at += 1;
                    at % 2 == 1
                });
                self.stride *= 2;
            }
            self.kept_s.push(batch_s);
        }
        self.batches += 1;
        self.max_s = self.max_s.max(batch_s);
    }

    /// Batches so far.
    pub(super) fn batches(&self) -> u64 {
        self.batches
    }

    /// Until the first batch; `None` without one.
    pub(super) fn first_s(&self) -> Option<f64> {
        self.kept_s.first().copied()
    }

    /// Of the times kept, with the true maximum.
    pub(super) fn summary(&self) -> Option<Summary> {
        Summary::of(&self.kept_s).map(|summary| Summary { max: self.max_s, ..summary })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::float_cmp, reason = "a test; small whole numbers")]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_keeps_evenly_spaced_times_and_the_maximum() {
        let mut pace = Pace::new();
        assert!(pace.summary().is_none());
        let n = 5 * MAX_KEPT as u64;
        for batch in 0..n {
            pace.add(batch as f64);
        }
        assert!(pace.kept_s.len() <= MAX_KEPT && pace.kept_s.len() >= MAX_KEPT / 2);
        let step = pace.stride as f64;
        assert!(pace.kept_s.windows(2).all(|pair| pair[1] - pair[0] == step));
        assert_eq!((pace.batches(), pace.first_s()), (n, Some(0.0)));
        let summary = pace.summary().unwrap();
        assert_eq!(summary.max, (n - 1) as f64);
        assert!((summary.median / n as f64 - 0.5).abs() < 0.01, "{}", summary.median);
    }
}
