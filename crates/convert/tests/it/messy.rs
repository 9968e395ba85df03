//! Messy markets and recorded files through the oracle.

use std::path::Path;

use lob_convert::{ConvertConfig, ConvertSummary, Layout, convert};
use lob_synth::{InsertionKind, Mess, MessyFile, Schema, SynthConfig, write_messy_file};

use crate::{evidence, market, oracle, small};

const SCHEMAS: [(Schema, &str); 2] = [(Schema::Mbp10, "mbp-10"), (Schema::Mbo, "mbo")];

fn ticks(input: &Path, out: &Path) -> (ConvertConfig, ConvertSummary) {
    let mut config = small(out.to_owned());
    config.layout = Layout::Ticks;
    let summary = convert(&[input.to_owned()], &config, &()).unwrap();
    (config, summary)
}

/// A messy market of two sessions in one file.
fn messy(folder: &Path, seed: u64, schema: Schema, mess: &Mess) -> MessyFile {
    // A snapshot of orders takes some 800 records an instrument.
    let records = if schema == Schema::Mbo { 20_000 } else { 8_000 };
    let config = SynthConfig { records, instruments: 2, sessions: 2, seed, schema };
    let path = folder.join(format!("{seed}.{:?}.{schema:?}.dbn.zst", mess.symbols_in));
    write_messy_file(&config, mess, &path, &|| false).unwrap()
}

#[test]
fn the_oracle_agrees_on_plain_markets() {
    let folder = tempfile::tempdir().unwrap();
    for (_, schema) in SCHEMAS {
        let input = market(folder.path(), &format!("a.{schema}.dbn.zst"), 12_000, 2, 2);
        let (config, summary) = ticks(&input, &folder.path().join(schema));
        let expected = oracle::agree(&input, &config, &summary);
        assert!(summary.rows > 2_000 && summary.samples > 500 && expected.segments >= 4);
        assert!(expected.in_snapshots >= 4, "openings are snapshots");
    }
}

#[test]
fn the_oracle_agrees_on_messy_markets() {
    for seed in [1, 2, 3] {
        for (schema, name) in SCHEMAS {
            for mess in [Mess::daily(), Mess::live()] {
                let folder = tempfile::tempdir().unwrap();
                let file = messy(folder.path(), seed, schema, &mess);
                let (config, summary) = ticks(&file.path, &folder.path().join("out"));
                let expected = oracle::agree(&file.path, &config, &summary);
                assert!(summary.rows > 1_500 && summary.samples > 200, "{name}: {}", summary.rows);
                check_truth(&file, &expected, schema);
            }
        }
    }
}

/// The oracle must have seen what the generator says it wrote.
fn check_truth(file: &MessyFile, expected: &oracle::Expected, schema: Schema) {
    let count = |is_it: fn(&InsertionKind) -> bool| {
        file.insertions.iter().filter(|insertion| is_it(&insertion.kind)).count() as u64
    };
    let snapshots = file.insertions.iter().filter_map(|insertion| match insertion.kind {
        InsertionKind::Snapshot { records, .. } => Some(records),
        _ => None,
    });
    if schema == Schema::Mbp10 {
        assert_eq!(expected.in_snapshots, snapshots.sum::<u64>());
        assert_eq!(expected.untimed, count(|kind| *kind == InsertionKind::Untimed));
    } else {
        // Orders outside the ten levels are no updates.
        assert!(expected.in_snapshots <= snapshots.sum::<u64>());
        assert!(expected.untimed <= count(|kind| *kind == InsertionKind::Untimed));
    }
    assert!(expected.in_snapshots > 0 && expected.untimed > 0);
    // Every meaning of an id has rows under its name.
    for insertion in &file.insertions {
        if let InsertionKind::Means { instrument_id, symbol } = &insertion.kind {
            let is_it =
                |who: &&oracle::Who| who.instrument_id == *instrument_id && who.symbol == *symbol;
            assert!(expected.files.keys().any(|who| is_it(&who)), "{instrument_id} {symbol}");
        }
    }
    let days: std::collections::BTreeSet<_> = expected.files.keys().map(|who| &who.day).collect();
    assert_eq!(days.into_iter().collect::<Vec<_>>(), ["2024-04-01", "2024-04-02"]);
}

#[test]
fn the_oracle_agrees_on_recorded_orders() {
    let folder = tempfile::tempdir().unwrap();
    for (name, symbol) in [
        ("nautilus_esh4-20231225.mbo.dbn.zst", "ESH4"),
        ("nautilus_orderbooks_20240508.mbo.dbn.zst", "ESM4"),
    ] {
        let Some(input) = evidence::real(name) else { return };
        let (config, summary) = ticks(&input, &folder.path().join(name));
        let expected = oracle::agree(&input, &config, &summary);
        assert!(expected.files.keys().all(|who| who.symbol == symbol), "{name}");
        assert!(expected.in_snapshots > 0, "{name}");
    }
    // Nothing but a snapshot: there is no row to write, and that is said.
    let Some(input) = evidence::real("nautilus_esh4-20231224.mbo.dbn.zst") else { return };
    let mut config = small(folder.path().join("snapshot"));
    assert!(oracle::rows_of(&input, &config).files.is_empty());
    config.layout = Layout::Ticks;
    let error = convert(&[input], &config, &()).unwrap_err();
    assert!(error.to_string().contains("only a snapshot"), "{error}");
}
