use std::{fs, path::Path, sync::Arc};

use lob_depth::{BinColumns, NO_PRICE};
use lob_store::{
    BinFile, BinWriter, Compression, FORMAT_VERSION, LabelCell, LabelKind, LabelPlace, LabelUnit,
    NamedLabel, Planes, StoreError, StoredBin, TEMP_SUFFIX, WriterOptions,
    fs::{DiskSystem, SharedFs},
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::made::{Random, STEP, columns, meta, options, rows, write};

fn check_all_windows(rows: &[lob_store::StoredBin], file: &BinFile, windows: &[usize]) {
    for &n in windows {
        for start in 0..=rows.len() - n {
            let expected = columns(&rows[start..start + n]);
            let mut found = BinColumns::default();
            let range = start as u64..(start + n) as u64;
            file.read(range.clone(), &mut found).unwrap();
            assert_eq!(found, expected, "{range:?}");
            let labels = file.labels(range.clone()).unwrap();
            assert_eq!(file.rows(range).unwrap(), rows[start..start + n]);
            for (i, row) in rows[start..start + n].iter().enumerate() {
                assert_eq!(labels.ts_event[i], row.bin.ts_event_last);
                assert_eq!(labels.segment[i], row.segment);
                assert_eq!(labels.movement[i], row.movement);
                assert_eq!(labels.label[i], row.label);
            }
        }
    }
}

#[test]
fn every_window_equals_the_rows_written() {
    let folder = tempfile::tempdir().unwrap();
    // Whole pages, a last page cut short, whole row groups, a last one of a single row.
    for (n, compression) in [
        (1, Compression::None),
        (47, Compression::None),
        (96, Compression::None),
        (97, Compression::Zstd(1)),
        (130, Compression::None),
        (130, Compression::Zstd(3)),
    ] {
        let rows = rows(n, 1);
        let path = folder.path().join(format!("{n}-{compression:?}.parquet"));
        write(&path, &rows, options(compression));
        let file = BinFile::open(&path).unwrap();
        assert_eq!(file.len(), n as u64);
        let windows: Vec<usize> =
            [0, 1, 2, 15, 16, 17, 33, 48, 49, n].into_iter().filter(|&w| w <= n).collect();
        check_all_windows(&rows, &file, &windows);
    }
}

/// One label of each kind besides the first, and what row `i` of 120 has of each.
fn every_kind() -> (Vec<NamedLabel>, impl Fn(i32) -> Vec<LabelCell>) {
    let labels = vec![
        NamedLabel::forward(1),
        NamedLabel { classes: 2, edges: vec![0.5], ..NamedLabel::forward(10) },
        NamedLabel::forward_in(500, LabelUnit::Updates),
        NamedLabel::volatility(7),
        NamedLabel::next_change(),
        NamedLabel::next_trade_side(),
        NamedLabel::true_regime("made up"),
        NamedLabel::true_pressure("made up"),
    ];
    let cell = |value: Option<f64>, class| LabelCell { value, class };
    let cells = move |i: i32| {
        let (number, known) = (f64::from(i), i < 90);
        vec![
            cell(Some(number - 60.0), None),
            cell(known.then_some(9_007_199_254_740_992.0 - number), known.then_some(1)),
            cell(None, None),
            cell((i != 3).then_some(number.sqrt()), None),
            cell(known.then_some(number * 1e12), Some(i % 2)),
            cell(known.then_some(f64::from(i % 2)), known.then_some(i % 2)),
            cell(Some(f64::from(i % 4)), Some(i % 4)),
            cell((i % 5 > 0).then_some(number / 3.0 - 20.0), None),
        ]
    };
    (labels, cells)
}

#[test]
fn labels_are_read_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let (labels, cells) = every_kind();
    let mut rows = rows(120, 9);
    for (i, row) in (0..).zip(&mut rows) {
        row.others = cells(i);
    }
    let fs: SharedFs = Arc::new(DiskSystem);
    let options = options(Compression::None);
    let create = |labels| BinWriter::create_staged(&fs, &path, STEP, options, labels);
    let mut writer = create(labels.clone()).unwrap();
    rows.iter().for_each(|row| writer.push(row).unwrap());
    let short = StoredBin { others: Vec::new(), ..rows[0].clone() };
    let refused = writer.push(&StoredBin { segment: 9, ..short }).unwrap_err().to_string();
    assert!(refused.contains("`0` labels, expected 8"), "{refused}");
    drop(writer);
    let mut writer = create(labels.clone()).unwrap();
    rows.iter().for_each(|row| writer.push(row).unwrap());
    writer.finish(meta()).unwrap();

    let file = BinFile::open(&path).unwrap();
    let names: Vec<_> = file.meta().labels.iter().map(|label| label.name.as_str()).collect();
    let expected: Vec<_> = labels.iter().map(|label| label.name.as_str()).collect();
    assert_eq!((names[0], &names[1..]), ("reversal", &*expected));
    assert_eq!(file.meta().labels[1..], labels);
    assert_eq!(file.rows(0..120).unwrap(), rows);
    for (at, name) in expected.into_iter().enumerate() {
        let found = file.label_values(name, 40..95).unwrap();
        let of = &rows[40..95];
        assert_eq!(found.value, of.iter().map(|r| r.others[at].value).collect::<Vec<_>>());
        assert_eq!(found.class, of.iter().map(|r| r.others[at].class).collect::<Vec<_>>());
        let place = file.label_place(name).unwrap();
        let row = file.row_label(70, place).unwrap();
        assert_eq!((row.movement, row.label), (found.value[30], found.class[30]), "{name}");
    }
    // The first label has two names.
    let all = file.labels(0..120).unwrap();
    for name in ["reversal", "price_movement"] {
        let found = file.label_values(name, 0..120).unwrap();
        assert_eq!((&found.value, &found.class), (&all.movement, &all.label));
    }
    let refused = file.label_values("forward_2", 0..1).unwrap_err().to_string();
    assert!(refused.contains("has no label `forward_2`: its labels are `reversal`, `forward_1`"));
}

