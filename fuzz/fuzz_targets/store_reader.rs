//! Any bytes as a store file: an error or rows, never a panic.
#![no_main]

#[path = "../readers/store_reader.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reader::check(bytes));
