//! A second, simple replay, written apart from the converter, and what it says a file's rows are.
//!
//! It decodes with the `dbn` crate's own decoder, keeps every order in a map, counts the levels
//! afresh after each record, and holds everything in memory. The rules come from the documentation
//! of [`lob_book::Replayer`] and from what a store promises:
//!
//! - who: publisher, id, and the symbol that the id has at the time; each has its own book;
//! - when: `ts_recv`, or `ts_event` where the first is undefined, impossible or flagged
//!   `BAD_TS_RECV`; a record without a sound time is no row, but its order still counts;
//! - a snapshot (flag `SNAPSHOT`, or from a clear without `LAST` to the next `LAST`) is no row;
//! - a segment ends at a snapshot, a clear, a gap, and the end of a day.

mod book;
mod found;
mod rows;

use std::path::Path;

use lob_convert::{ConvertConfig, ConvertSummary};

pub(crate) use rows::{Expected, Row, Who, expected as rows_of};

/// Holds every row of a store of ticks against the replay of its one input.
pub(crate) fn agree(input: &Path, config: &ConvertConfig, summary: &ConvertSummary) -> Expected {
    let expected = rows_of(input, config);
    let mut found = found::read(summary);
    let name = input.file_name().unwrap().display();
    for (key, rows) in &expected.files {
        let found = found.remove(key).unwrap_or_else(|| panic!("{name}: nothing of {key:?}"));
        for (at, (found, row)) in found.iter().zip(rows).enumerate() {
            let place = format!("{name}: {key:?} row {at}");
            // The file has 24 bits of the movement, and the class of all of them.
            let (kept, whole) = (found.row.movement, row.movement);
            assert_eq!(kept.is_some(), whole.is_some(), "{place}");
            let rounding = whole.unwrap_or(0.0).abs() * 2.0_f64.powi(-24);
            let error = (kept.unwrap_or(0.0) - whole.unwrap_or(0.0)).abs();
            assert!(error <= rounding, "{place}: {kept:?} for {whole:?}");
            assert_eq!(
                (found.class(kept), found.class(whole)),
                (found.label, found.label),
                "{place}"
            );
            assert_eq!(Row { movement: whole, ..found.row.clone() }, *row, "{place}");
        }
        assert_eq!(found.len(), rows.len(), "{name}: rows of {key:?}");
    }
    let others: Vec<_> = found.keys().collect();
    assert!(others.is_empty(), "{name}: {others:?} should not be there");
    let n: usize = expected.files.values().map(Vec::len).sum();
    assert_eq!(summary.rows, n as u64, "{name}");
    expected
}
