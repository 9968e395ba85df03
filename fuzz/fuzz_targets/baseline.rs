//! Any two Run documents as a baseline and a run held against it, and any text as the history of a
//! machine: what can be read can be compared, judged, drawn and put on record.
#![no_main]

#[path = "../readers/baseline.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(|text: &str| reader::check(text));
