use std::{fs, io::Write as _, path::Path, sync::Arc};

use lob_depth::BinColumns;
use lob_store::{
    BinFile, BinWriter, Compression, LabelCell, LabelColumns, LabelPlace, NamedLabel, Planes,
    StoreError, StoreMeta, StoredBin, WriterOptions,
    fs::{DiskSystem, SharedFs},
};
use parquet::{
    data_type::Int64Type,
    file::{
        metadata::{KeyValue, ParquetMetaDataReader},
        properties::WriterProperties,
        writer::SerializedFileWriter,
    },
    schema::parser::parse_message_type,
};

use crate::made::{STEP, options, rows, write};

fn read_all(path: &Path) -> Result<(StoreMeta, BinColumns, LabelColumns), StoreError> {
    let file = BinFile::open(path)?;
    let mut bins = BinColumns::default();
    file.read(0..file.len(), &mut bins)?;
    let labels = file.labels(0..file.len())?;
    Ok((file.meta().clone(), bins, labels))
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &rows(40, 1), options(Compression::None));
    let whole = fs::read(&path).unwrap();
    for len in (0..whole.len()).step_by(97).chain(whole.len() - 12..whole.len()) {
        fs::write(&path, &whole[..len]).unwrap();
        let refused = read_all(&path).expect_err(&format!("cut at {len}"));
        let message = refused.to_string();
        assert!(message.contains("a.parquet"), "{message}");
    }
}

/// The heart of it: whatever single byte of a file changes, the reader says so or reads the same.
#[test]
fn a_flipped_byte_never_gives_a_wrong_number() {
    let folder = tempfile::tempdir().unwrap();
    for compression in [Compression::None, Compression::Zstd(1)] {
        let path = folder.path().join("a.parquet");
        write(&path, &rows(20, 2), options(compression));
        let whole = fs::read(&path).unwrap();
        let expected = read_all(&path).unwrap();
        let (mut refused, mut same) = (0, 0);
        for at in (0..whole.len()).step_by(11) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, &bytes).unwrap();
            match read_all(&path) {
                Err(_) => refused += 1,
                Ok(found) => {
                    assert!(found == expected, "byte {at} of {}", whole.len());
                    same += 1;
                }
            }
        }
        assert!(refused > same, "{refused} refused, {same} harmless");
    }
}

#[test]
fn a_damaged_page_is_named_by_column_and_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let rows = rows(60, 3);
    write(&path, &rows, options(Compression::None));
    let mut bytes = fs::read(&path).unwrap();
    // Variances are stored plain: the bytes of row 20's first one are unique in the file.
    let target = rows[20].bin.size_variance[0].to_le_bytes();
    let at = bytes.windows(8).position(|window| window == target).unwrap();
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let file = BinFile::open(&path).unwrap();
    let mut found = BinColumns::default();
    file.read(0..16, &mut found).unwrap();
    let before = found.clone();
    let refused = file.read(10..40, &mut found).unwrap_err().to_string();
    assert!(refused.contains("column `bid_sz_var_00`, page at row `16`"), "{refused}");
    assert!(refused.contains("CRC-32"), "{refused}");
    assert_eq!(found, before, "nothing is appended by a failed read");
}

type SetCell = fn(&mut StoredBin, f64);

/// A file that is right in all else: pages, checksums, counts.
#[test]
fn a_cell_that_is_no_number_is_named_by_column_and_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    for compression in [Compression::None, Compression::Zstd(3)] {
        for (odd, shown) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (-1.0 / 0.0, "-inf")] {
            let set: [(&str, SetCell); 4] = [
                ("bid_sz_02", |row, x| row.bin.size[2] = x),
                ("ask_sz_var_09", |row, x| row.bin.size_variance[19] = x),
                ("price_movement", |row, x| row.movement = Some(x)),
                ("queue_imbalance", |row, x| {
                    row.bin.flow.get_or_insert_default().queue_imbalance = Some(x);
                }),
            ];
            for (column, set) in set {
                let mut rows = rows(60, 3);
                // The later one comes second.
                for row in [41, 37] {
                    rows[row].bin.px[2] = 18_700;
                    rows[row].bin.px[19] = 18_900;
                    set(&mut rows[row], odd);
                }
                write(&path, &rows, options(compression));
                let file = BinFile::open(&path).unwrap();
                let (mut found, before) = (BinColumns::default(), BinColumns::default());
                let refused = match column {
                    "price_movement" => {
                        assert!(file.labels(0..37).is_ok() && file.labels(42..60).is_ok());
                        assert!(
                            file.row_label(37, LabelPlace::MOVEMENT).is_err()
                                && file.row_label(38, LabelPlace::MOVEMENT).is_ok()
                        );
                        file.labels(5..60).unwrap_err()
                    }
                    "queue_imbalance" => {
                        assert!(file.rows(0..37).is_ok() && file.order_flow(42..60).is_ok());
                        assert!(file.rows(5..60).is_err());
                        file.order_flow(5..60).unwrap_err()
                    }
                    _ => {
                        file.read_planes(0..60, Planes::NONE, &mut found).unwrap();
                        found.clear();
                        file.read(0..37, &mut found).unwrap();
                        found.clear();
                        file.read(5..60, &mut found).unwrap_err()
                    }
                };
                let refused = refused.to_string();
                assert!(refused.contains(&format!("column `{column}`, row `37`")), "{refused}");
                assert!(refused.contains(&format!("`{shown}`")), "{refused}");
                assert_eq!(found, before, "nothing is appended by a failed read");
            }
        }
    }
}

