//! The rows of a store of ticks, read by the `parquet` crate alone.

use std::{collections::BTreeMap, fs::File, rc::Rc};

use lob_convert::ConvertSummary;
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, Row as ParquetRow},
};

use super::{Row, Who, book::NO_LEVELS};

/// A row of the store, its class, and the edges of its file.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) row: Row,
    pub(super) label: Option<i64>,
    pub(super) edges: Rc<[f64]>,
}

impl Found {
    /// The class that a movement has by the file's edges.
    pub(super) fn class(&self, movement: Option<f64>) -> Option<i64> {
        let edges = &self.edges;
        movement.filter(|_| !edges.is_empty()).map(|movement| {
            let is_flat = edges.iter().all(|edge| *edge == movement);
            let below = edges.iter().filter(|edge| **edge <= movement).count();
            // Flat prices are of the middle class.
            (if is_flat { edges.len() / 2 } else { below }) as i64
        })
    }
}

/// All rows by instrument and day.
pub(super) fn read(summary: &ConvertSummary) -> BTreeMap<Who, Vec<Found>> {
    let mut found: BTreeMap<Who, Vec<Found>> = BTreeMap::new();
    for output in &summary.outputs {
        let meta = lob_store::read_tick_meta(&output.path).unwrap().unwrap();
        let edges: Rc<[f64]> = meta.label.edges.into();
        let folder = output.path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let id: u32 = folder.strip_prefix("instrument_id=").unwrap().parse().unwrap();
        assert_eq!((meta.instrument_id, output.instrument_id), (id, id));
        let reader = SerializedFileReader::new(File::open(&output.path).unwrap()).unwrap();
        for row in reader.get_row_iter(None).unwrap() {
            let (who, row, label) = parse(&row.unwrap(), &output.day, id);
            let edges = Rc::clone(&edges);
            found.entry(who).or_default().push(Found { row, label, edges });
        }
    }
    found
}

fn parse(row: &ParquetRow, day: &str, instrument_id: u32) -> (Who, Row, Option<i64>) {
    let fields: BTreeMap<&str, &Field> =
        row.get_column_iter().map(|(name, field)| (name.as_str(), field)).collect();
    let number = |name: &str| int(fields[name]);
    let whole = |name: &str| number(name).unwrap();
    let price = |name: &str| number(name).unwrap_or(i64::MAX);
    let time = |name: &str| number(name).map(|ts| ts as u64);
    let letter = |name: &str| match fields[name] {
        Field::Str(text) => text.chars().next().unwrap(),
        other => panic!("{name}: {other}"),
    };
    let double = |name: &str| match fields[name] {
        Field::Null => None,
        Field::Double(value) => Some(*value),
        other => panic!("{name}: {other}"),
    };
    let mut levels = NO_LEVELS;
    for (side, levels) in ["bid", "ask"].iter().zip(&mut levels) {
        for (i, level) in levels.iter_mut().enumerate() {
            *level = (
                price(&format!("{side}_px_{i:02}")),
                whole(&format!("{side}_sz_{i:02}")) as u32,
                whole(&format!("{side}_ct_{i:02}")) as u32,
            );
        }
    }
    let (bid, ask) = (levels[0][0].0, levels[1][0].0);
    let mid = (bid != i64::MAX && ask != i64::MAX).then(|| (bid + ask) as f64 / 2e9);
    assert_eq!(double("mid_price"), mid);
    let Field::Str(symbol) = fields["symbol"] else { panic!("a symbol") };
    let who = Who {
        publisher_id: whole("publisher_id") as u16,
        instrument_id,
        symbol: symbol.clone(),
        day: day.to_owned(),
    };
    let row = Row {
        ts_recv: time("ts_recv"),
        ts_event: time("ts_event"),
        action: letter("action"),
        side: letter("side"),
        depth: whole("depth") as u8,
        price: price("price"),
        size: whole("size") as u32,
        flags: whole("flags") as u8,
        ts_in_delta: whole("ts_in_delta") as i32,
        sequence: whole("sequence") as u32,
        levels,
        movement: double("price_movement"),
    };
    (who, row, number("classification_label"))
}

fn int(field: &Field) -> Option<i64> {
    Some(match field {
        Field::Null => return None,
        Field::Int(n) => i64::from(*n),
        Field::UInt(n) => i64::from(*n),
        Field::UByte(n) => i64::from(*n),
        Field::UShort(n) => i64::from(*n),
        Field::Long(n) | Field::TimestampMicros(n) | Field::TimestampMillis(n) => *n,
        other => panic!("a number, found {other}"),
    })
}
