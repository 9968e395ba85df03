//! Truth files: what comes back, and what is refused.

use std::{collections::BTreeMap, fs, path::Path};

use lob_store::{
    Cells, Column, ColumnKind, TableWriter, Truth, TruthFile, TruthKey, TruthReader, TruthWriter,
};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use proptest::prelude::*;

use crate::made::Random;

const SYMBOLS: [&str; 3] = ["6AM4", "ESM4", "6AM4-6AU4"];

/// `n` rows of events of up to three records each; some events share their capture time.
fn rows(n: usize, seed: u64) -> Vec<(usize, TruthKey, Truth)> {
    let mut random = Random::new(seed);
    let (mut ts_recv, mut sequence) = (1_711_929_600_000_000_000, 0);
    let mut rows = Vec::new();
    while rows.len() < n {
        ts_recv += [0, 0, 7, 90_000][random.below(4) as usize];
        sequence += 1;
        let at = random.below(3);
        let key = TruthKey {
            instrument_id: 42 + at as u32,
            sequence,
            ts_event: ts_recv - 1_000 - random.below(5),
            ts_recv,
        };
        let pressure = random.below(81) as f64 - 40.0;
        let truth = Truth { regime: random.below(4) as u8, pressure };
        for _ in 0..=random.below(3) {
            rows.push((at as usize, key, truth));
        }
    }
    rows.truncate(n);
    rows
}

fn write(path: &Path, rows: &[(usize, TruthKey, Truth)]) {
    let mut writer = TruthWriter::create(path).unwrap();
    for (at, key, truth) in rows {
        writer.push(SYMBOLS[*at], *key, *truth).unwrap();
    }
    assert_eq!(writer.finish().unwrap().rows, rows.len() as u64);
}

#[test]
fn every_row_is_found_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/truth.parquet");
    // Three row groups, the last of one page and a bit.
    let rows = rows(2 * 65_536 + 20_000, 3);
    let begun = TruthWriter::create(&path).unwrap();
    assert!(!path.exists(), "the file appears only when it is whole");
    drop(begun);
    assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 0);
    write(&path, &rows);
    let file = TruthFile::open(&path).unwrap();
    assert_eq!((file.len(), file.path()), (rows.len() as u64, &*path));
    let mut reader = file.reader();
    let mut find = |key: &TruthKey| reader.find(key).unwrap();
    for (_, key, truth) in rows.iter().step_by(7).chain(rows.iter().rev().step_by(1_003)) {
        assert_eq!(find(key), Some(*truth), "{key:?}");
    }
    // Around the border of two row groups every one of them.
    for (_, key, truth) in &rows[65_536 - 50..65_536 + 50] {
        assert_eq!(find(key), Some(*truth), "{key:?}");
    }
    let (_, key, _) = rows[70_000];
    for other in [
        TruthKey { instrument_id: 7, ..key },
        TruthKey { sequence: key.sequence + 1_000_000, ..key },
        TruthKey { ts_event: key.ts_event + 1, ..key },
        TruthKey { ts_recv: key.ts_recv + 1, ..key },
        TruthKey { ts_recv: 0, ..key },
        TruthKey { ts_recv: u64::MAX, ..key },
    ] {
        assert_eq!(find(&other), None, "{other:?}");
    }
}

/// What the columns are called and hold, by the `parquet` crate alone.
#[test]
fn other_readers_see_the_columns_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.parquet");
    let rows = rows(500, 5);
    write(&path, &rows);
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let entries = reader.metadata().file_metadata().key_value_metadata().unwrap();
    let about = entries.iter().find(|entry| entry.key == "loblab:truth").unwrap();
    let about: serde_json::Value = serde_json::from_str(about.value.as_ref().unwrap()).unwrap();
    assert_eq!(about["version"], 1);
    assert_eq!(about["regimes"], serde_json::json!(["calm", "normal", "busy", "stressed"]));
    let mut n = 0;
    for (row, (at, key, truth)) in reader.get_row_iter(None).unwrap().zip(&rows) {
        let row = row.unwrap();
        let fields: BTreeMap<_, _> =
            row.get_column_iter().map(|(name, field)| (name.as_str(), field.clone())).collect();
        assert_eq!(fields["symbol"], Field::Str(SYMBOLS[*at].to_owned()));
        assert_eq!(fields["instrument_id"], Field::ULong(key.instrument_id.into()));
        assert_eq!(fields["sequence"], Field::ULong(key.sequence.into()));
        assert_eq!(fields["regime"], Field::Long(truth.regime.into()));
        assert_eq!(fields["pressure"], Field::Double(truth.pressure));
        for (name, ts) in [("ts_event", key.ts_event), ("ts_recv", key.ts_recv)] {
            let (Field::TimestampMicros(found)
            | Field::TimestampMillis(found)
            | Field::Long(found)) = fields[name]
            else {
                panic!("{name}: {:?}", fields[name]);
            };
            assert_eq!(found, ts.cast_signed());
        }
        n += 1;
    }
    assert_eq!(n, 500);
}

