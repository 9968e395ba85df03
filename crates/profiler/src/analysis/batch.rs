//! The batch size to take.

use std::time::Instant;

use crate::MemoryScope;

/// One step of a sweep over batch sizes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchPoint {
    /// Samples in a batch.
    pub batch_size: usize,
    /// Samples per second.
    pub samples_per_s: f64,
    /// Peak memory at this size in bytes, where it was measured.
    pub peak_bytes: Option<f64>,
}

/// The batch size to take and why.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchChoice {
    /// Samples in a batch.
    pub batch_size: usize,
    /// Its samples per second.
    pub samples_per_s: f64,
    /// The size with the most samples per second under the cap, and how many.
    pub fastest: (usize, f64),
    /// Sizes left out because they need more memory than the cap, or nobody measured how much.
    pub over_cap: Vec<usize>,
}

/// The knee of a sweep: the smallest batch that is within `slack` (0..1) of the fastest under the
/// memory cap. Larger ones cost memory and convergence and give next to nothing.
///
/// `None` when no point has a positive rate or none fits under the cap. With a cap, sizes whose
/// memory was not measured are left out.
#[must_use]
pub fn best_batch(
    points: &[BatchPoint],
    memory_cap_bytes: Option<f64>,
    slack: f64,
) -> Option<BatchChoice> {
    let fits = |point: &&BatchPoint| {
        memory_cap_bytes.is_none_or(|cap| point.peak_bytes.is_some_and(|bytes| bytes <= cap))
    };
    let usable = |point: &&BatchPoint| {
        point.samples_per_s > 0.0 && point.samples_per_s.is_finite() && point.batch_size > 0
    };
    let over_cap = points.iter().filter(|p| !fits(p)).map(|p| p.batch_size).collect();
    let under = || points.iter().filter(usable).filter(fits);
    let fastest = under().max_by(|a, b| a.samples_per_s.total_cmp(&b.samples_per_s))?;
    let enough = fastest.samples_per_s * (1.0 - slack.clamp(0.0, 1.0));
    let knee = under().filter(|p| p.samples_per_s >= enough).min_by_key(|p| p.batch_size)?;
    Some(BatchChoice {
        batch_size: knee.batch_size,
        samples_per_s: knee.samples_per_s,
        fastest: (fastest.batch_size, fastest.samples_per_s),
        over_cap,
    })
}

/// Times `batches` calls of `step` at each of `sizes` after one call that does not count, and
/// returns the rates. Peak memory is taken where the kernel can reset it.
///
/// The seed documents ask for sizes 16, 32, 64 and 128 with 10 batches each.
pub fn sweep_batches(
    sizes: &[usize],
    batches: usize,
    mut step: impl FnMut(usize),
) -> Vec<BatchPoint> {
    let point = |&batch_size: &usize| {
        step(batch_size);
        let memory = MemoryScope::enter();
        let start = Instant::now();
        (0..batches.max(1)).for_each(|_| step(batch_size));
        let seconds = start.elapsed().as_secs_f64().max(1e-9);
        let memory = memory.finish();
        let peak = memory.own_peak.and(memory.peak_rss_bytes);
        BatchPoint {
            batch_size,
            samples_per_s: (batch_size * batches.max(1)) as f64 / seconds,
            peak_bytes: peak.ok().map(|bytes| bytes as f64),
        }
    };
    sizes.iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(rows: &[(usize, f64, f64)]) -> Vec<BatchPoint> {
        rows.iter()
            .map(|&(batch_size, samples_per_s, bytes)| BatchPoint {
                batch_size,
                samples_per_s,
                peak_bytes: Some(bytes),
            })
            .collect()
    }

    #[test]
    fn the_knee_is_taken_under_the_cap() {
        let sweep =
            points(&[(16, 500.0, 1.0), (32, 900.0, 2.0), (64, 960.0, 4.0), (128, 1000.0, 8.0)]);
        let size = |cap, slack| best_batch(&sweep, cap, slack).map(|choice| choice.batch_size);
        assert_eq!(size(None, 0.05), Some(64));
        assert_eq!(size(None, 0.0), Some(128));
        assert_eq!(size(None, 0.11), Some(32));
        assert_eq!(size(Some(4.0), 0.0), Some(64));
        assert_eq!(size(Some(0.5), 0.0), None);
        let choice = best_batch(&sweep, Some(4.0), 0.07).unwrap();
        assert_eq!(
            (choice.batch_size, choice.fastest, choice.over_cap),
            (32, (64, 960.0), vec![128])
        );
    }

    #[test]
    fn what_cannot_be_judged_is_left_out() {
        assert_eq!(best_batch(&[], None, 0.05), None);
        assert_eq!(best_batch(&points(&[(16, f64::NAN, 1.0), (32, 0.0, 1.0)]), None, 0.05), None);
        let unmeasured = [BatchPoint { batch_size: 8, samples_per_s: 9.0, peak_bytes: None }];
        assert_eq!(best_batch(&unmeasured, Some(1e9), 0.05), None);
        assert_eq!(best_batch(&unmeasured, None, 0.05).unwrap().batch_size, 8);
    }

    #[test]
    fn a_sweep_runs_every_size_as_often_as_asked() {
        let mut calls = Vec::new();
        let points = sweep_batches(&[16, 32], 10, |size| calls.push(size));
        assert_eq!(calls, [[16; 11], [32; 11]].concat());
        assert!(points.iter().all(|point| point.samples_per_s > 0.0));
    }
}
