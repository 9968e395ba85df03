//! Order flow through the whole path against `benches/peers/order_flow.py`, bit for bit.

use std::path::{Path, PathBuf};

use lob_convert::convert;
use lob_depth::{BinRule, OrderFlow};
use lob_store::{Store, StoredBin};

use crate::evidence::golden;
use crate::small;

/// A bin as a line of the script's table, whose empty cells are unknown.
fn line(instrument_id: u32, row: &StoredBin) -> String {
    let OrderFlow {
        imbalance,
        signed_volume,
        trades,
        signed_trades,
        adds,
        cancels,
        modifies,
        microprice_deviation,
        queue_imbalance,
    } = row.bin.flow.expect("a conversion knows the order flow");
    let mut cells = vec![
        instrument_id.to_string(),
        row.bin.ts_event_last.to_string(),
        row.bin.n_updates.to_string(),
    ];
    cells.extend(imbalance.iter().map(i64::to_string));
    cells.extend([signed_volume.to_string(), trades.to_string(), signed_trades.to_string()]);
    for counts in [adds, cancels, modifies] {
        let cell = |side: usize| counts.map_or_else(String::new, |n| n[side].to_string());
        cells.extend([cell(0), cell(1)]);
    }
    // As Python writes them: the shortest text that reads back as the same number.
    let real = |x: Option<f64>| x.map_or_else(String::new, |x| format!("{x:?}"));
    cells.extend([real(microprice_deviation), real(queue_imbalance)]);
    cells.join(",")
}

/// Converts a file to bins of `n` updates and gives the lines of its table.
fn lines(input: PathBuf, n: u32) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut config = small(folder.path().join("out"));
    config.bin_rule = BinRule::Updates(n);
    convert(&[input], &config, &()).unwrap();
    let store = Store::open(&config.out).unwrap();
    let lines = store.files().iter().flat_map(|file| {
        let rows = file.rows(0..file.len()).unwrap();
        rows.iter().map(|row| line(file.meta().instrument_id, row)).collect::<Vec<_>>()
    });
    lines.collect()
}

#[test]
fn order_flow_equals_an_independent_computation() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let tables = golden("order_flow");
    for (input, table, n) in [
        (fixtures.join("small.mbp-10.dbn.zst"), "small.mbp-10.csv", 20),
        (fixtures.join("small.mbo.dbn.zst"), "small.mbo.csv", 20),
        (tables.join("thin.mbo.dbn.zst"), "thin.mbo.csv", 5),
    ] {
        let text = std::fs::read_to_string(tables.join(table)).unwrap();
        let expected: Vec<_> = text.lines().skip(1).collect();
        assert!(expected.len() > 40, "{table}");
        let found = lines(input, n);
        assert_eq!(found.len(), expected.len(), "{table}");
        for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert_eq!(found, expected, "{table}, line {}", at + 2);
        }
    }
}
