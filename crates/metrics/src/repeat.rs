//! Shares by which figures that are counted, not timed, differ between two runs of one program: see
//! [`Measurement::repeats_within`](crate::Measurement::repeats_within).

/// Counts of a fixed piece of work on one thread repeat exactly.
pub const COUNTS_REPEAT: f64 = 0.0;
/// Instructions of a whole program.
pub const INSTRUCTIONS_REPEAT: f64 = 0.001;
/// Peak memory: the kernel counts it by thread in batches, and threads meet in another order each
/// time.
pub const PEAK_RSS_REPEATS: f64 = 0.05;