#[test]
fn files_that_are_not_ours_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let check = |bytes: &[u8], message: &str| {
        fs::write(&path, bytes).unwrap();
        let refused = BinFile::open(&path).unwrap_err().to_string();
        assert!(refused.contains(message), "{refused}");
    };
    check(b"", "expected at least 12 bytes, found `0`");
    check(b"PAR1", "expected at least 12 bytes, found `4`");
    check(b"ts,open,high,low,close\n1,2,3,4,5\n", "is not a Parquet file: expected `PAR1`");
    check(b"PAR1 and nothing more of it", "cut short");
    check(b"PAR1\xff\xff\xff\x7fPAR1", "a file longer than its footer of `2147483647` bytes");
    check(b"PAR1\0\0\0\0\x04\0\0\0PAR1", "damaged: footer");
    check(&foreign(&[]), "is not a loblab store file: written by");
    let newer = [("loblab:meta", "{\"format_version\": 99, \"new\": {}}")];
    check(&foreign(&newer), "store format version `99`, this build reads `1` to `2`");
    let unsealed = [("loblab:meta", "{\"format_version\": 1}")];
    check(&foreign(&unsealed), "damaged: loblab:meta: expected CRC-32");
    let missing = BinFile::open(folder.path().join("b.parquet")).unwrap_err().to_string();
    assert!(missing.contains("cannot open") && missing.contains("b.parquet"), "{missing}");
}

/// A sound Parquet file of one column with these footer entries.
fn foreign(entries: &[(&str, &str)]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type("message m { required int64 a; }").unwrap());
    let mut bytes = Vec::new();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&[1, 2], None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    for (key, value) in entries {
        writer.append_key_value_metadata(KeyValue::new((*key).to_owned(), (*value).to_owned()));
    }
    writer.close().unwrap();
    bytes
}

#[test]
fn a_file_that_changes_after_opening_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &rows(40, 4), options(Compression::None));
    let file = BinFile::open(&path).unwrap();
    file.read(0..40, &mut BinColumns::default()).unwrap();
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"x").unwrap();
    let refused = file.read(0..1, &mut BinColumns::default()).unwrap_err();
    assert!(matches!(refused, StoreError::Changed { .. }), "{refused}");
    fs::remove_file(&path).unwrap();
    let refused = file.labels(0..1).unwrap_err();
    assert!(matches!(refused, StoreError::Changed { .. }), "{refused}");
}

/// The map of a file that is cut short ends in memory that is not there: touching it would end the
/// process. The length is looked at before every read.
#[test]
fn a_file_cut_short_or_replaced_under_the_map_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let open = |seed| {
        write(&path, &rows(400, seed), options(Compression::None));
        let file = BinFile::open(&path).unwrap();
        file.read(0..1, &mut BinColumns::default()).unwrap();
        file
    };
    let check = |file: &BinFile| {
        let refused = file.read(0..400, &mut BinColumns::default()).unwrap_err();
        assert!(matches!(refused, StoreError::Changed { .. }), "{refused}");
        let refused = file.row_label(399, LabelPlace::MOVEMENT).unwrap_err().to_string();
        assert!(refused.contains("changed while it was open: expected `"), "{refused}");
        assert!(refused.contains("hint: open the store again"), "{refused}");
    };
    let file = open(5);
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap();
    check(&file);
    let file = open(6);
    let other = folder.path().join("b.parquet");
    write(&other, &rows(300, 7), options(Compression::None));
    fs::rename(&other, &path).unwrap();
    check(&file);
}

