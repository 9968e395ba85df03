//! Laws of the indicators and of the pipeline as a whole.

#![allow(
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "tests with small numbers"
)]

mod look_ahead;
mod pipeline;
mod special;

/// Quotes as owned columns.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    pub(crate) bid_px: Vec<f64>,
    pub(crate) ask_px: Vec<f64>,
    pub(crate) bid_sz: Vec<f64>,
    pub(crate) ask_sz: Vec<f64>,
}

impl Columns {
    pub(crate) fn quotes(&self) -> lob_signals::Quotes<'_> {
        lob_signals::Quotes::new(&self.bid_px, &self.ask_px, &self.bid_sz, &self.ask_sz).unwrap()
    }
}

/// A random walk of whole ticks with random sizes; about one quote in 40 lacks a side.
pub(crate) fn market(n: usize, seed: u64) -> Columns {
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 31)) >> 33
    };
    let mut bid = 4_000.0;
    let mut out = Columns { bid_px: vec![], ask_px: vec![], bid_sz: vec![], ask_sz: vec![] };
    for _ in 0..n {
        bid += 0.25 * (next() % 3) as f64 - 0.25;
        let absent = next() % 40 == 0;
        out.bid_px.push(if absent { f64::NAN } else { bid });
        out.ask_px.push(bid + 0.25 * (next() % 3) as f64);
        out.bid_sz.push((next() % 50) as f64);
        out.ask_sz.push((1 + next() % 50) as f64);
    }
    out
}
