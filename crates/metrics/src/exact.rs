//! Figures that repeat from run to run.

/// Names (the last part of a metric) of figures that are counted, not timed, and the share by which
/// they may differ between two runs of the same program.
///
/// Counts of a fixed piece of work on one thread repeat exactly. Peak memory does not: the kernel
/// counts it by thread in batches, and threads meet in another order each time.
const EXACT: [(&str, f64); 4] =
    [("allocations", 0.0), ("allocated_bytes", 0.0), ("instructions", 0.001), ("peak_rss", 0.05)];

/// The share by which a figure of this name may differ before the difference counts; `None` for
/// figures that are timed and need a statistical test.
///
/// ```
/// use lob_metrics::exact_tolerance;
/// assert_eq!(exact_tolerance("memory.render.allocations"), Some(0.0));
/// assert_eq!(exact_tolerance("load.samples_per_s"), None);
/// ```
#[must_use]
pub fn exact_tolerance(metric: &str) -> Option<f64> {
    let last = metric.rsplit('.').next().unwrap_or(metric);
    EXACT.iter().find(|(name, _)| *name == last).map(|(_, tolerance)| *tolerance)
}
