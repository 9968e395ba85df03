//! The columns of a store file.

use lob_depth::{LEVELS, SLOTS};
use parquet::{
    basic::{LogicalType, Repetition, TimeUnit, Type as Physical},
    schema::types::{Type, TypePtr},
};
use std::sync::Arc;

pub(crate) const SEGMENT: usize = 0;
pub(crate) const TS_EVENT_FIRST: usize = 1;
pub(crate) const TS_EVENT: usize = 2;
pub(crate) const TS_RECV: usize = 3;
pub(crate) const UPDATE_IDX: usize = 4;
pub(crate) const N_UPDATES: usize = 5;
pub(crate) const TRADED_VOLUME: usize = 6;
pub(crate) const LAST_BID_PX: usize = 7;
pub(crate) const LAST_ASK_PX: usize = 8;
pub(crate) const MID_PRICE: usize = 9;
/// First of the [`SLOTS`] price columns: bids 0 to 9, asks 0 to 9.
pub(crate) const PX: usize = 10;
pub(crate) const SIZE: usize = PX + SLOTS;
pub(crate) const VARIANCE: usize = SIZE + SLOTS;
pub(crate) const COUNT: usize = VARIANCE + SLOTS;
pub(crate) const MOVEMENT: usize = COUNT + SLOTS;
pub(crate) const LABEL: usize = MOVEMENT + 1;
pub(crate) const N_COLUMNS: usize = LABEL + 1;

/// One column: its name and how its values are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) physical: Physical,
    pub(crate) nullable: bool,
    /// Whether few distinct values are expected. The others would only fill a dictionary to its
    /// limit before falling back to plain values.
    pub(crate) dictionary: bool,
    /// Whether the values are nanoseconds since 1970.
    timestamp: bool,
}

fn column(name: &str, physical: Physical) -> Column {
    let name = name.to_owned();
    Column { name, physical, nullable: false, dictionary: true, timestamp: false }
}

/// All columns in file order.
pub(crate) fn columns() -> Vec<Column> {
    let nullable = |column: Column| Column { nullable: true, ..column };
    let plain = |column: Column| Column { dictionary: false, ..column };
    let time = |name| Column { timestamp: true, ..nullable(plain(column(name, Physical::INT64))) };
    let mut all = vec![
        column("segment", Physical::INT32),
        time("ts_event_first"),
        time("ts_event"),
        time("ts_recv"),
        plain(column("update_idx", Physical::INT64)),
        column("n_updates", Physical::INT32),
        column("traded_volume", Physical::INT64),
        nullable(column("last_bid_px", Physical::INT64)),
        nullable(column("last_ask_px", Physical::INT64)),
        nullable(column("mid_price", Physical::DOUBLE)),
    ];
    let slots = |suffix, physical| {
        (0..SLOTS).map(move |slot| {
            let (side, level) = (["bid", "ask"][slot / LEVELS], slot % LEVELS);
            column(&format!("{side}_{suffix}_{level:02}"), physical)
        })
    };
    all.extend(slots("px", Physical::INT32).map(nullable));
    all.extend(slots("sz", Physical::DOUBLE));
    all.extend(slots("sz_var", Physical::DOUBLE).map(plain));
    all.extend(slots("ct", Physical::INT64));
    all.push(nullable(plain(column("price_movement", Physical::DOUBLE))));
    all.push(nullable(column("classification_label", Physical::INT32)));
    all
}

/// Whether a column of [`columns`] may have nulls.
pub(crate) const fn is_nullable(column: usize) -> bool {
    matches!(column, TS_EVENT_FIRST..=TS_RECV | LAST_BID_PX..SIZE | MOVEMENT..=LABEL)
}

/// The Parquet schema of [`columns`].
pub(crate) fn parquet_schema() -> Result<TypePtr, parquet::errors::ParquetError> {
    let fields = columns()
        .iter()
        .map(|column| {
            let repetition =
                if column.nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED };
            let logical = column.timestamp.then(|| LogicalType::timestamp(true, TimeUnit::NANOS));
            Type::primitive_type_builder(&column.name, column.physical)
                .with_repetition(repetition)
                .with_logical_type(logical)
                .build()
                .map(Arc::new)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Type::group_type_builder("loblab_bins").with_fields(fields).build()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_positions_match_their_names() {
        let columns = columns();
        let check = |at: usize, name: &str| assert_eq!(columns[at].name, name);
        assert_eq!(columns.len(), N_COLUMNS);
        check(SEGMENT, "segment");
        check(TS_EVENT_FIRST, "ts_event_first");
        check(TS_EVENT, "ts_event");
        check(TS_RECV, "ts_recv");
        check(UPDATE_IDX, "update_idx");
        check(N_UPDATES, "n_updates");
        check(TRADED_VOLUME, "traded_volume");
        check(LAST_BID_PX, "last_bid_px");
        check(LAST_ASK_PX, "last_ask_px");
        check(MID_PRICE, "mid_price");
        check(PX, "bid_px_00");
        check(PX + 19, "ask_px_09");
        check(SIZE, "bid_sz_00");
        check(VARIANCE + LEVELS, "ask_sz_var_00");
        check(COUNT + 9, "bid_ct_09");
        check(MOVEMENT, "price_movement");
        check(LABEL, "classification_label");
        for (at, column) in columns.iter().enumerate() {
            assert_eq!(is_nullable(at), column.nullable, "{}", column.name);
        }
    }
}
