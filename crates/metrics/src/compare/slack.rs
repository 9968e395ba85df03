//! How far a single reading strays by chance, whatever its size.

use crate::{Measurement, Role, Scenario, Unit};

/// Fewer samples than this on either side and their spread says nothing.
pub(super) const MIN_SAMPLES: usize = 4;
/// Sizes: what a cache that happens to be warm, a page more or a buffer in time makes.
const BYTES: f64 = 1_048_576.0;
/// Peak memory: the kernel adds it up by thread in batches of 64 pages.
const PEAK_BYTES: f64 = 262_144.0;
/// The kernel's accounts of a whole process: one tick of its scheduler for each of the two.
const ACCOUNT_S: f64 = 0.02;
/// Shares of a whole.
const SHARE: f64 = 0.01;
/// Counts: the least that counts, and standard errors of the difference of two counts of random
/// events (each has its own mean as its variance).
const COUNT: (f64, f64) = (4.0, 2.0);
/// Standard errors where other programs have a say: context switches of a pipeline on a busy machine
/// scatter this many times as widely (33 to 101, 76 to 170 between two launches of one program).
const DISTURBED_COUNT: f64 = 6.0;
/// Share of its time that a launch waited for a core above which its wall time is that of others.
const WAITED: f64 = 0.1;
/// Samples without which a sampled peak is a matter of luck.
const FEWEST_SAMPLES: u64 = 10;
/// Last parts of the metrics of a profile that are sampled.
const SAMPLED: [&str; 3] = ["peak_rss", "threads", "processes"];

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
    let is_account = is_profile(scenario) || after.role.is_process();
    match after.unit {
        Unit::Bytes => BYTES,
        Unit::Fraction => SHARE,
        Unit::Seconds if is_account && after.role != Role::Reference => ACCOUNT_S,
        Unit::Count => {
            let sum = before.value().unwrap_or(0.0).abs() + after.value().unwrap_or(0.0).abs();
            let errors = if is_profile(scenario) { DISTURBED_COUNT } else { COUNT.1 };
            COUNT.0.max(errors * sum.sqrt())
        }
        _ => 0.0,
    }
}

/// Whether a profile of one launch can tell this metric at all: its wall time where the launch had a
/// core whenever it wanted one, and sampled peaks where there were enough samples.
pub(super) fn is_telling(scenario: &Scenario, metric: &str) -> bool {
    let name = metric.rsplit('.').next().unwrap_or(metric);
    if !is_profile(scenario) {
        return true;
    }
    if name == "wall_time" {
        let waited = scenario.measurements.iter().find(|m| m.metric.ends_with(".waiting.cpu"));
        return waited.and_then(Measurement::value).is_some_and(|share| share <= WAITED);
    }
    let samples = scenario.config.get("samples").and_then(serde_json::Value::as_u64);
    !SAMPLED.contains(&name) || samples.is_none_or(|n| n >= FEWEST_SAMPLES)
}

/// One launch of any program, seen from outside.
fn is_profile(scenario: &Scenario) -> bool {
    scenario.suite == "profile"
}
