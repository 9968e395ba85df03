//! The columns of a tick file, and where their values are in a row.

use std::sync::Arc;

use lob_depth::{LEVELS, UNDEF_PRICE};
use parquet::{
    basic::{LogicalType, Repetition, TimeUnit, Type as Physical},
    errors::ParquetError,
    schema::types::{Type, TypePtr},
};

use super::log::{LEVEL_WORDS, RECORD_WORDS, Words, word};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nanoseconds; `u64::MAX` is null.
    Time,
    /// A price in 1e-9 units; [`UNDEF_PRICE`] is null.
    Price,
    /// An unsigned number of this many bits.
    Unsigned(i8),
    Signed,
    /// A text of one character.
    Letter,
    /// The instrument's symbol.
    Symbol,
    /// A number; the bits of [`NO_NUMBER`] are null.
    Double,
    /// A class; [`NO_CLASS`] is null.
    Class,
}

/// Bits that stand for no number: those of a NaN, which no column holds.
pub(super) const NO_NUMBER: u64 = u64::MAX;
/// Stands for no class.
pub(super) const NO_CLASS: u64 = u64::MAX;

/// Where a column's value is in the words of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `bits` of a word, from `shift` on.
    Bits { word: usize, shift: u32, bits: u32 },
    /// The mean of the two best prices.
    Mid,
    /// Not in the row: known for the file, or once the rows after it are.
    Elsewhere,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) place: Place,
    /// Whether nearly every row has another value, so that values are written as differences and
    /// not by a dictionary.
    pub(super) is_dense: bool,
}

impl Column {
    /// The value that is null, if one is.
    pub(super) fn null(&self) -> Option<u64> {
        match self.kind {
            Kind::Time => Some(u64::MAX),
            Kind::Price => Some(UNDEF_PRICE.cast_unsigned()),
            Kind::Double => Some(NO_NUMBER),
            Kind::Class => Some(NO_CLASS),
            Kind::Unsigned(_) | Kind::Signed | Kind::Letter | Kind::Symbol => None,
        }
    }

    /// Whether row groups and readers are told the smallest and the largest value.
    pub(super) fn has_range(&self) -> bool {
        self.kind == Kind::Time || self.name == "sequence"
    }
}

impl Place {
    /// The words that a value depends on, as a mask.
    pub(super) fn words(self) -> u64 {
        match self {
            Self::Bits { word, .. } => 1 << word,
            Self::Mid => 0b11 << RECORD_WORDS,
            Self::Elsewhere => 0,
        }
    }

