//! Any bytes as a DBN file: an error or an end, never a panic. What the stream calls sound, the
//! verifier must not call broken.
#![no_main]

#[path = "../readers/record_stream.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reader::check(bytes));
