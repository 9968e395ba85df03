//! Windows whose columns are all regular and near to each other: painted without sorting.

use crate::{Geometry, LEVELS, PriceAxis, ROWS, SLOTS, render::plan::lay_out_regular};

/// Columns that are evaluated, scaled and painted together: their numbers stay in the first cache.
const BLOCK: usize = 16;
/// Rows copied at once where all rows are alike; long copies need not read what they overwrite.
const TILE_ROWS: usize = 8;
/// Cells written one by one above which sorting the steps is cheaper, on average a column.
const MAX_CELLS: usize = 80;

/// The steps of a window of regular columns, from the highest price down.
///
/// Column b has `first[b]` on all rows above its first step and keeps the value of its last step
/// below that. So the plane is laid out as whole rows of either, the one above a `split` and the
/// other below it, and what lies between first and last step is written column by column.
#[derive(Debug, Clone, Default)]
pub(super) struct Direct {
    /// Rows of the steps, 20 a bin: the asks from the farthest in, then the bids outwards. A step
    /// on the row of the next one is not seen.
    rows: Vec<[u16; SLOTS]>,
    /// The row from which the plane is laid out with the last values.
    split: usize,
    /// Rows that each step is written to before its length is looked at: a guess that is right
    /// for most saves a branch that nobody could predict.
    n_unchecked: usize,
    /// D of each column above its first step, and below its last.
    first: Vec<f64>,
    last: Vec<f64>,
}

impl Direct {
    /// Lays out the columns of a window; returns false, with the plan in any state, if they are
    /// not of the kind that this is for.
    pub(super) fn lay_out(&mut self, axis: PriceAxis, px: &[i32]) -> bool {
        let (columns, _) = px.as_chunks::<SLOTS>();
        let Some(highest) = axis.highest().filter(|_| !columns.is_empty()) else { return false };
        debug_assert_eq!(axis.geometry(), Geometry::Contiguous, "only this has a highest price");
        self.rows.resize(columns.len(), [0; SLOTS]);
        let mut sum = [0; 2];
        for (px, rows) in columns.iter().zip(&mut self.rows) {
            if !lay_out_regular(highest, px, rows) {
                return false;
            }
            sum[0] += usize::from(rows[0]);
            sum[1] += usize::from(rows[SLOTS - 1]);
        }
        let n = columns.len();
        self.split = (sum[0] + sum[1]) / (2 * n);
        let height = (sum[1] - sum[0]) / n;
        self.n_unchecked = height.div_ceil(SLOTS);
        let mut n_cells = 0;
        for rows in &self.rows {
            n_cells += self.split.max(rows[SLOTS - 1].into()) - self.split.min(rows[0].into());
        }
        n_cells / n <= MAX_CELLS
    }

    /// Sums up the sizes of each column and returns the largest absolute value of the plane.
    pub(super) fn evaluate(&mut self, sizes: &[f64]) -> f64 {
        let (sizes, _) = sizes.as_chunks::<SLOTS>();
        self.first.resize(sizes.len(), 0.0);
        self.last.resize(sizes.len(), 0.0);
        let mut largest = [0.0; 2];
        let ends = self.first.iter_mut().zip(&mut self.last);
        for (sizes, (first, last)) in sizes.iter().zip(ends) {
            let mut sums = [0.0; 2];
            for level in 0..LEVELS {
                sums[0] += sizes[level];
                sums[1] += sizes[LEVELS + level];
            }
            // Sizes are not negative, so D is largest at the two ends. No `f64::max`, whose rule
            // for NaN costs more than the sums.
            for (largest, sum) in largest.iter_mut().zip(sums) {
                *largest = if sum > *largest { sum } else { *largest };
            }
            *first = sums[1];
            *last = 0.0 - sums[0];
        }
        largest[0].max(largest[1])
    }

    /// Writes a plane of which [`evaluate`](Self::evaluate) has just seen the sizes; `convert`
    /// makes cells of values.
    pub(super) fn paint<C: Copy>(
        &self,
        sizes: &[f64],
        plane: &mut [C],
        mut convert: impl FnMut(&[f64], &mut [C]),
    ) {
        let n_bins = plane.len() / ROWS;
        let (above, below) = plane.split_at_mut(self.split * n_bins);
        for (rows, values) in [(above, &self.first), (below, &self.last)] {
            if let Some(row) = rows.get_mut(..n_bins) {
                convert(values, row);
                repeat_row(rows, n_bins);
            }
        }
        let paint = match self.n_unchecked {
            0 | 1 => Self::paint_steps::<1, C>,
            2 => Self::paint_steps::<2, C>,
            _ => Self::paint_steps::<4, C>,
        };
        let Some(&blank) = plane.first() else { return };
        let (sizes, _) = sizes.as_chunks::<SLOTS>();
        let mut values = [[0.0; SLOTS]; BLOCK];
        let mut cells = [[blank; SLOTS]; BLOCK];
        for (block, sizes) in sizes.chunks(BLOCK).enumerate() {
            for (sizes, values) in sizes.iter().zip(&mut values) {
                accumulate(sizes, values);
            }
            let cells = &mut cells[..sizes.len()];
            convert(values[..sizes.len()].as_flattened(), cells.as_flattened_mut());
            paint(self, block * BLOCK, cells, plane);
        }
    }

