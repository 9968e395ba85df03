//! The columns of a store file.

use lob_depth::{LEVELS, SLOTS};
use parquet::{
    basic::{LogicalType, Repetition, TimeUnit, Type as Physical},
    schema::types::{Type, TypePtr},
};
use std::sync::Arc;

use crate::{LabelKind, NamedLabel, label::Numbers};

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
/// Columns of version 1, in their places in every version; the first of order flow comes after.
pub(crate) const IMBALANCE: usize = LABEL + 1;
pub(crate) const SIGNED_VOLUME: usize = IMBALANCE + LEVELS;
pub(crate) const TRADES: usize = SIGNED_VOLUME + 1;
pub(crate) const SIGNED_TRADES: usize = TRADES + 1;
/// Bids, then asks; likewise the next two.
pub(crate) const ADDS: usize = SIGNED_TRADES + 1;
pub(crate) const CANCELS: usize = ADDS + 2;
pub(crate) const MODIFIES: usize = CANCELS + 2;
pub(crate) const MICROPRICE_DEVIATION: usize = MODIFIES + 2;
pub(crate) const QUEUE_IMBALANCE: usize = MICROPRICE_DEVIATION + 1;
/// First column of the labels that version 1 has not.
const MORE_LABELS: usize = QUEUE_IMBALANCE + 1;

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

impl Column {
    /// A column that may have nulls, without a dictionary unless asked for.
    pub(crate) fn optional(name: &str, physical: Physical, dictionary: bool) -> Self {
        Self { dictionary, ..nullable(column(name, physical)) }
    }
}

fn column(name: &str, physical: Physical) -> Column {
    let name = name.to_owned();
    Column { name, physical, nullable: false, dictionary: true, timestamp: false }
}

fn nullable(column: Column) -> Column {
    Column { nullable: true, ..column }
}

fn plain(column: Column) -> Column {
    Column { dictionary: false, ..column }
}

/// Whether a label has columns besides those of version 1.
fn is_more(label: &&NamedLabel) -> bool {
    label.kind != LabelKind::Reversal
}

/// All columns of a file of this version in file order.
pub(crate) fn columns(version: u32, labels: &[NamedLabel]) -> Vec<Column> {
    let mut all = columns_of_version_1();
    if version == 1 {
        return all;
    }
    let integer = |name: &str| nullable(column(name, Physical::INT64));
    all.extend((0..LEVELS).map(|level| integer(&format!("ofi_{level:02}"))));
    all.extend(FLOW_COUNTS.map(integer));
    let real = |name| nullable(plain(column(name, Physical::DOUBLE)));
    all.extend(["microprice_deviation", "queue_imbalance"].map(real));
    for label in labels.iter().filter(is_more) {
        let values = match label.kind.numbers() {
            Numbers::Real => column(&label.name, Physical::DOUBLE),
            Numbers::Whole => column(&label.name, Physical::INT64),
            Numbers::Class => column(&label.name, Physical::INT32),
        };
        // Times to a change are all different.
        let is_plain = label.kind == LabelKind::NextChange;
        all.push(nullable(if is_plain { plain(values) } else { values }));
        if has_class_column(label) {
            all.push(nullable(column(&format!("{}_class", label.name), Physical::INT32)));
        }
    }
    all
}

/// Whether the classes of a label besides that of version 1 are a column of their own.
pub(crate) fn has_class_column(label: &NamedLabel) -> bool {
    label.classes > 0 && label.kind.numbers() != Numbers::Class
}

/// Counts of order flow, from [`SIGNED_VOLUME`] on.
const FLOW_COUNTS: [&str; 9] = [
    "signed_volume",
    "trade_count",
    "signed_trade_count",
    "bid_adds",
    "ask_adds",
    "bid_cancels",
    "ask_cancels",
    "bid_modifies",
    "ask_modifies",
];

/// What the values of a label are, and the columns of them and of the classes, if it is one of these.
pub(crate) fn label_columns(
    labels: &[NamedLabel],
    name: &str,
) -> Option<(Numbers, usize, Option<usize>)> {
    let mut next = MORE_LABELS;
    for label in labels {
        let (value, class) = if label.kind == LabelKind::Reversal {
            (MOVEMENT, Some(LABEL))
        } else {
            let value = next;
            let has_class = has_class_column(label);
            next += 1 + usize::from(has_class);
            let is_class = label.kind.numbers() == Numbers::Class;
            (value, if is_class { Some(value) } else { has_class.then_some(value + 1) })
        };
        if label.is_called(name) {
            return Some((label.kind.numbers(), value, class));
        }
    }
    None
}

fn columns_of_version_1() -> Vec<Column> {
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
    matches!(column, TS_EVENT_FIRST..=TS_RECV | LAST_BID_PX..SIZE) || column >= MOVEMENT
}

/// The Parquet schema of these columns.
pub(crate) fn parquet_schema(columns: &[Column]) -> Result<TypePtr, parquet::errors::ParquetError> {
    let fields = columns
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
        let classed = NamedLabel { classes: 3, ..NamedLabel::forward(10) };
        let reversal = NamedLabel::reversal(&Default::default());
        let labels = [
            reversal,
            NamedLabel::forward(1),
            classed,
            NamedLabel::volatility(7),
            NamedLabel::next_change(),
            NamedLabel::next_trade_side(),
            NamedLabel::true_regime(""),
            NamedLabel::true_pressure(""),
        ];
        let columns = columns(2, &labels);
        let check = |at: usize, name: &str| assert_eq!(columns[at].name, name);
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
        check(IMBALANCE, "ofi_00");
        check(IMBALANCE + 9, "ofi_09");
        check(SIGNED_VOLUME, "signed_volume");
        check(TRADES, "trade_count");
        check(SIGNED_TRADES, "signed_trade_count");
        check(ADDS, "bid_adds");
        check(CANCELS + 1, "ask_cancels");
        check(MODIFIES + 1, "ask_modifies");
        check(MICROPRICE_DEVIATION, "microprice_deviation");
        check(QUEUE_IMBALANCE, "queue_imbalance");
        check(MORE_LABELS, "forward_1");
        assert_eq!(columns.len(), MORE_LABELS + 9);
        for (at, column) in columns.iter().enumerate() {
            assert_eq!(is_nullable(at), column.nullable, "{}", column.name);
        }
        for (name, value, class) in [
            ("reversal", "price_movement", Some("classification_label")),
            ("price_movement", "price_movement", Some("classification_label")),
            ("forward_1", "forward_1", None),
            ("forward_10", "forward_10", Some("forward_10_class")),
            ("volatility_7", "volatility_7", None),
            ("next_change", "next_change", Some("next_change_class")),
            ("next_trade_side", "next_trade_side", Some("next_trade_side")),
            ("true_regime", "true_regime", Some("true_regime")),
            ("true_pressure", "true_pressure", None),
        ] {
            let (numbers, at, class_at) = label_columns(&labels, name).unwrap();
            assert_eq!(columns[at].name, value);
            assert_eq!(class_at.map(|at| columns[at].name.as_str()), class);
            let physical = match numbers {
                Numbers::Real => Physical::DOUBLE,
                Numbers::Whole => Physical::INT64,
                Numbers::Class => Physical::INT32,
            };
            assert_eq!(columns[at].physical, physical, "{name}");
        }
        assert_eq!(label_columns(&labels, "ts_event"), None);
    }

    #[test]
    fn columns_of_version_1_keep_their_places() {
        let (one, two) = (columns(1, &[]), columns(2, &[NamedLabel::forward(1)]));
        assert_eq!((one.len(), &two[..one.len()]), (IMBALANCE, &*one));
    }
}
