//! The tick layout, read back by the `parquet` crate alone.

use std::path::Path;

use bytes::Bytes;
use lob_depth::{LEVELS, Level, UNDEF_PRICE};
use lob_store::{
    Compression, Store, StoreError, TICKS_FORMAT_VERSION, TickEncoder, TickGroup, TickLog,
    TickMeta, TickOptions, TickRow, TickWriter, read_tick_meta,
};
use parquet::{
    basic::Encoding,
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
    schema::types::Type,
};

/// A row whose every field depends on `n`, with a gap here and there.
fn row(n: u32) -> TickRow {
    let px =
        |i: u32| if (n + i).is_multiple_of(7) { UNDEF_PRICE } else { i64::from(n * 31 + i) - 900 };
    TickRow {
        ts_recv: if n.is_multiple_of(11) {
            u64::MAX
        } else {
            1_700_000_000_000_000_000 + u64::from(n)
        },
        ts_event: if n == 0 { 0 } else { 1_700_000_000_000_000_000 - u64::from(n) },
        rtype: 10,
        publisher_id: u16::MAX,
        action: b"ACMRTF"[n as usize % 6],
        side: b"ABN"[n as usize % 3],
        depth: (n % 256) as u8,
        price: px(3),
        size: u32::MAX - n,
        flags: (n * 3 % 256) as u8,
        ts_in_delta: i32::MIN + n as i32,
        sequence: n.wrapping_mul(0x9E37_79B9),
        levels: std::array::from_fn(|i| Level {
            bid_px: px(i as u32),
            ask_px: px(i as u32 + 20),
            bid_sz: n + i as u32,
            ask_sz: u32::MAX - n,
            bid_ct: i as u32,
            ask_ct: n * 2,
        }),
    }
}

fn label(n: u32) -> (Option<f64>, Option<i32>) {
    if n.is_multiple_of(5) {
        (None, None)
    } else {
        (Some(f64::from(n) * 1e-6 - 1e-3), Some(n as i32 % 13))
    }
}

fn log(rows: impl IntoIterator<Item = TickRow>) -> TickLog {
    let mut log = TickLog::default();
    rows.into_iter().for_each(|row| log.push(&row));
    log
}

/// One file of these groups, and each group's bytes.
fn write(
    path: &Path,
    options: TickOptions,
    groups: &[Vec<TickLog>],
    label: impl Fn(u32) -> (Option<f64>, Option<i32>),
) -> Vec<Vec<u8>> {
    let mut encoder = TickEncoder::new(path, options).unwrap();
    let mut writer = TickWriter::create(path, options).unwrap();
    let mut all = Vec::new();
    let mut first = 0;
    for logs in groups {
        let mut bytes = Vec::new();
        let group: TickGroup = encoder.encode(logs, "ESH4", &mut bytes).unwrap();
        let end = first + u32::try_from(group.rows()).unwrap();
        let labels: Vec<_> = (first..end).map(&label).collect();
        writer.push(group, Bytes::from(bytes.clone()), &labels).unwrap();
        all.push(bytes);
        first = end;
    }
    assert!(!path.exists(), "a file appears when it is whole");
    let meta = TickMeta { symbol: "ESH4".to_owned(), ..TickMeta::default() };
    assert_eq!(writer.finish(meta).unwrap().rows, u64::from(first));
    all
}

