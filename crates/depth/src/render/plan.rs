//! Where the columns of an image step, and what they sum up to.

use crate::{Geometry, LEVELS, NO_PRICE, PriceAxis, ROWS, SLOTS};

/// The row of a step that changes no cell: past the last row.
const NO_ROW: u16 = 402;
/// Rows counted by the sort: all rows and [`NO_ROW`], rounded up to a power of two so that a
/// masked index needs no bounds check.
const N_COUNTERS: usize = 512;
/// In [`Plan::irregular_idx`], a regular column.
const REGULAR: u32 = u32::MAX;

/// The steps of all columns of a window, shared by its planes.
///
/// Step `s` belongs to bin `s / 20`. A *regular* column, by far the most usual, has ten bids and
/// ten asks on the axis of [`Geometry::Contiguous`], none sharing a row, none crossed: then step
/// `s % 20` goes through the asks from the
/// farthest in and then through the bids outwards, and no further bookkeeping is needed. All others, and all columns
/// of [`Geometry::Compat`], are described by an [`Irregular`].
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    /// The geometry's rules: whether asks are summed from row 0 down, and whether the deepest
    /// level of a row replaces the others instead of being added to them.
    asks_fall: bool,
    assign: bool,
    /// Row of each step, [`NO_ROW`] for none.
    rows: Vec<u16>,
    /// For each bin [`REGULAR`] or an index into `irregular`.
    irregular_idx: Vec<u32>,
    irregular: Vec<Irregular>,
    /// Steps sorted by row; those of row r are `sorted[starts[r]..starts[r + 1]]`.
    sorted: Vec<u32>,
    starts: Vec<u32>,
}

/// The levels of one column in the order in which they are accumulated.
///
/// The *falling* side is summed from row 0 down, the *rising* side from row 401 up. In
/// [`Geometry::Contiguous`] bids fall and asks rise; in [`Geometry::Compat`] it is the reverse.
#[derive(Debug, Clone, Copy)]
struct Irregular {
    falling: Side,
    rising: Side,
    /// The number of falling and rising rows summed up on row 0 and after each step.
    first: (u8, u8),
    steps: [(u8, u8); SLOTS],
    n_steps: u8,
}

/// One side's levels that are on the axis, in order of accumulation; levels that share a row are
/// neighbours, in level order.
#[derive(Debug, Clone, Copy, Default)]
struct Side {
    slots: [u8; LEVELS],
    rows: [u16; LEVELS],
    n: u8,
}

impl Plan {
    /// Lays out the columns of a window. Returns whether any level is on the axis.
    pub(super) fn lay_out(&mut self, axis: PriceAxis, px: &[i32]) -> bool {
        let geometry = axis.geometry();
        self.asks_fall = geometry == Geometry::Compat;
        self.assign = geometry == Geometry::Compat;
        self.rows.resize(px.len(), NO_ROW);
        self.irregular_idx.clear();
        self.irregular.clear();
        let (columns, _) = px.as_chunks::<SLOTS>();
        let (rows, _) = self.rows.as_chunks_mut::<SLOTS>();
        let highest = axis.highest();
        let mut drawn = false;
        for (px, rows) in columns.iter().zip(rows) {
            if highest.is_some_and(|highest| lay_out_regular(highest, px, rows)) {
                // Without a gap between the best bid and ask, the bid's step is the one seen.
                if rows[LEVELS - 1] == rows[LEVELS] {
                    rows[LEVELS - 1] = NO_ROW;
                }
                self.irregular_idx.push(REGULAR);
                drawn = true;
                continue;
            }
            let column = Irregular::new(axis, px, rows);
            drawn |= column.falling.n + column.rising.n > 0;
            #[expect(clippy::cast_possible_truncation, reason = "a spec has below 2^32 cells")]
            self.irregular_idx.push(self.irregular.len() as u32);
            self.irregular.push(column);
        }
        self.sort();
        drawn
    }

