//! The seeds of the fuzz targets, replayed without a fuzzer.

use crate::evidence::replay_seeds;

#[path = "../../../../fuzz/readers/record_stream.rs"]
mod record_stream;

#[path = "../../../../fuzz/readers/convert.rs"]
mod convert;

#[path = "../../../../fuzz/readers/sidecars.rs"]
mod sidecars;

#[test]
fn seeds_of_record_stream_are_read_or_refused() {
    replay_seeds("record_stream", record_stream::check);
}

#[test]
fn seeds_of_convert_are_read_or_refused() {
    replay_seeds("convert", convert::check);
}

#[test]
fn seeds_of_sidecars_are_read_or_refused() {
    replay_seeds("sidecars", sidecars::check);
}
