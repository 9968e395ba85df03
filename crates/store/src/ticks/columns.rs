//! The columns of a tick file and how a row's fields get into them.

use std::sync::Arc;

use lob_depth::{LEVELS, UNDEF_PRICE};
use parquet::{
    basic::{LogicalType, Repetition, TimeUnit, Type as Physical},
    data_type::ByteArray,
    errors::ParquetError,
    schema::types::{Type, TypePtr},
};

use super::TickRow;
use crate::writer::Values;

/// The time stamp that means "unknown"; a null in the file.
const UNDEF_TIMESTAMP: u64 = u64::MAX;
/// Columns of one book level.
const LEVEL_COLUMNS: usize = 6;
/// Columns before the first level.
const RECORD_COLUMNS: usize = 13;
const SYMBOL: usize = RECORD_COLUMNS + LEVELS * LEVEL_COLUMNS;
const MID_PRICE: usize = SYMBOL + 1;
/// Columns that are known when a row is: all but movement and label.
pub(super) const N_ROW_COLUMNS: usize = MID_PRICE + 1;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Time,
    /// A price in 1e-9 units.
    Price,
    /// An unsigned number of this many bits.
    Unsigned(i8),
    Signed,
    Text,
    Double,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) nullable: bool,
}

impl Column {
    /// Whether the column has few distinct values.
    pub(super) fn has_dictionary(&self) -> bool {
        self.kind == Kind::Text || self.name == "mid_price" || self.name == LABEL
    }
}

const LABEL: &str = "classification_label";

/// All columns in file order, which is that of DBN's CSV form.
pub(super) fn columns() -> Vec<Column> {
    let column = |name: &str, kind: Kind| Column {
        name: name.to_owned(),
        kind,
        nullable: matches!(kind, Kind::Time | Kind::Price | Kind::Double),
    };
    let mut all = vec![
        column("ts_recv", Kind::Time),
        column("ts_event", Kind::Time),
        column("rtype", Kind::Unsigned(8)),
        column("publisher_id", Kind::Unsigned(16)),
        column("instrument_id", Kind::Unsigned(32)),
        column("action", Kind::Text),
        column("side", Kind::Text),
        column("depth", Kind::Unsigned(8)),
        column("price", Kind::Price),
        column("size", Kind::Unsigned(32)),
        column("flags", Kind::Unsigned(8)),
        column("ts_in_delta", Kind::Signed),
        column("sequence", Kind::Unsigned(32)),
    ];
    for level in 0..LEVELS {
        for (field, kind) in [
            ("bid_px", Kind::Price),
            ("ask_px", Kind::Price),
            ("bid_sz", Kind::Unsigned(32)),
            ("ask_sz", Kind::Unsigned(32)),
            ("bid_ct", Kind::Unsigned(32)),
            ("ask_ct", Kind::Unsigned(32)),
        ] {
            all.push(column(&format!("{field}_{level:02}"), kind));
        }
    }
    all.push(column("symbol", Kind::Text));
    all.push(column("mid_price", Kind::Double));
    all.push(column("price_movement", Kind::Double));
    all.push(Column { nullable: true, ..column(LABEL, Kind::Signed) });
    all
}

/// The Parquet schema of [`columns`].
pub(super) fn parquet_schema() -> Result<TypePtr, ParquetError> {
    let fields = columns().into_iter().map(|column| {
        let (physical, logical) = match column.kind {
            Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
            Kind::Price => (Physical::INT64, None),
            Kind::Unsigned(bits) => (Physical::INT32, Some(LogicalType::integer(bits, false))),
            Kind::Signed => (Physical::INT32, None),
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Double => (Physical::DOUBLE, None),
        };
        let repetition = if column.nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        Type::primitive_type_builder(&column.name, physical)
            .with_repetition(repetition)
            .with_logical_type(logical)
            .build()
            .map(Arc::new)
    });
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Type::group_type_builder("loblab_ticks").with_fields(fields).build()?))
}

/// The values of one column for a block of rows; levels as for a page.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) values: Values,
    pub(super) levels: Option<Vec<i16>>,
}

impl Gathered {
    pub(super) fn new(column: &Column) -> Self {
        let values = match column.kind {
            Kind::Time | Kind::Price => Values::I64(Vec::new()),
            Kind::Unsigned(_) | Kind::Signed => Values::I32(Vec::new()),
            Kind::Text => Values::Bytes(Vec::new()),
            Kind::Double => Values::F64(Vec::new()),
        };
        Self { values, levels: column.nullable.then(Vec::new) }
    }

    /// Forgets all values.
    pub(super) fn clear(&mut self) {
        match &mut self.values {
            Values::I32(values) => values.clear(),
            Values::I64(values) => values.clear(),
            Values::F32(values) => values.clear(),
            Values::F64(values) => values.clear(),
            Values::Bytes(values) => values.clear(),
        }
        if let Some(levels) = &mut self.levels {
            levels.clear();
        }
    }

