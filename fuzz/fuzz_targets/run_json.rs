//! Any text as a Run document, as baselines and reports read them: an error, or a document that
//! says the same when written and read again.
#![no_main]

#[path = "../readers/run_json.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(|text: &str| reader::check(text));
