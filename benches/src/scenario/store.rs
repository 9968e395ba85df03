//! Bins from a store's files into memory.

use anyhow::{Result, ensure};
use lob_depth::BinColumns;
use lob_metrics::{Unit, shown};
use lob_store::Store;

use super::Bench;
use super::recorder::repeat;

/// Rows read at once: about one window.
const ROWS: u64 = 512;

/// Every file of the store from its first row to its last, opened anew each time. The page cache
/// holds the files: what is timed is the reader, not the disk.
pub(super) fn read(bench: &mut Bench<'_>) -> Result<()> {
    let path = bench.store()?;
    let bytes: u64 = files(&path)?;
    ensure!(bytes > 0, "the store at `{}` is empty", shown(path.display()));
    bench.rec.config("file_bytes", bytes);
    let budget_s = if bench.options.quick { 0.3 } else { 2.0 };
    let mut rows = 0;
    let samples = repeat(budget_s, 3, || {
        rows = 0;
        let store = Store::open(&path)?;
        let mut columns = BinColumns::default();
        for file in store.files() {
            let mut first = 0;
            while first < file.len() {
                let end = (first + ROWS).min(file.len());
                file.read(first..end, &mut columns)?;
                rows += end - first;
                first = end;
            }
        }
        Ok::<(), anyhow::Error>(())
    })?;
    let per_s = |amount: f64| samples.iter().map(|s| amount / s).collect::<Vec<f64>>();
    bench.rec.rate("store.read_bytes_per_s", Unit::BytesPerSecond, &per_s(bytes as f64), None);
    bench.rec.rate("store.read_bins_per_s", Unit::ValuesPerSecond, &per_s(rows as f64), None);
    Ok(())
}

/// Bytes of the Parquet files below a folder.
fn files(folder: &std::path::Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            bytes += files(&path)?;
        } else if path.extension().is_some_and(|e| e == "parquet") {
            bytes += path.metadata()?.len();
        }
    }
    Ok(bytes)
}
