use std::fs;

use lob_store::{Compression, Store, StoreError, TEMP_SUFFIX, partition_path};

use crate::made::{options, rows, write};

#[test]
fn a_folder_opens_in_path_order_without_hidden_files() {
    let folder = tempfile::tempdir().unwrap();
    for (day, instrument, n) in [("2024-01-03", 1, 5), ("2024-01-02", 9, 6), ("2024-01-02", 10, 7)]
    {
        let path = folder.path().join(partition_path(day, instrument));
        write(&path, &rows(n, 1), options(Compression::None));
    }
    fs::write(folder.path().join(format!(".bins.parquet.1{TEMP_SUFFIX}")), "half").unwrap();
    fs::write(folder.path().join("day=2024-01-02/._bins.parquet"), "not ours").unwrap();
    fs::write(folder.path().join("journal.json"), "{}").unwrap();
    let store = Store::open(folder.path()).unwrap();
    let found: Vec<u64> = store.files().iter().map(|file| file.len()).collect();
    assert_eq!(found, [7, 6, 5], "instrument_id=10 sorts before instrument_id=9");
    assert_eq!(store.total_bins(), 18);
    let single = Store::open(folder.path().join(partition_path("2024-01-03", 1))).unwrap();
    assert_eq!(single.total_bins(), 5);
}

#[test]
fn a_folder_without_a_store_is_said_to_be_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.dbn"), "x").unwrap();
    let refused = Store::open(folder.path()).unwrap_err();
    assert!(matches!(refused, StoreError::NoStore { .. }), "{refused}");
    assert!(refused.to_string().contains("lob convert"), "{refused}");
    let refused = Store::open(folder.path().join("nowhere")).unwrap_err();
    assert!(matches!(refused, StoreError::Io { .. }), "{refused}");
    let refused = Store::open(folder.path().join("a.dbn")).unwrap_err();
    assert!(matches!(refused, StoreError::NotParquet { .. }), "{refused}");
}
