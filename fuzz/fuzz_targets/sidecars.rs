//! Any text as the files beside a sound input: manifest, conditions and symbology of a batch
//! folder, class edges, and the journal of the store. An error that names the file, or a conversion.
#![no_main]

#[path = "../readers/sidecars.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reader::check(bytes));
