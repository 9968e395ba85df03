//! Any bytes as a store file: an error or rows, never a panic.

use std::io::Write;

use lob_depth::BinColumns;
use lob_store::{BinFile, LabelPlace, TruthFile, TruthKey, read_tick_meta};

/// Rows read at once.
const BATCH: u64 = 256;
/// Rows read of one input.
const MOST: u64 = 1 << 12;

pub(crate) fn check(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room for the input");
    drop(read_tick_meta(file.path()));
    if let Ok(truth) = TruthFile::open(file.path()) {
        let mut reader = truth.reader();
        // The first records of the calendar of `lob synth`, and what lies beyond all of them.
        for ts_recv in [0, 1_711_929_600_000_000_000, 1_711_929_700_000_000_000, u64::MAX] {
            let key = TruthKey { instrument_id: 0, sequence: 0, ts_event: 0, ts_recv };
            drop(reader.find(&key));
        }
    }
    let Ok(store) = BinFile::open(file.path()) else { return };
    let rows = store.len().min(MOST);
    drop(store.labels(0..rows));
    for label in &store.meta().labels {
        drop(store.label_values(&label.name, 0..rows));
    }
    let mut bins = BinColumns::default();
    for start in (0..rows).step_by(BATCH as usize) {
        let read = store.read(start..(start + BATCH).min(rows), &mut bins);
        // A failed read adds nothing, a good one all of it.
        assert_eq!(bins.len() as u64, if read.is_ok() { (start + BATCH).min(rows) } else { start });
        if read.is_err() {
            break;
        }
        drop(store.rows(start..(start + BATCH).min(rows)));
    }
    // The last row has its own page and row group.
    if let Some(last) = store.len().checked_sub(1) {
        drop((store.row_label(last, LabelPlace::MOVEMENT), store.ts_event(last)));
    }
}
