//! Laws of the indicators and of the pipeline as a whole.

#![allow(
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_possible_truncation,
    reason = "tests with small numbers"
)]

mod batch;
mod golden;
mod look_ahead;
mod pipeline;
mod quiet;
mod special;
mod studies;
#[cfg(feature = "burn")]
mod tensor;

use lob_signals::{Quote, Tick, Ticks};

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

/// Ticks as owned columns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    ticks: Vec<Tick>,
    columns: [Vec<f64>; 11],
}

impl Table {
    pub(crate) fn rows(n: usize, tick: impl Fn(usize) -> Tick) -> Self {
        let ticks: Vec<Tick> = (0..n).map(tick).collect();
        let parts: [fn(&Tick) -> f64; 11] = [
            |t| t.price,
            |t| t.high,
            |t| t.low,
            |t| t.volume,
            |t| t.signed_volume,
            |t| t.quote.bid_px,
            |t| t.quote.ask_px,
            |t| t.quote.bid_sz,
            |t| t.quote.ask_sz,
            |t| t.bid_depth_sz,
            |t| t.ask_depth_sz,
        ];
        let columns = parts.map(|part| ticks.iter().map(part).collect());
        Self { ticks, columns }
    }

    /// A bar and a quote at `price` with a spread of 1, `bid_sz` bid and 10 offered.
    pub(crate) fn tick(price: f64, bid_sz: f64) -> Tick {
        Tick {
            price,
            high: price + 0.5,
            low: price - 0.5,
            volume: 7.0,
            signed_volume: if bid_sz == 30.0 { 3.0 } else { bid_sz - 21.0 },
            quote: Quote { bid_px: price - 0.5, ask_px: price + 0.5, bid_sz, ask_sz: 10.0 },
            bid_depth_sz: 3.0 * bid_sz,
            ask_depth_sz: 30.0,
        }
    }

    /// A random market without gaps.
    pub(crate) fn random(n: usize, seed: u64) -> Self {
        let mut next = generator(seed);
        let mut price = 4_000.0;
        let ticks: Vec<Tick> = (0..n)
            .map(|_| {
                price += 0.25 * (next() % 5) as f64 - 0.5;
                let mut size = || (1 + next() % 50) as f64;
                let quote = Quote {
                    bid_px: price - 0.25,
                    ask_px: price + 0.25 * (1.0 + size() % 2.0),
                    bid_sz: size(),
                    ask_sz: size(),
                };
                Tick {
                    price,
                    high: price + 0.01 * size(),
                    low: price - 0.01 * size(),
                    volume: size(),
                    signed_volume: size() - 25.0,
                    quote,
                    bid_depth_sz: quote.bid_sz + size(),
                    ask_depth_sz: quote.ask_sz + size(),
                }
            })
            .collect();
        Self::rows(n, |i| ticks[i])
    }

    pub(crate) fn at(&self, i: usize) -> Tick {
        self.ticks[i]
    }

    pub(crate) fn ticks(&self) -> Ticks<'_> {
        let [price, high, low, volume, signed_volume, bid_px, ask_px, bid_sz, ask_sz, bid, ask] =
            &self.columns;
        Ticks {
            price,
            high,
            low,
            volume,
            signed_volume,
            bid_px,
            ask_px,
            bid_sz,
            ask_sz,
            bid_depth_sz: bid,
            ask_depth_sz: ask,
        }
    }
}

/// SplitMix64, 31 bits at a time.
fn generator(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 31)) >> 33
    }
}

/// A random walk of whole ticks with random sizes; about one quote in 40 lacks a side.
pub(crate) fn market(n: usize, seed: u64) -> Columns {
    let mut next = generator(seed);
    let mut bid = 4_000.0;
    let mut out = Columns { bid_px: vec![], ask_px: vec![], bid_sz: vec![], ask_sz: vec![] };
    for _ in 0..n {
        bid += 0.25 * (next() % 3) as f64 - 0.25;
        let absent = next().is_multiple_of(40);
        out.bid_px.push(if absent { f64::NAN } else { bid });
        out.ask_px.push(bid + 0.25 * (next() % 3) as f64);
        out.bid_sz.push((next() % 50) as f64);
        out.ask_sz.push((1 + next() % 50) as f64);
    }
    out
}