fn expect_row(found: &parquet::record::Row, n: u32) {
    let expected = row(n);
    let price = |px: i64| if px == UNDEF_PRICE { Field::Null } else { Field::Long(px) };
    let time = |ts: u64| match ts {
        u64::MAX => Field::Null,
        ts => Field::Long(i64::try_from(ts).unwrap()),
    };
    let text = |byte: u8| Field::Str(char::from(byte).to_string());
    let mut fields = vec![
        ("ts_recv".to_owned(), time(expected.ts_recv)),
        ("ts_event".to_owned(), time(expected.ts_event)),
        ("rtype".to_owned(), Field::UByte(expected.rtype)),
        ("publisher_id".to_owned(), Field::UShort(expected.publisher_id)),
        ("action".to_owned(), text(expected.action)),
        ("side".to_owned(), text(expected.side)),
        ("depth".to_owned(), Field::UByte(expected.depth)),
        ("price".to_owned(), price(expected.price)),
        ("size".to_owned(), Field::UInt(expected.size)),
        ("flags".to_owned(), Field::UByte(expected.flags)),
        ("ts_in_delta".to_owned(), Field::Int(expected.ts_in_delta)),
        ("sequence".to_owned(), Field::UInt(expected.sequence)),
    ];
    for (i, level) in expected.levels.iter().enumerate() {
        fields.push((format!("bid_px_{i:02}"), price(level.bid_px)));
        fields.push((format!("ask_px_{i:02}"), price(level.ask_px)));
        fields.push((format!("bid_sz_{i:02}"), Field::UInt(level.bid_sz)));
        fields.push((format!("ask_sz_{i:02}"), Field::UInt(level.ask_sz)));
        fields.push((format!("bid_ct_{i:02}"), Field::UInt(level.bid_ct)));
        fields.push((format!("ask_ct_{i:02}"), Field::UInt(level.ask_ct)));
    }
    assert_eq!(fields.len(), 12 + 6 * LEVELS);
    let touch = expected.levels[0];
    let has_mid = touch.bid_px != UNDEF_PRICE && touch.ask_px != UNDEF_PRICE;
    #[expect(clippy::cast_precision_loss, reason = "small prices")]
    let mid = if has_mid {
        Field::Double((touch.bid_px + touch.ask_px) as f64 / 2e9)
    } else {
        Field::Null
    };
    let (movement, class) = label(n);
    fields.push(("symbol".to_owned(), Field::Str("ESH4".to_owned())));
    fields.push(("mid_price".to_owned(), mid));
    fields.push(("price_movement".to_owned(), movement.map_or(Field::Null, Field::Double)));
    fields.push(("classification_label".to_owned(), class.map_or(Field::Null, Field::Int)));
    let found: Vec<_> =
        found.get_column_iter().map(|(name, field)| (name.clone(), plain(field))).collect();
    assert_eq!(found, fields, "row {n}");
}

/// Time stamps as plain numbers, whichever name the reader gives their unit.
fn plain(field: &Field) -> Field {
    match field {
        Field::TimestampMillis(ts) | Field::TimestampMicros(ts) => Field::Long(*ts),
        other => other.clone(),
    }
}

#[test]
fn every_field_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    for (name, compression) in [("plain", Compression::None), ("zstd", Compression::Zstd(1))] {
        let options = TickOptions { compression };
        let path = folder.path().join(name).join("ticks.parquet");
        let ends = [0_u32, 1, 2_501, 3_525];
        let groups: Vec<Vec<TickLog>> = ends
            .windows(2)
            .map(|ends| {
                let parts = (ends[0]..ends[1]).step_by(700);
                parts.map(|first| log((first..ends[1].min(first + 700)).map(row))).collect()
            })
            .collect();
        write(&path, options, &groups, label);
        let first = ends[3];
        let meta = read_tick_meta(&path).unwrap().unwrap();
        assert_eq!((meta.rows, meta.price_units), (u64::from(first), 1_000_000_000));
        let file = std::fs::File::open(&path).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let mut n = 0;
        for found in reader.get_row_iter(None).unwrap() {
            expect_row(&found.unwrap(), n);
            n += 1;
        }
        assert_eq!(n, first);
        // A training store and a table for elsewhere are told apart.
        assert!(Store::open(&path).is_err());
    }
}

/// Columns that begin with a dictionary and go on without it, over several pages.
#[test]
fn columns_with_too_many_values_go_on_without_a_dictionary() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticks.parquet");
    let n = 100_000_u32;
    // Few values in the first page, then a new one a row.
    let size = |n: u32| if n < 40_000 { n / 7 % 50 } else { n.wrapping_mul(0x9E37_79B9) };
    let px = |n: u32| if n % 9 == 3 { UNDEF_PRICE } else { i64::from(size(n)) << 20 };
    let row = |n: u32| {
        let mut row = TickRow { size: size(n), ..row(1) };
        (row.levels[0].bid_px, row.levels[9].ask_ct) = (px(n), size(n) / 2);
        (row.levels[3].bid_sz, row.levels[0].ask_px) = (n / 1_000, 4);
        row
    };
    let label = |n: u32| (Some(f64::from(size(n)) * 1e-6), Some(i32::try_from(n % 13).unwrap()));
    write(&path, TickOptions::default(), &[vec![log((0..n).map(row))]], label);

    let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
    let all = reader.metadata().file_metadata().schema_descr().root_schema_ptr();
    let names = ["size", "bid_px_00", "bid_sz_03", "ask_ct_09", "mid_price", "price_movement"];
    let kept = |name: &str| names.contains(&name) || name == "classification_label";
    let fields = all.get_fields().iter().filter(|field| kept(field.name())).cloned().collect();
    let schema = Type::group_type_builder("loblab_ticks").with_fields(fields).build().unwrap();
    let mut seen = 0;
    for (n, found) in (0..).zip(reader.get_row_iter(Some(schema)).unwrap()) {
        let found = found.unwrap();
        let fields: Vec<_> = found.get_column_iter().map(|(_, field)| field.clone()).collect();
        let (px, expected) = (px(n), row(n));
        let is_there = px != UNDEF_PRICE;
        let mid = (px.wrapping_add(4)) as f64 / 2e9;
        let (movement, class) = label(n);
        let expected = [
            Field::UInt(expected.size),
            if is_there { Field::Long(px) } else { Field::Null },
            Field::UInt(expected.levels[3].bid_sz),
            Field::UInt(expected.levels[9].ask_ct),
            if is_there { Field::Double(mid) } else { Field::Null },
            Field::Double(movement.unwrap()),
            Field::Int(class.unwrap()),
        ];
        assert_eq!(fields, expected, "row {n}");
        seen += 1;
    }
    assert_eq!(seen, n);
    let group = reader.metadata().row_group(0);
    let encodings = |name: &str| -> Vec<Encoding> {
        let column = group.columns().iter().find(|c| c.column_path().string() == name).unwrap();
        column.encodings().collect()
    };
    for name in ["size", "bid_px_00", "ask_ct_09"] {
        let found = encodings(name);
        assert!(found.contains(&Encoding::RLE_DICTIONARY), "{name}: {found:?}");
        assert!(found.contains(&Encoding::DELTA_BINARY_PACKED), "{name}: {found:?}");
    }
    assert!(!encodings("bid_sz_03").contains(&Encoding::DELTA_BINARY_PACKED));
}