#[test]
fn what_is_no_truth_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let refused = |path: &Path| TruthFile::open(path).unwrap_err().to_string();
    assert!(refused(&path).contains("cannot open"));
    fs::write(&path, "not Parquet, but long enough to be it").unwrap();
    assert!(refused(&path).contains("not a Parquet file"));
    // A table of another kind.
    let columns = [Column::new("sequence", ColumnKind::U64)];
    let table = |entry: Option<&str>| {
        let mut table = TableWriter::create(&path, &columns).unwrap();
        table.push(&[Cells::U64(&[Some(1)])]).unwrap();
        entry.into_iter().for_each(|text| table.describe("loblab:truth", text));
        table.finish().unwrap();
        refused(&path)
    };
    let said = table(None);
    assert!(said.contains("not a truth file") && said.contains("lob synth --truth"), "{said}");
    let about = r#"{"version":1,"regimes":["calm","normal","busy","stressed"],"pressure":""}"#;
    let said = table(Some(about));
    assert!(said.contains("schema") && said.contains("`7` columns"), "{said}");
    let said = table(Some(&about.replace(":1,", ":2,")));
    assert!(said.contains("version `2`, this build reads `1`"), "{said}");
    let said = table(Some(&about.replace("calm", "quiet")));
    assert!(said.contains("calm, normal") && said.contains("quiet, normal"), "{said}");
    assert!(table(Some("{}")).contains("loblab:truth"));
    // A store is none.
    crate::made::write(&path, &crate::made::rows(10, 1), Default::default());
    assert!(refused(&path).contains("not a truth file"));
}

#[test]
fn times_that_go_back_and_impossible_regimes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.parquet");
    let sound = rows(100, 1);
    let find = |rows: &[(usize, TruthKey, Truth)]| {
        write(&path, rows);
        TruthFile::open(&path).unwrap().reader().find(&rows[50].1)
    };
    assert_eq!(find(&sound).unwrap(), Some(sound[50].2));
    let mut bad = sound.clone();
    bad.swap(10, 90);
    assert!(find(&bad).unwrap_err().to_string().contains("ascending order"));
    let mut bad = sound.clone();
    bad[50].2.regime = 4;
    assert!(find(&bad).unwrap_err().to_string().contains("expected 0 to 3, found `4`"));
    let mut bad = sound;
    bad[50].2.pressure = f64::NAN;
    assert!(find(&bad).unwrap_err().to_string().contains("a value in every row"));
}

/// The truth of all keys, or that something of the file is refused.
fn all(path: &Path, rows: &[(usize, TruthKey, Truth)]) -> Option<Vec<Option<Truth>>> {
    let file = TruthFile::open(path).ok()?;
    let mut reader: TruthReader<'_> = file.reader();
    rows.iter().map(|(_, key, _)| reader.find(key).ok()).collect()
}

#[test]
fn a_truth_cut_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.parquet");
    let rows = rows(300, 2);
    write(&path, &rows);
    let sound = fs::read(&path).unwrap();
    for len in (0..sound.len()).step_by(11) {
        fs::write(&path, &sound[..len]).unwrap();
        assert!(TruthFile::open(&path).is_err(), "{len}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A damaged byte is refused, or is in a place that no number depends on.
    #[test]
    fn no_damage_changes_a_truth(at in 0.0_f64..1.0, to in any::<u8>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("truth.parquet");
        let rows = rows(400, 4);
        write(&path, &rows);
        let mut bytes = fs::read(&path).unwrap();
        let at = (at * bytes.len() as f64) as usize;
        bytes[at] = to;
        fs::write(&path, bytes).unwrap();
        if let Some(found) = all(&path, &rows) {
            for (found, (_, _, truth)) in found.into_iter().zip(&rows) {
                prop_assert!(found.is_none_or(|found| found == *truth));
            }
        }
    }
}