/// A footer says how many rows there are, in a few bytes and under a CRC-32 that anyone can compute:
/// readers make room for as many as the file can hold.
#[test]
fn announced_rows_are_held_against_the_length_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let written = |compression, page_rows: usize| {
        let options = WriterOptions { page_rows, row_group_rows: page_rows, compression };
        write(&path, &rows(2, 8), options);
        fs::read(&path).unwrap()
    };
    for (compression, page_rows, claimed, message) in [
        (Compression::None, 65_536, 1_u64 << 20, "for its rows"),
        (Compression::Zstd(1), 16, 1 << 40, "for its rows"),
        (Compression::Zstd(1), 16, 1 << 62, "for its rows"),
    ] {
        let zigzag = |n: u64| varint(n << 1);
        let claim = format!("\"rows\":{claimed}");
        let hostile =
            resealed(&written(compression, page_rows), ("\"rows\":2", &claim), |footer| {
                // Rows of the file and of its one row group: fields 3, i64.
                replace(footer, &[&[0x16][..], &zigzag(2), &[0x19]].concat(), |found| {
                    [&[0x16][..], &zigzag(claimed), &found[2..]].concat()
                });
                replace(footer, &[&[0x16][..], &zigzag(2), &[0x26]].concat(), |found| {
                    [&[0x16][..], &zigzag(claimed), &found[2..]].concat()
                });
            });
        fs::write(&path, &hostile).unwrap();
        let refused = BinFile::open(&path).unwrap_err().to_string();
        assert!(refused.contains(message), "{claimed}: {refused}");
    }
}

/// A store file whose description says `to` in the place of `from`, under a checksum put right, with
/// further edits of its footer.
fn resealed(sound: &[u8], (from, to): (&str, &str), edit: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let crc = |json: &str| crc32fast::hash(json.as_bytes()).to_string();
    let tail = sound.len() - 8;
    let len = u32::from_le_bytes(*sound[tail..].first_chunk().unwrap()) as usize;
    let mut footer = sound[tail - len..tail].to_vec();
    let meta = ParquetMetaDataReader::decode_metadata(&footer).unwrap();
    let pairs = meta.file_metadata().key_value_metadata().unwrap();
    let json = pairs.iter().find(|pair| pair.key == "loblab:meta").unwrap().value.clone().unwrap();
    let claim = json.replace(from, to);
    assert_ne!(claim, json, "`{from}` is not in it");
    edit(&mut footer);
    let text = |text: &str| [varint(text.len() as u64), text.as_bytes().to_vec()].concat();
    replace(&mut footer, &text(&json), |_| text(&claim));
    replace(&mut footer, &text(&crc(&json)), |_| text(&crc(&claim)));
    let mut hostile = sound[..tail - len].to_vec();
    hostile.extend(&footer);
    hostile.extend((footer.len() as u32).to_le_bytes());
    hostile.extend(b"PAR1");
    hostile
}

/// Fault 13 of the review: anyone can compute the checksum of a description that makes no sense.
#[test]
fn a_description_that_makes_no_sense_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &rows(2, 8), options(Compression::None));
    let sound = fs::read(&path).unwrap();
    let step = format!("\"price_step\":{STEP}");
    let day = "\"day\":\"2023-11-14\"";
    let edges = "\"edges\":[-1.0,1.0]";
    for (from, to, named) in [
        (&*step, "\"price_step\":0", "price_step: expected more than 0, found `0`"),
        (&step, "\"price_step\":-1", "price_step: expected more than 0, found `-1`"),
        (&step, "\"price_step\":-9223372036854775808", "price_step"),
        (day, "\"day\":\"\"", "day: expected"),
        (day, "\"day\":\"../../../x\"", "day: expected"),
        (day, "\"day\":\"2023-13-01\"", "day: expected"),
        (day, "\"day\":\"2023-1\\n-14\"", r"found `2023-1\n-14`"),
        (edges, "\"edges\":[1.0,-1.0]", "label `reversal`: expected ascending numbers"),
        (edges, "\"edges\":[1.0]", "found `3 classes with edges [1.0]`"),
        (edges, "\"edges\":[]", "found `3 classes with edges []`"),
        ("\"classes\":3", "\"classes\":4294967295", "found `4294967295 classes"),
        ("\"classes\":3", "\"classes\":0", "found `0 classes with edges"),
        ("\"kind\":\"reversal\"", "\"kind\":\"forward\"", "labels: expected the label of `label`"),
        ("\"kind\":\"reversal\"", "\"kind\":\"backward\"", "unknown variant `backward`"),
        ("\"labels\":[", "\"labels\":[],\"more\":[", "labels: expected the label of `label`"),
        ("\"bin_rule\":\"updates=100\"", "\"bin_rule\":\"updates=0\"", "loblab:meta"),
    ] {
        fs::write(&path, resealed(&sound, (from, to), |_| {})).unwrap();
        let refused = BinFile::open(&path).unwrap_err().to_string();
        assert!(refused.contains("loblab:meta") && refused.contains(named), "{to}: {refused}");
    }
    fs::write(&path, resealed(&sound, (&step, "\"price_step\":7"), |_| {})).unwrap();
    BinFile::open(&path).unwrap();
}

