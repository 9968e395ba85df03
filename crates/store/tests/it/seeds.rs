//! The seeds of the fuzz targets, replayed without a fuzzer.

use crate::evidence::replay_seeds;

#[path = "../../../../fuzz/readers/store_reader.rs"]
mod store_reader;

#[test]
fn seeds_of_store_reader_are_read_or_refused() {
    replay_seeds("store_reader", store_reader::check);
}
