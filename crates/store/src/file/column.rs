use std::{fmt, ops::Range};

use super::{
    BinFile, Scratch,
    chunk::{self, Flaw, Shape},
};
use crate::{
    StoreError,
    decode::{Value, decode},
    schema,
};

impl BinFile {
    /// Calls `put(i, value)` for every row `rows.start + i` of a column.
    pub(super) fn column<T: Value>(
        &self,
        column: usize,
        rows: &Range<u64>,
        scratch: &mut Scratch,
        mut put: impl FnMut(usize, Option<T>),
    ) -> Result<(), StoreError> {
        let nullable = schema::is_nullable(column);
        let Scratch { buffers, inflater } = scratch;
        let mut row = rows.start;
        let mut done = 0;
        while row < rows.end {
            let (group, in_group) = (row / self.group_rows, row % self.group_rows);
            let (page, skip) = (in_group / self.page_rows, in_group % self.page_rows);
            let group_rows = self.group_rows.min(self.rows - group * self.group_rows);
            let shape = Shape { group_rows, page_rows: self.page_rows };
            let n = (rows.end - row).min(self.page_rows - skip).min(group_rows - in_group);
            #[expect(clippy::cast_possible_truncation, reason = "bounded by what is in memory")]
            let (skip, n_rows, group_idx) = (skip as usize, n as usize, group as usize);
            let chunk = &self.chunks[group_idx * self.n_columns + column];
            chunk
                .with_page(&self.map, shape, page, inflater, &self.bytes_read, |page| {
                    decode(page, nullable, skip, n_rows, buffers, |i, v| put(done + i, v))
                })
                .map_err(|flaw| {
                    self.damaged(column, group * self.group_rows + page * self.page_rows, flaw)
                })?;
            row += n;
            done += n_rows;
        }
        Ok(())
    }

    /// [`column`](Self::column) of floating-point numbers. One that is not finite is no number,
    /// whatever its page's checksum says.
    pub(super) fn reals(
        &self,
        column: usize,
        rows: &Range<u64>,
        scratch: &mut Scratch,
        mut put: impl FnMut(usize, Option<f64>),
    ) -> Result<(), StoreError> {
        // What is not finite has an exponent of ones alone: one more carries into the highest bit.
        // A comparison a value would cost as much as copying it, this costs nothing beside it.
        const EXPONENT: u64 = 0x7ff0_0000_0000_0000;
        const ONE: u64 = 1 << 52;
        let mut carries = 0;
        self.column(column, rows, scratch, |i, value: Option<f64>| {
            carries |= (value.unwrap_or(0.0).to_bits() & EXPONENT) + ONE;
            put(i, value);
        })?;
        if carries >> 63 == 0 {
            return Ok(());
        }
        // Which one it is matters only now.
        let mut odd = None;
        self.column(column, rows, scratch, |i, value: Option<f64>| {
            if let Some(x) = value.filter(|x| !x.is_finite()) {
                odd = odd.or(Some((i, x)));
            }
        })?;
        let (i, x) = odd.unwrap_or((0, f64::NAN));
        let flaw = chunk::flaw("a finite number", format!("`{x}`"));
        Err(self.damaged_cell(column, rows.start + i as u64, flaw))
    }

    fn damaged(&self, column: usize, page_row: u64, flaw: Flaw) -> StoreError {
        self.damaged_at(column, format_args!("page at row `{page_row}`"), flaw)
    }

    pub(super) fn damaged_cell(&self, column: usize, row: u64, flaw: Flaw) -> StoreError {
        self.damaged_at(column, format_args!("row `{row}`"), flaw)
    }

    fn damaged_at(&self, column: usize, place: fmt::Arguments<'_>, flaw: Flaw) -> StoreError {
        let name = &schema::columns(self.meta.format_version, &self.meta.labels)[column].name;
        StoreError::Damaged {
            path: self.path.clone(),
            what: format!("column `{name}`, {place}"),
            expected: flaw.expected,
            found: flaw.found,
        }
    }
}
