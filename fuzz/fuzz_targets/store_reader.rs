//! Any bytes as a store file: an error or rows, never a panic.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use lob_store::{BinFile, read_tick_meta};

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room for the input");
    drop(read_tick_meta(file.path()));
    let Ok(store) = BinFile::open(file.path()) else { return };
    let rows = store.len().min(1 << 16);
    drop(store.labels(0..rows));
});