#[test]
fn bytes_depend_on_the_rows_alone() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<TickRow> = (0..3_000).map(row).collect();
    let of = |pieces: usize| {
        let logs = rows.chunks(pieces).map(|rows| log(rows.iter().copied())).collect();
        let path = folder.path().join(pieces.to_string());
        write(&path, TickOptions::default(), &[logs], label)
    };
    let whole = of(3_000);
    assert_eq!(of(1_000), whole);
    assert_eq!(of(7), whole);
}

#[test]
fn readers_are_told_the_range_of_times_and_sequence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticks.parquet");
    let rows = (5..50).map(|n| TickRow { sequence: n << 27, ..row(n) });
    write(&path, TickOptions::default(), &[vec![log(rows)]], label);
    let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
    let range = |at: usize| {
        let column = reader.metadata().row_group(0).column(at);
        let found = column.statistics().unwrap();
        (
            found.min_bytes_opt().unwrap().to_vec(),
            found.max_bytes_opt().unwrap().to_vec(),
            found.null_count_opt(),
        )
    };
    let time = |n: u64| (1_700_000_000_000_000_000 + n).to_le_bytes().to_vec();
    assert_eq!(range(0), (time(5), time(49), Some(4)));
    // Unsigned: the largest has its top bit set, and wraps at 32.
    let sequence = |n: u32| n.to_le_bytes().to_vec();
    assert_eq!(range(11), (sequence(0), sequence(31 << 27), Some(0)));
    assert!(reader.metadata().row_group(0).column(3).statistics().is_none());
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticks.parquet");
    write(&path, TickOptions::default(), &[vec![log([row(1)])]], label);
    assert_eq!(read_tick_meta(&path).unwrap().unwrap().format_version, TICKS_FORMAT_VERSION);
    let mut bytes = std::fs::read(&path).unwrap();
    let text = b"\"format_version\":2";
    let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
    for (version, is_read) in [(b'0', false), (b'1', true), (b'3', false)] {
        bytes[at + text.len() - 1] = version;
        std::fs::write(&path, &bytes).unwrap();
        match read_tick_meta(&path) {
            Ok(_) => assert!(is_read),
            Err(StoreError::Version { found, supported, .. }) => {
                assert!(!is_read);
                assert_eq!((found, supported), (u32::from(version - b'0'), TICKS_FORMAT_VERSION));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticks.parquet");
    let mut encoder = TickEncoder::new(&path, TickOptions::default()).unwrap();
    let mut bytes = Vec::new();
    let bad = TickRow { ts_event: 1 << 63, ..row(1) };
    let error = encoder.encode(&[log([row(2), bad])], "A", &mut bytes).unwrap_err().to_string();
    assert!(error.contains("row `1`") && error.contains("ts_event"), "{error}");
    let mut writer = TickWriter::create(&path, TickOptions::default()).unwrap();
    bytes.clear();
    let group = encoder.encode(&[log([row(2)])], "A", &mut bytes).unwrap();
    assert!(writer.push(group, Bytes::from(bytes), &[]).is_err());
    drop(writer);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
