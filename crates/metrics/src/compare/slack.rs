//! How far a single reading strays by chance, whatever its size.

use crate::{Measurement, Role, Scenario, Unit};

/// Fewer samples than this on either side and their spread says nothing.
pub(super) const MIN_SAMPLES: usize = 4;
/// Sizes: what a cache that happens to be warm, a page more or a buffer in time makes.
const BYTES: f64 = 1_048_576.0;
/// Peak memory: the kernel adds it up by thread in batches of 64 pages.
const PEAK_BYTES: f64 = 262_144.0;
/// The kernel's accounts of a whole process: one tick of its scheduler.
const ACCOUNT_S: f64 = 0.01;
/// Shares of a whole.
const SHARE: f64 = 0.01;
/// Counts: the least that counts, and standard errors of the difference of two counts of random
/// events (each has its own mean as its variance).
const COUNT: (f64, f64) = (4.0, 2.0);

/// The absolute difference up to which two readings are called the same; 0 where their samples say
/// how far they stray, where they are known to repeat exactly, and for rates and plain numbers.
pub(super) fn slack(scenario: &Scenario, before: &Measurement, after: &Measurement) -> f64 {
    match before.repeats_within.or(after.repeats_within) {
        Some(share) if share > 0.0 && after.unit == Unit::Bytes => return PEAK_BYTES,
        Some(_) => return 0.0,
        None => {}
    }
    if before.samples.len().min(after.samples.len()) >= MIN_SAMPLES {
        return 0.0;
    }
    let is_account = scenario.suite == "profile" || after.role.is_process();
    match after.unit {
        Unit::Bytes => BYTES,
        Unit::Fraction => SHARE,
        Unit::Seconds if is_account && after.role != Role::Reference => ACCOUNT_S,
        Unit::Count => {
            let sum = before.value().unwrap_or(0.0).abs() + after.value().unwrap_or(0.0).abs();
            COUNT.0.max(COUNT.1 * sum.sqrt())
        }
        _ => 0.0,
    }
}
