//! Labels and times of rows.

use std::ops::Range;

use super::{BinFile, SCRATCH, Scratch, chunk, time};
use crate::{LabelKind, StoreError, label::Numbers, schema};

/// Columns beside the depth of a run of rows: what labels, splits and reports need.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LabelColumns {
    /// `ts_event` of each bin's last update, ns since 1970; `u64::MAX` where unknown.
    pub ts_event: Vec<u64>,
    /// Segment of each bin.
    pub segment: Vec<u32>,
    /// Price movement around each bin's last update; `None` where undefined.
    pub movement: Vec<Option<f64>>,
    /// Class label; `None` where the movement is undefined.
    pub label: Vec<Option<i32>>,
}

/// What a window's image does not show: label, movement and time of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowLabel {
    /// `ts_event` of the bin's last update, ns since 1970; `u64::MAX` where unknown.
    pub ts_event: u64,
    /// Value of the label: of the first, the price movement around the update.
    pub movement: Option<f64>,
    /// Class of the value.
    pub label: Option<i32>,
}

/// Where a file has one of its labels, see [`BinFile::label_place`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelPlace {
    numbers: Numbers,
    value: usize,
    class: Option<usize>,
}

impl LabelPlace {
    /// Of the movement, which every file has.
    pub const MOVEMENT: Self =
        Self { numbers: Numbers::Real, value: schema::MOVEMENT, class: Some(schema::LABEL) };
}

/// Values and classes of a label for a run of rows, `None` where undefined.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LabelValues {
    /// Values; whole numbers are exact up to 2^53.
    pub value: Vec<Option<f64>>,
    /// Classes, 0 for the lowest.
    pub class: Vec<Option<i32>>,
}

impl BinFile {
    /// Where the label of this name is, one of [`StoreMeta::labels`](crate::StoreMeta::labels).
    ///
    /// # Errors
    /// There is none of the name.
    pub fn label_place(&self, name: &str) -> Result<LabelPlace, StoreError> {
        let labels = &self.meta.labels;
        let place = schema::label_columns(labels, name);
        place.map(|(numbers, value, class)| LabelPlace { numbers, value, class }).ok_or_else(|| {
            let names: Vec<_> = labels.iter().map(|l| format!("`{}`", l.name)).collect();
            let (path, name) = (self.path.clone(), name.to_owned());
            StoreError::NoLabel { path, name, found: names.join(", ") }
        })
    }

    /// Values and classes of the label of this name for `rows`.
    ///
    /// # Errors
    /// There is none of the name; or as [`read`](Self::read).
    pub fn label_values(&self, name: &str, rows: Range<u64>) -> Result<LabelValues, StoreError> {
        let place = self.label_place(name)?;
        let n = self.check_rows(&rows)?;
        let mut out = LabelValues { value: vec![None; n], class: vec![None; n] };
        SCRATCH.with_borrow_mut(|scratch| {
            self.label_cells(
                place,
                &rows,
                scratch,
                |i, value| out.value[i] = value,
                |i, class| out.class[i] = class,
            )
        })?;
        self.check_classes(name, place, rows.start, &out.class)?;
        Ok(out)
    }

    /// Whoever can forge a checksum must not make readers look beyond the classes.
    fn check_classes(
        &self,
        name: &str,
        place: LabelPlace,
        first: u64,
        classes: &[Option<i32>],
    ) -> Result<(), StoreError> {
        let label = self.meta.labels.iter().find(|label| label.is_called(name));
        let Some(label) = label.filter(|label| label.kind != LabelKind::Reversal) else {
            return Ok(());
        };
        let is_odd = |class: &i32| !u32::try_from(*class).is_ok_and(|class| class < label.classes);
        for (row, class) in (first..).zip(classes) {
            if let (Some(class), Some(column)) = (class.filter(is_odd), place.class) {
                let expected = format!("one of `{}` classes", label.classes);
                return Err(self.odd_cell(column, row, &expected, Some(class.into())));
            }
        }
        Ok(())
    }

    /// Calls `value` and `class` for every row of a label.
    pub(super) fn label_cells(
        &self,
        place: LabelPlace,
        rows: &Range<u64>,
        scratch: &mut Scratch,
        mut value: impl FnMut(usize, Option<f64>),
        class: impl FnMut(usize, Option<i32>),
    ) -> Result<(), StoreError> {
        match place.numbers {
            Numbers::Real => self.reals(place.value, rows, scratch, value)?,
            Numbers::Whole => self.column(place.value, rows, scratch, |i, x: Option<i64>| {
                #[expect(clippy::cast_precision_loss, reason = "as documented")]
                value(i, x.map(|x| x as f64));
            })?,
            Numbers::Class => self.column(place.value, rows, scratch, |i, x: Option<i32>| {
                value(i, x.map(f64::from));
            })?,
        }
        place.class.map_or(Ok(()), |column| self.column(column, rows, scratch, class))
    }

    /// Movement, label, segment and time of `rows`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn labels(&self, rows: Range<u64>) -> Result<LabelColumns, StoreError> {
        let n = self.check_rows(&rows)?;
        let mut out = LabelColumns {
            ts_event: vec![u64::MAX; n],
            segment: vec![0; n],
            movement: vec![None; n],
            label: vec![None; n],
        };
        SCRATCH.with_borrow_mut(|scratch| {
            self.column(schema::TS_EVENT, &rows, scratch, |i, ts| out.ts_event[i] = time(ts))?;
            self.column(schema::SEGMENT, &rows, scratch, |i, segment: Option<i32>| {
                out.segment[i] = segment.unwrap_or(0).cast_unsigned();
            })?;
            self.reals(schema::MOVEMENT, &rows, scratch, |i, value| out.movement[i] = value)?;
            self.column(schema::LABEL, &rows, scratch, |i, value| out.label[i] = value)
        })?;
        Ok(out)
    }

    /// Value and class of a label, and time, of one row, without allocating.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn row_label(&self, row: u64, place: LabelPlace) -> Result<RowLabel, StoreError> {
        let rows = row..row.saturating_add(1);
        self.check_rows(&rows)?;
        let mut out = RowLabel { ts_event: u64::MAX, movement: None, label: None };
        SCRATCH.with_borrow_mut(|scratch| {
            self.column(schema::TS_EVENT, &rows, scratch, |_, ts| out.ts_event = time(ts))?;
            self.label_cells(
                place,
                &rows,
                scratch,
                |_, value| out.movement = value,
                |_, class| out.label = class,
            )
        })?;
        Ok(out)
    }

    /// What is wrong with a column at one row.
    pub(super) fn odd_cell(
        &self,
        column: usize,
        row: u64,
        expected: &str,
        found: Option<i64>,
    ) -> StoreError {
        let found = found.map_or_else(|| "nothing".to_owned(), |x| format!("`{x}`"));
        self.damaged_cell(column, row, chunk::flaw(expected, found))
    }
}
