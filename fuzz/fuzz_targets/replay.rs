//! Any orders in any order: the book refuses what has no meaning and its ten levels stay sorted.
#![no_main]

#[path = "../readers/replay.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reader::check(bytes));