    /// Writes the columns from `bin` on, given the cells after each of their steps.
    fn paint_steps<const N: usize, C: Copy>(
        &self,
        bin: usize,
        cells: &[[C; SLOTS]],
        plane: &mut [C],
    ) {
        let n_bins = self.rows.len();
        for (i, (rows, cells)) in self.rows[bin..].iter().zip(cells).enumerate() {
            let bin = bin + i;
            let first_row = usize::from(rows[0]);
            if first_row > self.split {
                let above = plane[bin];
                fill_column(plane, n_bins, bin, self.split..first_row, above);
            }
            for (step, &cell) in cells.iter().enumerate() {
                let row = usize::from(rows[step]);
                let at = row * n_bins + bin;
                // What reaches too far is overwritten by the steps that follow, or is right.
                if let Some(column) = plane.get_mut(at..at + (N - 1) * n_bins + 1) {
                    for i in 0..N {
                        column[i * n_bins] = cell;
                    }
                } else if row < ROWS {
                    fill_column(plane, n_bins, bin, row..ROWS, cell);
                }
                let next = rows.get(step + 1).map_or(self.split, |&row| usize::from(row));
                if row + N < next {
                    fill_column(plane, n_bins, bin, row + N..next, cell);
                }
            }
        }
    }
}

/// D after each step of a regular column, from the highest price down.
#[inline]
fn accumulate(sizes: &[f64; SLOTS], values: &mut [f64; SLOTS]) {
    let (mut bids, mut asks) = (0.0, 0.0);
    for level in 0..LEVELS {
        bids += sizes[level];
        // Below the row of an ask D is the asks nearer to the touch, from a bid's row on it is
        // minus the bids so far.
        values[LEVELS - 1 - level] = asks;
        values[LEVELS + level] = 0.0 - bids;
        asks += sizes[LEVELS + level];
    }
}

/// Copies the first row to all others.
fn repeat_row<C: Copy>(rows: &mut [C], n_bins: usize) {
    let n_tile = rows.len().min(TILE_ROWS * n_bins);
    let (tile, rest) = rows.split_at_mut(n_tile);
    let (row, copies) = tile.split_at_mut(n_bins);
    for copy in copies.chunks_exact_mut(n_bins) {
        copy.copy_from_slice(row);
    }
    for copies in rest.chunks_mut(n_tile) {
        copies.copy_from_slice(&tile[..copies.len()]);
    }
}

/// Writes a cell to some rows of a column.
fn fill_column<C: Copy>(
    plane: &mut [C],
    n_bins: usize,
    bin: usize,
    rows: std::ops::Range<usize>,
    cell: C,
) {
    for out in plane[rows.start * n_bins + bin..rows.end * n_bins].iter_mut().step_by(n_bins) {
        *out = cell;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns of ten levels a side, `gap` apart, whose bid starts at `bids`.
    fn columns(bids: &[i32], gap: i32) -> Vec<i32> {
        let column = |bid: &i32| {
            let (bid, level) = (*bid, 0..10);
            level.clone().map(move |i| bid - i * gap).chain(level.map(move |i| bid + 1 + i * gap))
        };
        bids.iter().flat_map(column).collect()
    }

    #[test]
    fn takes_compact_windows_and_leaves_others_to_the_plan() {
        let check = |px: &[i32], expected: bool| {
            let axis = PriceAxis::new(Geometry::Contiguous, 1_000, 1_001);
            assert_eq!(Direct::default().lay_out(axis, px), expected);
        };
        check(&columns(&[1_000; 40], 1), true);
        check(&columns(&[1_000; 40], 4), true);
        check(&columns(&[1_000; 40], 5), false);
        let drift: Vec<i32> = (950..1_050).collect();
        check(&columns(&drift, 1), true);
        check(&columns(&[1_000 - 170, 1_000 + 170], 1), false);
        let mut thin = columns(&[1_000; 40], 1);
        thin[15] = crate::NO_PRICE;
        check(&thin, false);
        check(&[], false);
        let axis = PriceAxis::new(Geometry::Compat, 1_000, 1_001);
        assert!(!Direct::default().lay_out(axis, &columns(&[1_000; 40], 1)));
    }
}
