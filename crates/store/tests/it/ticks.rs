//! The tick layout, read back by the `parquet` crate alone.

use bytes::Bytes;
use lob_depth::{LEVELS, Level, UNDEF_PRICE};
use lob_store::{
    Compression, Store, TickEncoder, TickMeta, TickOptions, TickRow, TickWriter, read_tick_meta,
};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
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
        instrument_id: u32::MAX - 1,
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
        ("instrument_id".to_owned(), Field::UInt(expected.instrument_id)),
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
    assert_eq!(fields.len(), 13 + 6 * LEVELS);
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
        let options = TickOptions { compression, threads: 1 + usize::from(name == "zstd") };
        let path = folder.path().join(name).join("ticks.parquet");
        let mut encoder = TickEncoder::new(&path, options).unwrap();
        let mut writer = TickWriter::create(&path, options).unwrap();
        let mut first = 0;
        for rows in [1_u32, 2_500, 1_024] {
            let group: Vec<_> = (first..first + rows).map(row).collect();
            let labels: Vec<_> = (first..first + rows).map(label).collect();
            let mut bytes = Vec::new();
            let group =
                encoder.encode(&group.chunks(7).collect::<Vec<_>>(), "ESH4", &mut bytes).unwrap();
            writer.push(group, Bytes::from(bytes), &labels).unwrap();
            first += rows;
        }
        assert!(!path.exists(), "a file appears when it is whole");
        let meta = TickMeta { symbol: "ESH4".to_owned(), ..TickMeta::default() };
        let summary = writer.finish(meta).unwrap();
        assert_eq!(summary.rows, u64::from(first));
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

#[test]
fn what_does_not_belong_together_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticks.parquet");
    let mut encoder = TickEncoder::new(&path, TickOptions::default()).unwrap();
    let mut bytes = Vec::new();
    let bad = TickRow { ts_event: 1 << 63, ..row(1) };
    let error = encoder.encode(&[[row(2), bad]], "A", &mut bytes).unwrap_err().to_string();
    assert!(error.contains("row `1`") && error.contains("ts_event"), "{error}");
    let mut writer = TickWriter::create(&path, TickOptions::default()).unwrap();
    bytes.clear();
    let group = encoder.encode(&[[row(2)]], "A", &mut bytes).unwrap();
    assert!(writer.push(group, Bytes::from(bytes), &[]).is_err());
    drop(writer);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