    /// Adds the rows' values of the column at this position.
    ///
    /// # Errors
    /// A time stamp that does not fit: its position among the rows and the column's name.
    pub(super) fn add(
        &mut self,
        at: usize,
        rows: &[TickRow],
        symbol: &ByteArray,
    ) -> Result<(), (usize, String)> {
        match at {
            0 => self.times("ts_recv", rows, |row| row.ts_recv)?,
            1 => self.times("ts_event", rows, |row| row.ts_event)?,
            2 => self.numbers(rows, |row| row.rtype.into()),
            3 => self.numbers(rows, |row| row.publisher_id.into()),
            4 => self.numbers(rows, |row| row.instrument_id),
            5 => self.letters(rows, |row| row.action),
            6 => self.letters(rows, |row| row.side),
            7 => self.numbers(rows, |row| row.depth.into()),
            8 => self.prices(rows, |row| row.price),
            9 => self.numbers(rows, |row| row.size),
            10 => self.numbers(rows, |row| row.flags.into()),
            11 => self.numbers(rows, |row| row.ts_in_delta.cast_unsigned()),
            12 => self.numbers(rows, |row| row.sequence),
            SYMBOL => {
                if let Values::Bytes(to) = &mut self.values {
                    to.resize(to.len() + rows.len(), symbol.clone());
                }
            }
            MID_PRICE => self.mids(rows),
            _ => self.level(at - RECORD_COLUMNS, rows),
        }
        Ok(())
    }

    fn level(&mut self, at: usize, rows: &[TickRow]) {
        let i = at / LEVEL_COLUMNS;
        match at % LEVEL_COLUMNS {
            0 => self.prices(rows, |row| row.levels[i].bid_px),
            1 => self.prices(rows, |row| row.levels[i].ask_px),
            2 => self.numbers(rows, |row| row.levels[i].bid_sz),
            3 => self.numbers(rows, |row| row.levels[i].ask_sz),
            4 => self.numbers(rows, |row| row.levels[i].bid_ct),
            _ => self.numbers(rows, |row| row.levels[i].ask_ct),
        }
    }

    fn numbers(&mut self, rows: &[TickRow], of: impl Fn(&TickRow) -> u32) {
        if let Values::I32(to) = &mut self.values {
            // The column's type says that the bits are those of an unsigned number.
            to.extend(rows.iter().map(|row| of(row).cast_signed()));
        }
    }

    fn prices(&mut self, rows: &[TickRow], of: impl Fn(&TickRow) -> i64) {
        if let (Values::I64(to), Some(levels)) = (&mut self.values, &mut self.levels) {
            levels.extend(rows.iter().map(|row| i16::from(of(row) != UNDEF_PRICE)));
            to.extend(rows.iter().map(of).filter(|px| *px != UNDEF_PRICE));
        }
    }

    fn times(
        &mut self,
        name: &str,
        rows: &[TickRow],
        of: impl Fn(&TickRow) -> u64,
    ) -> Result<(), (usize, String)> {
        if let (Values::I64(to), Some(levels)) = (&mut self.values, &mut self.levels) {
            for (at, row) in rows.iter().enumerate() {
                let ts = of(row);
                levels.push(i16::from(ts != UNDEF_TIMESTAMP));
                if ts != UNDEF_TIMESTAMP {
                    let misfit = |_| (at, format!("`{name}` of `{ts}` does not fit its column"));
                    to.push(i64::try_from(ts).map_err(misfit)?);
                }
            }
        }
        Ok(())
    }

    fn letters(&mut self, rows: &[TickRow], of: impl Fn(&TickRow) -> u8) {
        if let Values::Bytes(to) = &mut self.values {
            to.extend(rows.iter().map(|row| letter(of(row))));
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a price for reading; exact ones are beside")]
    fn mids(&mut self, rows: &[TickRow]) {
        if let (Values::F64(to), Some(levels)) = (&mut self.values, &mut self.levels) {
            for touch in rows.iter().map(|row| row.levels[0]) {
                let has_mid = touch.bid_px != UNDEF_PRICE && touch.ask_px != UNDEF_PRICE;
                levels.push(i16::from(has_mid));
                if has_mid {
                    to.push((i128::from(touch.bid_px) + i128::from(touch.ask_px)) as f64 / 2e9);
                }
            }
        }
    }
}

/// A text of one character, without allocating for the letters that DBN uses.
fn letter(byte: u8) -> ByteArray {
    const LETTERS: &[u8; 26] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let at = usize::from(byte.wrapping_sub(b'A'));
    LETTERS.get(at..=at).map_or_else(
        || ByteArray::from(char::from(byte).to_string().into_bytes()),
        |text| ByteArray::from(bytes::Bytes::from_static(text)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_positions_match_their_names() {
        let columns = columns();
        assert_eq!(columns.len(), N_ROW_COLUMNS + 2);
        for (at, name) in [
            (0, "ts_recv"),
            (8, "price"),
            (12, "sequence"),
            (RECORD_COLUMNS, "bid_px_00"),
            (RECORD_COLUMNS + 5, "ask_ct_00"),
            (SYMBOL - 1, "ask_ct_09"),
            (SYMBOL, "symbol"),
            (MID_PRICE, "mid_price"),
            (N_ROW_COLUMNS, "price_movement"),
            (N_ROW_COLUMNS + 1, LABEL),
        ] {
            assert_eq!(columns[at].name, name);
        }
    }

    #[test]
    fn letters_are_texts() {
        for byte in [b'A', b'T', b'Z', b'b', b'\0', 0xE9] {
            let text = letter(byte);
            assert_eq!(text.as_utf8().expect("text"), char::from(byte).to_string());
        }
    }
}
