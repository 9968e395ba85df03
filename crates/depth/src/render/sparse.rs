//! Planes with few cells a column that are not zero.

use super::scale;
use crate::{BinSlice, Feature, LEVELS, NO_PRICE, Normalise, PriceAxis, ROWS, SLOTS};

/// The cells of a plane that are not zero, and memory to find them.
#[derive(Debug, Clone, Default)]
pub(super) struct Sparse {
    /// Indices in the plane, and the values there.
    cells: Vec<usize>,
    values: Vec<f64>,
    scaled: Vec<f32>,
    /// The column at work, by row; zeros between two columns.
    column: Vec<f64>,
    /// Rows of it that were written to.
    touched: Vec<usize>,
}

impl Sparse {
    /// Collects the cells of a plane and returns their largest absolute value; `None`, for the
    /// features that are sums over rows.
    pub(super) fn collect(
        &mut self,
        feature: Feature,
        axis: PriceAxis,
        bins: &BinSlice<'_>,
        n_bins: usize,
    ) -> Option<f64> {
        let (px, _) = bins.px.as_chunks::<SLOTS>();
        let (sizes, _) = bins.size.as_chunks::<SLOTS>();
        let columns = px.iter().zip(sizes);
        self.cells.clear();
        self.values.clear();
        self.column.resize(ROWS, 0.0);
        match feature {
            Feature::Volume | Feature::Variance | Feature::TradeCounts => return None,
            Feature::OrderFlowImbalance => {
                for (bin, (before, now)) in columns.clone().zip(columns.skip(1)).enumerate() {
                    self.order_flow(axis, before, now);
                    self.end_column(bin + 1, n_bins);
                }
            }
            Feature::Microprice => {
                for (bin, (px, sizes)) in columns.enumerate() {
                    self.microprice(axis, px, sizes);
                    self.end_column(bin, n_bins);
                }
            }
        }
        Some(self.values.iter().fold(0.0, |largest, value| value.abs().max(largest)))
    }

    /// Scales the cells of a plane whose largest absolute value is `largest`.
    pub(super) fn scale(&mut self, rule: Normalise, largest: f64) {
        self.scaled.resize(self.values.len(), 0.0);
        scale::scale(rule, largest, &self.values, &mut self.scaled);
    }

    /// Writes the plane as it was scaled.
    pub(super) fn paint_scaled<C: Copy>(&self, plane: &mut [C], cell: impl Fn(f32) -> C) {
        plane.fill(cell(0.0));
        for (&idx, &value) in self.cells.iter().zip(&self.scaled) {
            plane[idx] = cell(value);
        }
    }

    /// Writes the plane without scaling.
    pub(super) fn paint(&self, plane: &mut [f64]) {
        plane.fill(0.0);
        for (&idx, &value) in self.cells.iter().zip(&self.values) {
            plane[idx] = value;
        }
    }

    /// Adds to the cell of a price, if it is on the axis.
    fn add(&mut self, axis: PriceAxis, px: i32, value: f64) {
        if let Some(row) = axis.row(px) {
            self.column[row] += value;
            self.touched.push(row);
        }
    }

    fn end_column(&mut self, bin: usize, n_bins: usize) {
        for row in self.touched.drain(..) {
            let value = std::mem::take(&mut self.column[row]);
            if value != 0.0 {
                self.cells.push(row * n_bins + bin);
                self.values.push(value);
            }
        }
    }

    /// What came in minus what went, of the prices that both bins show.
    fn order_flow(
        &mut self,
        axis: PriceAxis,
        before: (&[i32; SLOTS], &[f64; SLOTS]),
        now: (&[i32; SLOTS], &[f64; SLOTS]),
    ) {
        let lowest = deepest_bid(before.0).max(deepest_bid(now.0));
        let highest = deepest_ask(before.0).min(deepest_ask(now.0));
        for ((px, sizes), sign) in [(now, 1.0), (before, -1.0)] {
            for (slot, (&px, &size)) in px.iter().zip(sizes).enumerate() {
                let is_bid = slot < LEVELS;
                let is_known = if is_bid { px >= lowest } else { px <= highest };
                if px != NO_PRICE && is_known {
                    self.add(axis, px, if is_bid { sign * size } else { -sign * size });
                }
            }
        }
    }

    /// One unit, shared by the two prices around the size-weighted mid.
    fn microprice(&mut self, axis: PriceAxis, px: &[i32; SLOTS], sizes: &[f64; SLOTS]) {
        let (bid, ask) = (px[0], px[LEVELS]);
        let (bid_sz, ask_sz) = (sizes[0], sizes[LEVELS]);
        let total_sz = bid_sz + ask_sz;
        if bid == NO_PRICE || ask == NO_PRICE || total_sz <= 0.0 {
            return;
        }
        let microprice = (f64::from(bid) * ask_sz + f64::from(ask) * bid_sz) / total_sz;
        let lower = microprice.floor();
        #[expect(clippy::cast_possible_truncation, reason = "between two prices, which are i32")]
        let lower_px = lower as i32;
        let above = microprice - lower;
        self.add(axis, lower_px, 1.0 - above);
        self.add(axis, lower_px.saturating_add(1), above);
    }
}

/// The lowest price down to which a book shows all bids: any if it has fewer than ten levels.
fn deepest_bid(px: &[i32; SLOTS]) -> i32 {
    let bids = &px[..LEVELS];
    if bids.contains(&NO_PRICE) { i32::MIN } else { bids.iter().copied().fold(i32::MAX, i32::min) }
}

/// The highest price up to which a book shows all asks.
fn deepest_ask(px: &[i32; SLOTS]) -> i32 {
    let asks = &px[LEVELS..];
    if asks.contains(&NO_PRICE) { i32::MAX } else { asks.iter().copied().fold(i32::MIN, i32::max) }
}