#[test]
fn cells_that_a_label_cannot_have_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fs: SharedFs = Arc::new(DiskSystem);
    let cell = |value: f64, class| LabelCell { value: Some(value), class };
    for (at, bad) in [
        (0, cell(0.5, None)),
        (0, cell(1e17, None)),
        (0, cell(f64::NAN, None)),
        (0, cell(1.0, Some(0))),
        (1, cell(1.0, Some(2))),
        (1, cell(1.0, Some(-1))),
        (3, cell(f64::INFINITY, None)),
        (5, cell(1.0, Some(0))),
        (6, cell(4.0, Some(4))),
        (6, cell(1.0, None)),
    ] {
        let path = folder.path().join("a.parquet");
        let (labels, cells) = every_kind();
        let name = labels[at].name.clone();
        let options = options(Compression::None);
        let mut writer = BinWriter::create_staged(&fs, &path, STEP, options, labels).unwrap();
        let mut row = rows(1, 9).remove(0);
        row.others = cells(0);
        row.others[at] = bad;
        let refused = writer.push(&row).unwrap_err().to_string();
        assert!(refused.contains(&format!("label `{name}` of kind")), "{bad:?}: {refused}");
    }
}

#[test]
fn labels_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fs: SharedFs = Arc::new(DiskSystem);
    let forward = NamedLabel::forward(1);
    let named = |name: &str| NamedLabel { name: name.to_owned(), ..forward.clone() };
    let classed = NamedLabel { classes: 3, ..forward.clone() };
    for (labels, message) in [
        (vec![forward.clone(), forward.clone()], "two columns named `forward_1`"),
        (vec![named("ts_event")], "two columns named `ts_event`"),
        (
            vec![NamedLabel { edges: vec![0.0, 1.0], ..classed.clone() }, named("forward_1_class")],
            "two columns named",
        ),
        (vec![classed.clone()], "`3` classes with edges []"),
        (vec![NamedLabel { edges: vec![1.0, 0.0], ..classed.clone() }], "with edges [1.0, 0.0]"),
        (vec![NamedLabel { edges: vec![0.0, f64::NAN], ..classed }], "with edges [0.0, NaN]"),
        (
            vec![NamedLabel { classes: 0, edges: vec![], ..NamedLabel::next_trade_side() }],
            "`0` classes with edges []",
        ),
        (vec![NamedLabel { kind: LabelKind::Reversal, ..named("x") }], "is of kind reversal"),
    ] {
        let path = folder.path().join("a.parquet");
        let made = BinWriter::create_staged(&fs, &path, STEP, options(Compression::None), labels);
        let refused = made.unwrap_err().to_string();
        assert!(refused.contains(message), "{message}: {refused}");
        assert!(!path.exists());
    }
}

#[test]
fn the_description_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let rows = rows(150, 2);
    let summary = write(&path, &rows, options(Compression::None));
    let file = BinFile::open(&path).unwrap();
    let mut expected = meta();
    expected.format_version = FORMAT_VERSION;
    expected.segments = file.meta().segments.clone();
    expected.labels = file.meta().labels.clone();
    assert_eq!(expected.labels.len(), 1);
    assert_eq!(*file.meta(), expected);
    let runs: Vec<_> = expected.segments.iter().map(|s| (s.segment, s.first_row, s.rows)).collect();
    assert_eq!(runs, [(0, 0, 70), (1, 70, 70), (2, 140, 10)]);
    let bytes = fs::read(&path).unwrap();
    let hex: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!((summary.rows, summary.bytes, summary.sha256), (150, bytes.len() as u64, hex));
}

