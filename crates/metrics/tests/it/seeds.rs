//! The seeds of the fuzz targets, replayed without a fuzzer.

use crate::evidence::replay_seeds;

#[path = "../../../../fuzz/readers/run_json.rs"]
mod run_json;

#[test]
fn seeds_of_run_json_are_read_or_refused() {
    replay_seeds("run_json", |bytes| run_json::check(std::str::from_utf8(bytes).unwrap()));
}