    /// Sorts the steps by row; a counting sort.
    #[expect(clippy::cast_possible_truncation, reason = "a spec has below 2^32 cells")]
    fn sort(&mut self) {
        let mut counters = [0_u32; N_COUNTERS];
        for &row in &self.rows {
            counters[usize::from(row) % N_COUNTERS] += 1;
        }
        self.starts.clear();
        let mut start = 0;
        for counter in &mut counters {
            self.starts.push(start);
            start += std::mem::replace(counter, start);
        }
        self.sorted.resize(self.rows.len(), 0);
        for (step, &row) in self.rows.iter().enumerate() {
            let next = &mut counters[usize::from(row) % N_COUNTERS];
            self.sorted[*next as usize] = step as u32;
            *next += 1;
        }
    }

    /// The steps that take effect on a row, at most one a bin.
    #[inline]
    pub(super) fn steps_of_row(&self, row: usize) -> &[u32] {
        &self.sorted[self.starts[row] as usize..self.starts[row + 1] as usize]
    }

    /// D on row 0 of each column and after each step, and the largest absolute D of the plane.
    /// Steps without a row get any value.
    pub(super) fn evaluate(
        &self,
        sizes: &[f64],
        values: &mut Vec<f64>,
        first: &mut Vec<f64>,
    ) -> f64 {
        values.resize(sizes.len(), 0.0);
        first.clear();
        let (sizes, _) = sizes.as_chunks::<SLOTS>();
        let (values, _) = values.as_chunks_mut::<SLOTS>();
        let mut largest = 0.0_f64;
        for ((sizes, values), &idx) in sizes.iter().zip(values).zip(&self.irregular_idx) {
            if idx != REGULAR {
                let column = &self.irregular[idx as usize];
                first.push(column.evaluate(self, sizes, values, &mut largest));
                continue;
            }
            // From a bid's row on D is minus the bids so far; below an ask's row it is the asks
            // nearer to the touch. Sizes are not negative, so D is largest at the two ends.
            let (mut bids, mut asks) = (0.0, 0.0);
            for level in 0..LEVELS {
                bids += sizes[level];
                values[LEVELS - 1 - level] = asks;
                values[LEVELS + level] = 0.0 - bids;
                asks += sizes[LEVELS + level];
            }
            first.push(asks);
            largest = largest.max(bids).max(asks);
        }
        largest
    }
}

/// Lays out a regular column, its steps from the highest price down: asks from the farthest, then
/// bids from the touch. Returns false, with `rows` in any state, if it is none.
#[inline]
pub(super) fn lay_out_regular(highest: i32, px: &[i32; SLOTS], rows: &mut [u16; SLOTS]) -> bool {
    let mut ordered = px[0] < px[LEVELS];
    for level in 1..LEVELS {
        ordered &= px[level] < px[level - 1];
        ordered &= px[LEVELS + level] > px[LEVELS + level - 1];
    }
    let (lowest_px, highest_px) = (px[LEVELS - 1], px[SLOTS - 1]);
    let on_axis = highest_px <= highest
        && lowest_px != NO_PRICE
        && i64::from(highest) - i64::from(lowest_px) < ROWS as i64;
    if !(ordered && on_axis) {
        return false;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "all prices are on the axis, so rows are in 0..402"
    )]
    for level in 0..LEVELS {
        // The asks of a row count on it and above, so D steps below it.
        rows[LEVELS - 1 - level] = (highest - px[LEVELS + level]) as u16 + 1;
        rows[LEVELS + level] = (highest - px[level]) as u16;
    }
    true
}

impl Side {
    /// The levels of the slots `from..from + 10`, sorted by row as `before` says.
    fn new(axis: PriceAxis, px: &[i32; SLOTS], from: usize, before: fn(u16, u16) -> bool) -> Self {
        let mut side = Self::default();
        for (slot, &px) in px.iter().enumerate().skip(from).take(LEVELS) {
            if px == NO_PRICE {
                continue;
            }
            let Some(row) = axis.row(px).and_then(|row| u16::try_from(row).ok()) else {
                continue;
            };
            // A stable insertion sort: levels mostly come in order.
            let mut at = usize::from(side.n);
            while at > 0 && before(row, side.rows[at - 1]) {
                side.rows[at] = side.rows[at - 1];
                side.slots[at] = side.slots[at - 1];
                at -= 1;
            }
            side.rows[at] = row;
            side.slots[at] = u8::try_from(slot).unwrap_or(u8::MAX);
            side.n += 1;
        }
        side
    }

