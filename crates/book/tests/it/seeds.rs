//! The seeds of the fuzz targets, replayed without a fuzzer.

use crate::evidence::replay_seeds;

#[path = "../../../../fuzz/readers/replay.rs"]
mod replay;

#[test]
fn seeds_of_replay_are_read_or_refused() {
    replay_seeds("replay", replay::check);
}
