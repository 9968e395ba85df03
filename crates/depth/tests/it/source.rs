//! Readers for the inputs of the golden data: CSV, DBN and Parquet.

use std::path::Path;

use dbn::decode::{DecodeRecord, DynDecoder};
use lob_depth::{LEVELS, Level};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};

pub(crate) type Book = [Level; LEVELS];

/// The columns bid_px, ask_px, bid_sz, ask_sz, bid_ct, ask_ct of level 0, 1, ... as a book.
fn book(columns: &[i64]) -> Book {
    assert_eq!(columns.len(), 6 * LEVELS);
    let u32 = |x: i64| u32::try_from(x).expect("a size or count");
    std::array::from_fn(|i| match columns[6 * i..6 * i + 6] {
        [bid_px, ask_px, bid_sz, ask_sz, bid_ct, ask_ct] => Level {
            bid_px,
            ask_px,
            bid_sz: u32(bid_sz),
            ask_sz: u32(ask_sz),
            bid_ct: u32(bid_ct),
            ask_ct: u32(ask_ct),
        },
        _ => unreachable!("six columns"),
    })
}

pub(crate) fn csv(path: &Path) -> Vec<Book> {
    let text = std::fs::read_to_string(path).expect("golden file");
    let row = |line: &str| -> Vec<i64> {
        line.split(',').map(|cell| cell.trim().parse().expect("a number")).collect()
    };
    text.lines().skip(1).map(|line| book(&row(line))).collect()
}

pub(crate) fn dbn(path: &Path) -> Vec<Book> {
    let mut decoder =
        DynDecoder::from_file(path, dbn::VersionUpgradePolicy::UpgradeToV3).expect("a DBN file");
    let mut books = Vec::new();
    while let Some(record) = decoder.decode_record::<dbn::Mbp10Msg>().expect("a record") {
        books.push(std::array::from_fn(|i| {
            let level = &record.levels[i];
            Level {
                bid_px: level.bid_px,
                ask_px: level.ask_px,
                bid_sz: level.bid_sz,
                ask_sz: level.ask_sz,
                bid_ct: level.bid_ct,
                ask_ct: level.ask_ct,
            }
        }));
    }
    books
}

pub(crate) fn parquet(path: &Path) -> Vec<Book> {
    let file = std::fs::File::open(path).expect("golden file");
    let reader = SerializedFileReader::new(file).expect("a Parquet file");
    let rows = reader.get_row_iter(None).expect("rows");
    rows.map(|row| {
        let row = row.expect("a row");
        let columns: Vec<i64> = row
            .get_column_iter()
            .map(|(name, field)| match field {
                Field::Long(x) => *x,
                Field::Int(x) => i64::from(*x),
                Field::UInt(x) => i64::from(*x),
                Field::ULong(x) => i64::try_from(*x).expect("small"),
                other => panic!("column {name}: {other:?}"),
            })
            .collect();
        book(&columns)
    })
    .collect()
}