    /// The sums after no, one, two... levels, in order of accumulation. Levels of a row are added
    /// up first, or the last of them wins if `assign`.
    fn accumulate(&self, sizes: &[f64; SLOTS], assign: bool) -> [f64; LEVELS + 1] {
        let mut sums = [0.0; LEVELS + 1];
        let (mut before_row, mut of_row) = (0.0, 0.0);
        for i in 0..usize::from(self.n) {
            let size = sizes[usize::from(self.slots[i])];
            if i > 0 && self.rows[i] == self.rows[i - 1] {
                of_row = if assign { size } else { of_row + size };
            } else {
                before_row = sums[i];
                of_row = size;
            }
            sums[i + 1] = before_row + of_row;
        }
        sums
    }
}

impl Irregular {
    /// Lays out a column of any kind.
    fn new(axis: PriceAxis, px: &[i32; SLOTS], rows: &mut [u16; SLOTS]) -> Self {
        let (falling_from, rising_from) = match axis.geometry() {
            Geometry::Contiguous => (0, LEVELS),
            Geometry::Compat => (LEVELS, 0),
        };
        let falling = Side::new(axis, px, falling_from, |row, other| row < other);
        let rising = Side::new(axis, px, rising_from, |row, other| row > other);
        let mut column =
            Self { falling, rising, first: (0, rising.n), steps: [(0, 0); SLOTS], n_steps: 0 };
        rows.fill(NO_ROW);
        // Merge: falling levels count from their row on, rising levels until their row. All
        // levels of one row pass at once, so that no partial sum is ever taken for a value.
        let (mut n_falling, mut n_rising) = (0, rising.n);
        loop {
            let next_falling = column.falling_row(n_falling);
            let next_rising = column.rising_row(n_rising);
            let row = next_falling.min(next_rising);
            if row >= NO_ROW {
                break;
            }
            while column.falling_row(n_falling) == row {
                n_falling += 1;
            }
            while column.rising_row(n_rising) == row {
                n_rising -= 1;
            }
            if row == 0 {
                column.first = (n_falling, n_rising);
            } else {
                let step = usize::from(column.n_steps);
                rows[step] = row;
                column.steps[step] = (n_falling, n_rising);
                column.n_steps += 1;
            }
        }
        column
    }

    /// The row from which the falling level after the first `n` counts.
    fn falling_row(&self, n: u8) -> u16 {
        if n < self.falling.n { self.falling.rows[usize::from(n)] } else { NO_ROW }
    }

    /// The row from which the `n`th rising level counts no more.
    fn rising_row(&self, n: u8) -> u16 {
        if n > 0 { self.rising.rows[usize::from(n) - 1] + 1 } else { NO_ROW }
    }

    /// Fills in D after each step, raises `largest`, and returns D on row 0.
    fn evaluate(
        &self,
        plan: &Plan,
        sizes: &[f64; SLOTS],
        values: &mut [f64; SLOTS],
        largest: &mut f64,
    ) -> f64 {
        let falling = self.falling.accumulate(sizes, plan.assign);
        let rising = self.rising.accumulate(sizes, plan.assign);
        let mut difference = |(n_falling, n_rising): (u8, u8)| {
            let (falling, rising) =
                (falling[usize::from(n_falling)], rising[usize::from(n_rising)]);
            let d: f64 = if plan.asks_fall { falling - rising } else { rising - falling };
            *largest = largest.max(d.abs());
            d
        };
        let steps = &self.steps[..usize::from(self.n_steps)];
        for (value, &counts) in values.iter_mut().zip(steps) {
            *value = difference(counts);
        }
        difference(self.first)
    }
}