    /// The value in a row.
    #[inline]
    pub(super) fn of(self, words: &Words) -> u64 {
        match self {
            Self::Bits { word, shift, bits } => words[word] >> shift & u64::MAX >> (64 - bits),
            Self::Mid => mid(words[RECORD_WORDS], words[RECORD_WORDS + 1]),
            Self::Elsewhere => 0,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a price for reading; exact ones are beside")]
fn mid(bid: u64, ask: u64) -> u64 {
    let (bid, ask) = (bid.cast_signed(), ask.cast_signed());
    if bid == UNDEF_PRICE || ask == UNDEF_PRICE {
        return NO_NUMBER;
    }
    ((i128::from(bid) + i128::from(ask)) as f64 / 2e9).to_bits()
}

/// Columns that are known when a row is: all but movement and label.
pub(super) const N_ROW_COLUMNS: usize = 12 + LEVELS * 6 + 2;

/// All columns in file order, which is that of DBN's CSV form. `instrument_id` is the name of the
/// folder: a column of that name would clash with the one that readers make of it.
pub(super) fn columns() -> Vec<Column> {
    let column = |name: &str, kind, place| {
        let is_dense =
            ["ts_recv", "ts_event", "ts_in_delta", "sequence", "price_movement"].contains(&name);
        Column { name: name.to_owned(), kind, place, is_dense }
    };
    let bits = |word, shift, bits| Place::Bits { word, shift, bits };
    let mut all = vec![
        column("ts_recv", Kind::Time, bits(word::TS_RECV, 0, 64)),
        column("ts_event", Kind::Time, bits(word::TS_EVENT, 0, 64)),
        column("rtype", Kind::Unsigned(8), bits(word::TYPE_AND_PUBLISHER, 0, 32)),
        column("publisher_id", Kind::Unsigned(16), bits(word::TYPE_AND_PUBLISHER, 32, 32)),
        column("action", Kind::Letter, bits(word::SIZE_AND_BYTES, 32, 8)),
        column("side", Kind::Letter, bits(word::SIZE_AND_BYTES, 40, 8)),
        column("depth", Kind::Unsigned(8), bits(word::SIZE_AND_BYTES, 48, 8)),
        column("price", Kind::Price, bits(word::PRICE, 0, 64)),
        column("size", Kind::Unsigned(32), bits(word::SIZE_AND_BYTES, 0, 32)),
        column("flags", Kind::Unsigned(8), bits(word::SIZE_AND_BYTES, 56, 8)),
        column("ts_in_delta", Kind::Signed, bits(word::SEQUENCE_AND_DELTA, 32, 32)),
        column("sequence", Kind::Unsigned(32), bits(word::SEQUENCE_AND_DELTA, 0, 32)),
    ];
    for level in 0..LEVELS {
        let first = RECORD_WORDS + level * LEVEL_WORDS;
        for (field, kind, place) in [
            ("bid_px", Kind::Price, bits(first, 0, 64)),
            ("ask_px", Kind::Price, bits(first + 1, 0, 64)),
            ("bid_sz", Kind::Unsigned(32), bits(first + 2, 0, 32)),
            ("ask_sz", Kind::Unsigned(32), bits(first + 2, 32, 32)),
            ("bid_ct", Kind::Unsigned(32), bits(first + 3, 0, 32)),
            ("ask_ct", Kind::Unsigned(32), bits(first + 3, 32, 32)),
        ] {
            all.push(column(&format!("{field}_{level:02}"), kind, place));
        }
    }
    all.push(column("symbol", Kind::Symbol, Place::Elsewhere));
    all.push(column("mid_price", Kind::Double, Place::Mid));
    all.push(column("price_movement", Kind::Double, Place::Elsewhere));
    all.push(column("classification_label", Kind::Class, Place::Elsewhere));
    all
}

/// The Parquet schema of [`columns`].
pub(super) fn parquet_schema() -> Result<TypePtr, ParquetError> {
    let fields = columns().into_iter().map(|column| {
        let (physical, logical) = match column.kind {
            Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
            Kind::Price => (Physical::INT64, None),
            Kind::Unsigned(bits) => (Physical::INT32, Some(LogicalType::integer(bits, false))),
            Kind::Signed | Kind::Class => (Physical::INT32, None),
            Kind::Letter | Kind::Symbol => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Double => (Physical::DOUBLE, None),
        };
        let is_nullable = column.null().is_some();
        let repetition = if is_nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        Type::primitive_type_builder(&column.name, physical)
            .with_repetition(repetition)
            .with_logical_type(logical)
            .build()
            .map(Arc::new)
    });
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Type::group_type_builder("loblab_ticks").with_fields(fields).build()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_row_is_in_one_column() {
        let columns = columns();
        assert_eq!(columns.len(), N_ROW_COLUMNS + 2);
        assert_eq!(columns[N_ROW_COLUMNS - 1].name, "mid_price");
        let mut seen: Words = [0; _];
        for column in &columns {
            if let Place::Bits { word, shift, bits } = column.place {
                let mask = u64::MAX >> (64 - bits) << shift;
                assert_eq!(seen[word] & mask, 0, "{}", column.name);
                seen[word] |= mask;
            }
        }
        assert_eq!(seen, [u64::MAX; _]);
    }
}
