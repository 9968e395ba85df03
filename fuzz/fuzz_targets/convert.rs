//! Any bytes through a whole conversion in both layouts: an error that leaves nothing behind, or a
//! store whose rows are those of the summary.
#![no_main]

#[path = "../readers/convert.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reader::check(bytes));
