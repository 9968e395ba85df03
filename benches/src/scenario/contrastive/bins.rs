//! A store file as training input.

use anyhow::Result;
use lob_depth::{BinColumns, LEVELS, NO_PRICE, SLOTS};
use lob_store::BinFile;

/// Values of a bin that the encoder sees.
pub(super) const CHANNELS: usize = 8;

/// The mid of every row in price steps; NaN where a side is absent.
pub(super) fn mids(file: &BinFile) -> Result<Vec<f64>> {
    let mut columns = BinColumns::default();
    file.read(0..file.len(), &mut columns)?;
    let both = columns.last_bid.iter().zip(&columns.last_ask);
    Ok(both
        .map(|(&bid, &ask)| {
            let is_whole = bid != NO_PRICE && ask != NO_PRICE;
            if is_whole { (f64::from(bid) + f64::from(ask)) / 2.0 } else { f64::NAN }
        })
        .collect())
}

/// Bins that have both sides, as rows of channels.
pub(super) struct Bins {
    /// Rows x [`CHANNELS`].
    pub(super) channels: Vec<f32>,
    pub(super) segments: Vec<u32>,
    /// Mid of each row in price steps.
    pub(super) mid_steps: Vec<f64>,
}

impl Bins {
    /// Reads the bins that have both sides; a one-sided one ends a segment, so that no window
    /// runs over it.
    pub(super) fn read(file: &BinFile) -> Result<Self> {
        let mut columns = BinColumns::default();
        file.read(0..file.len(), &mut columns)?;
        let stored = file.labels(0..file.len())?.segment;
        let mut bins = Self { channels: Vec::new(), segments: Vec::new(), mid_steps: Vec::new() };
        let (mut breaks, mut previous): (u32, Option<(u32, f64)>) = (0, None);
        for (row, &segment) in stored.iter().enumerate() {
            let (bid, ask) = (columns.last_bid[row], columns.last_ask[row]);
            if bid == NO_PRICE || ask == NO_PRICE {
                previous = None;
                continue;
            }
            let mid = (f64::from(bid) + f64::from(ask)) / 2.0;
            let before = previous.filter(|(s, _)| *s == segment).map(|(_, mid)| mid);
            if before.is_none() {
                breaks += 1;
            }
            let change = mid - before.unwrap_or(mid);
            bins.channels.extend(channels(&columns, row, f64::from(ask) - f64::from(bid), change));
            bins.segments.push(breaks);
            bins.mid_steps.push(mid);
            previous = Some((segment, mid));
        }
        Ok(bins)
    }
}

/// Level sizes are compared as logarithms, so that one scale serves thin and deep books.
#[expect(clippy::cast_possible_truncation, reason = "features are f32")]
fn channels(columns: &BinColumns, row: usize, spread: f64, change: f64) -> [f32; CHANNELS] {
    let sizes = &columns.size[row * SLOTS..(row + 1) * SLOTS];
    let counts = &columns.count[row * SLOTS..(row + 1) * SLOTS];
    let variances = &columns.variance[row * SLOTS..(row + 1) * SLOTS];
    let (bids, asks) = sizes.split_at(LEVELS);
    let (near_bid, near_ask) = (bids[0], asks[0]);
    let (deep_bid, deep_ask): (f64, f64) = (bids.iter().sum(), asks.iter().sum());
    let lean = |bid: f64, ask: f64| (bid - ask) / (bid + ask).max(1.0);
    [
        change,
        spread,
        lean(near_bid, near_ask),
        lean(deep_bid, deep_ask),
        (near_bid + near_ask).ln_1p(),
        (deep_bid + deep_ask).ln_1p(),
        counts.iter().sum::<f64>().ln_1p(),
        variances.iter().sum::<f64>().ln_1p(),
    ]
    .map(|v| v as f32)
}