#[test]
fn planes_not_asked_for_stay_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let rows = rows(40, 3);
    write(&path, &rows, options(Compression::None));
    let file = BinFile::open(&path).unwrap();
    let mut found = BinColumns::default();
    let planes = Planes { variance: true, ..Planes::NONE };
    file.read_planes(3..20, planes, &mut found).unwrap();
    file.read_planes(20..40, planes, &mut found).unwrap();
    let expected = columns(&rows[3..]);
    assert_eq!((&found.px, &found.variance), (&expected.px, &expected.variance));
    assert!(found.size.is_empty() && found.count.is_empty());
    let row = file.row_label(17, LabelPlace::MOVEMENT).unwrap();
    let made = (rows[17].bin.ts_event_last, rows[17].movement, rows[17].label);
    assert_eq!((row.ts_event, row.movement, row.label), made);
}

#[test]
fn an_empty_file_is_a_file_without_bins() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &[], options(Compression::None));
    let file = BinFile::open(&path).unwrap();
    assert!(file.is_empty());
    file.read(0..0, &mut BinColumns::default()).unwrap();
    let beyond = file.read(0..1, &mut BinColumns::default()).unwrap_err();
    assert!(matches!(beyond, StoreError::OutOfRange { rows: 0, .. }), "{beyond}");
}

#[test]
fn a_column_of_distinct_values_keeps_its_dictionary() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let mut random = Random::new(5);
    let mut rows = rows(70_000, 4);
    for row in &mut rows {
        row.bin.size[0] = random.next() as f64;
    }
    write(&path, &rows, WriterOptions { row_group_rows: 70_000, ..WriterOptions::default() });
    let file = BinFile::open(&path).unwrap();
    for start in [0, 1_023, 35_000, 65_500, 69_500] {
        let mut found = BinColumns::default();
        file.read(start..start + 500, &mut found).unwrap();
        let start = start as usize;
        assert_eq!(found, columns(&rows[start..start + 500]), "{start}");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn nothing_is_left_behind_without_finish() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/a.parquet");
    let mut writer = BinWriter::create(&path, STEP, options(Compression::None)).unwrap();
    for row in rows(100, 6) {
        writer.push(&row).unwrap();
    }
    let while_open = names(&folder.path().join("deep/er"));
    assert!(while_open.len() == 1 && while_open[0].ends_with(TEMP_SUFFIX), "{while_open:?}");
    assert!(while_open[0].starts_with('.'), "{while_open:?}");
    drop(writer);
    assert_eq!(names(&folder.path().join("deep/er")), [""; 0]);

    let writer = BinWriter::create(&path, STEP, options(Compression::None)).unwrap();
    let other = lob_store::StoreMeta { price_step: 1, ..meta() };
    let refused = writer.finish(other).unwrap_err();
    assert!(refused.to_string().contains("price step `1`"), "{refused}");
    assert_eq!(names(&folder.path().join("deep/er")), [""; 0]);
}

#[test]
fn rows_that_contradict_the_format_are_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let good = rows(3, 7);
    let check = |change: fn(&mut lob_store::StoredBin), message: &str| {
        let mut writer = BinWriter::create(&path, STEP, options(Compression::None)).unwrap();
        let mut first = good[0].clone();
        first.segment = 5;
        writer.push(&first).unwrap();
        let mut bad = good[1].clone();
        bad.segment = 5;
        change(&mut bad);
        let refused = writer.push(&bad).unwrap_err().to_string();
        assert!(refused.contains("row `1`") && refused.contains(message), "{refused}");
    };
    check(|row| row.segment = 4, "segment goes back from `5` to `4`");
    check(|row| row.segment = u32::MAX, "`segment` of `4294967295`");
    check(|row| row.bin.traded_volume = 1 << 63, "`traded_volume`");
    check(|row| row.bin.ts_recv_last = 1 << 63, "`ts_recv`");
    check(|row| row.bin.order_count[3] = u64::MAX, "`order count`");
    for (page_rows, row_group_rows, step) in [(0, 1, 1), (1, 0, 1), (1 << 17, 1, 1), (1, 1, 0)] {
        let options = WriterOptions { page_rows, row_group_rows, compression: Compression::None };
        let refused = BinWriter::create(&path, step, options).unwrap_err();
        assert!(matches!(refused, StoreError::Invalid { .. }), "{refused}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_layout_round_trips(
        n in 1_usize..200,
        seed: u64,
        page_rows in 1_usize..70,
        row_group_rows in 1_usize..200,
        zstd: bool,
        absent: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let compression = if zstd { Compression::Zstd(1) } else { Compression::None };
        let mut rows = rows(n, seed);
        if absent {
            // A slot that is never there: pages of nulls only.
            rows.iter_mut().for_each(|row| row.bin.px[9] = NO_PRICE);
        }
        write(&path, &rows, WriterOptions { page_rows, row_group_rows, compression });
        let file = BinFile::open(&path).unwrap();
        let mut found = BinColumns::default();
        file.read(0..n as u64, &mut found).unwrap();
        prop_assert_eq!(&found, &columns(&rows));
        let mut random = Random::new(seed);
        for _ in 0..8 {
            let start = random.below(n as u64);
            let end = start + random.below(n as u64 - start + 1);
            found.clear();
            file.read(start..end, &mut found).unwrap();
            prop_assert_eq!(&found, &columns(&rows[start as usize..end as usize]));
        }
    }
}