/// A class is an index for whoever reads it.
#[test]
fn a_class_beyond_the_label_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let fs: SharedFs = Arc::new(DiskSystem);
    let labels = vec![NamedLabel::next_change()];
    let options = options(Compression::None);
    let mut writer = BinWriter::create_staged(&fs, &path, STEP, options, labels).unwrap();
    for (i, mut row) in (0..).zip(rows(9, 8)) {
        row.others = vec![LabelCell { value: Some(7.0), class: Some(i32::from(i == 5)) }];
        writer.push(&row).unwrap();
    }
    writer.finish(crate::made::meta()).unwrap();
    let sound = fs::read(&path).unwrap();
    let of = "\"unit\":\"mid_changes\",\"classes\":";
    let (from, to) = (format!("{of}2"), format!("{of}1"));
    fs::write(&path, resealed(&sound, (&from, &to), |_| {})).unwrap();
    let file = BinFile::open(&path).unwrap();
    assert!(file.label_values("next_change", 0..5).is_ok());
    let refused = file.label_values("next_change", 0..9).unwrap_err().to_string();
    for named in ["next_change_class", "row `5`", "one of `1` classes", "found `1`"] {
        assert!(refused.contains(named), "{named}: {refused}");
    }
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

/// Puts something else in the place of the one `from` there is.
fn replace(bytes: &mut Vec<u8>, from: &[u8], to: impl Fn(&[u8]) -> Vec<u8>) {
    let places: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
    assert_eq!(places.len(), 1, "{from:x?} at {places:?}");
    let with = to(from);
    bytes.splice(places[0]..places[0] + from.len(), with);
}

/// A file that is all footer: a schema of `n` columns, and no rows.
fn all_footer(n: u32) -> Vec<u8> {
    let varint = |mut value: u64| {
        let mut bytes = Vec::new();
        while value > 0x7f {
            bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    };
    // `FileMetaData`: version 1, the list of schema elements, no rows, no row groups.
    let mut footer = vec![0x15, 0x02, 0x19, 0xfc];
    footer.extend(varint(u64::from(n) + 1));
    footer.extend([0x35, 0x00, 0x18, 0x01, b'm', 0x15]);
    footer.extend(varint(2 * u64::from(n)));
    footer.push(0);
    for _ in 0..n {
        footer.extend([0x15, 0x02, 0x25, 0x00, 0x18, 0x01, b'a', 0x00]);
    }
    footer.extend([0x16, 0x00, 0x19, 0x0c, 0x00]);
    let len = u32::try_from(footer.len()).unwrap().to_le_bytes();
    [b"PAR1", &footer[..], &len, b"PAR1"].concat()
}

/// The most columns that a footer of 1 MB can name. Twice the footer takes twice the memory and
/// twice the allocations, not four times.
#[test]
fn the_largest_footer_of_one_megabyte_costs_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let cost = |n| {
        let bytes = all_footer(n);
        std::fs::write(&path, &bytes).unwrap();
        let before = lob_scope::thread_alloc_stats();
        assert!(lob_store::read_tick_meta(&path).unwrap().is_none());
        let after = lob_scope::thread_alloc_stats();
        let taken = after.allocations + after.reallocations;
        let n_taken = taken - before.allocations - before.reallocations;
        (bytes.len() as u64, n_taken, after.allocated_bytes - before.allocated_bytes)
    };
    let ((_, n_half, half), (len, n_whole, whole)) = (cost(65_000), cost(130_000));
    assert!(len > 1_000_000 && len < 1 << 20, "{len}");
    assert!(10 * n_whole < 23 * n_half, "{n_half} allocations, then {n_whole}");
    assert!(whole < 5 * half && whole < 256 * len, "{half} bytes, then {whole} of {len}");
}
