//! The seeds of the fuzz targets, replayed without a fuzzer.

use crate::evidence::replay_seeds;

#[path = "../../../../fuzz/readers/baseline.rs"]
mod baseline;

#[test]
fn seeds_of_baseline_are_read_or_refused() {
    replay_seeds("baseline", |bytes| baseline::check(std::str::from_utf8(bytes).unwrap()));
}
