//! Tables, read back by the `parquet` crate alone.

use lob_store::{Cells, Column, ColumnKind, TableWriter};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};

const COLUMNS: [(&str, ColumnKind); 6] = [
    ("a.single", ColumnKind::F32),
    ("double", ColumnKind::F64),
    ("signed", ColumnKind::I64),
    ("unsigned", ColumnKind::U64),
    ("ts_event", ColumnKind::Timestamp),
    ("text", ColumnKind::Utf8),
];

fn columns() -> Vec<Column> {
    COLUMNS.iter().map(|(name, kind)| Column::new(*name, *kind)).collect()
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn every_kind_comes_back_with_its_nulls_over_several_row_groups() {
    let n = 70_000_usize;
    let has = |row: usize| !row.is_multiple_of(7);
    let single: Vec<f32> = (0..n).map(|i| if has(i) { i as f32 * 0.5 } else { f32::NAN }).collect();
    let double: Vec<f64> =
        (0..n).map(|i| if has(i) { i as f64 * 1e-9 } else { f64::INFINITY }).collect();
    let signed: Vec<Option<i64>> = (0..n).map(|i| has(i).then_some(-(i as i64))).collect();
    let unsigned: Vec<Option<u64>> = (0..n).map(|i| has(i).then(|| u64::MAX - i as u64)).collect();
    let times: Vec<Option<u64>> = (0..n).map(|i| has(i).then_some(i as u64 * 1_000_000)).collect();
    let names = ["ESH4", "", "größer"];
    let text: Vec<Option<&str>> = (0..n).map(|i| has(i).then(|| names[i % 3])).collect();

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/table.parquet");
    let mut writer = TableWriter::create(&path, &columns()).unwrap();
    writer.describe("made_by", "a test");
    // One small batch, then one longer than a row group.
    for rows in [0..10, 10..n] {
        writer
            .push(&[
                Cells::F32(&single[rows.clone()]),
                Cells::F64(&double[rows.clone()]),
                Cells::I64(&signed[rows.clone()]),
                Cells::U64(&unsigned[rows.clone()]),
                Cells::U64(&times[rows.clone()]),
                Cells::Utf8(&text[rows]),
            ])
            .unwrap();
        assert!(!path.exists(), "the file appears only when it is whole");
    }
    let summary = writer.finish().unwrap();
    assert_eq!(summary.rows, n as u64);
    assert_eq!(summary.bytes, std::fs::metadata(&path).unwrap().len());

    let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
    assert_eq!(reader.num_row_groups(), 2);
    let entries = reader.metadata().file_metadata().key_value_metadata().unwrap();
    assert!(entries.iter().any(|e| e.key == "made_by" && e.value.as_deref() == Some("a test")));
    let mut n_read = 0;
    for (i, row) in reader.get_row_iter(None).unwrap().enumerate() {
        let row = row.unwrap();
        let found: Vec<(String, Field)> =
            row.get_column_iter().map(|(name, field)| (name.clone(), field.clone())).collect();
        let or_null = |field| if has(i) { field } else { Field::Null };
        let expected = [
            or_null(Field::Float(i as f32 * 0.5)),
            or_null(Field::Double(i as f64 * 1e-9)),
            or_null(Field::Long(-(i as i64))),
            or_null(Field::ULong(u64::MAX - i as u64)),
            // Nanoseconds have no name of their own in this reader.
            or_null(Field::Long(i as i64 * 1_000_000)),
            or_null(Field::Str(names[i % 3].to_owned())),
        ];
        for (((name, found), expected), (column, _)) in found.iter().zip(expected).zip(COLUMNS) {
            assert_eq!(name, column);
            match (found, &expected) {
                (Field::TimestampMillis(ts) | Field::TimestampMicros(ts), Field::Long(e)) => {
                    assert_eq!(ts, e, "row {i}");
                }
                _ => assert_eq!(found, &expected, "row {i} column {name}"),
            }
        }
        n_read += 1;
    }
    assert_eq!(n_read, n);
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let refuse = |columns: &[Column]| TableWriter::create(&path, columns).unwrap_err().to_string();
    assert!(refuse(&[]).contains("without columns"));
    let twice = [Column::new("x", ColumnKind::F32), Column::new("x", ColumnKind::F64)];
    assert!(refuse(&twice).contains("two columns named `x`"));

    let columns = [Column::new("t", ColumnKind::Timestamp), Column::new("x", ColumnKind::F64)];
    let push = |batch: &[Cells<'_>]| {
        let mut writer = TableWriter::create(&path, &columns).unwrap();
        writer.push(batch).unwrap_err().to_string()
    };
    assert!(push(&[Cells::U64(&[None])]).contains("`2` columns expected"));
    assert!(push(&[Cells::U64(&[None]), Cells::F64(&[])]).contains("[1, 0]"));
    assert!(push(&[Cells::U64(&[None]), Cells::F32(&[0.0])]).contains("`x` holds F64"));
    let late = push(&[Cells::U64(&[Some(1), Some(u64::MAX)]), Cells::F64(&[0.0; 2])]);
    assert!(late.contains("row `1`") && late.contains("too large"), "{late}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
