//! The best quotes of the busiest instrument, one a book update.

use anyhow::{Context, Result};
use lob_convert::RecordStream;
use lob_depth::{PRICE_SCALE, UNDEF_PRICE};

use super::Bench;

/// Most updates kept: enough for steady figures, bounded whatever the input.
const MAX_QUOTES: usize = 1_000_000;

/// Columns of one length.
#[derive(Debug, Default)]
pub(super) struct QuoteColumns {
    pub(super) bid_px: Vec<f64>,
    pub(super) ask_px: Vec<f64>,
    pub(super) bid_sz: Vec<f64>,
    pub(super) ask_sz: Vec<f64>,
}

impl QuoteColumns {
    /// Mid prices.
    pub(super) fn mids(&self) -> Vec<f64> {
        self.bid_px.iter().zip(&self.ask_px).map(|(bid, ask)| f64::midpoint(*bid, *ask)).collect()
    }
}

/// Decodes the inputs again and keeps the updates of `instrument_id` that have both sides.
pub(super) fn of_instrument(bench: &Bench<'_>, instrument_id: u32) -> Result<QuoteColumns> {
    let mut quotes = QuoteColumns::default();
    for path in &bench.state.dbn {
        let mut stream = RecordStream::open_unhashed(path)?;
        while let Some(update) = stream.next()? {
            if update.hd.instrument_id != instrument_id {
                continue;
            }
            let best = &update.levels[0];
            if best.bid_px == UNDEF_PRICE || best.ask_px == UNDEF_PRICE {
                continue;
            }
            quotes.bid_px.push(best.bid_px as f64 / PRICE_SCALE as f64);
            quotes.ask_px.push(best.ask_px as f64 / PRICE_SCALE as f64);
            quotes.bid_sz.push(f64::from(best.bid_sz));
            quotes.ask_sz.push(f64::from(best.ask_sz));
            if quotes.bid_px.len() == MAX_QUOTES {
                return Ok(quotes);
            }
        }
    }
    Ok(quotes)
}

/// The instrument with the most bins in the store: its id and symbol.
pub(super) fn busiest(bench: &Bench<'_>) -> Result<(u32, String)> {
    let store = lob_store::Store::open(bench.store()?)?;
    let file = store.files().iter().max_by_key(|f| f.len()).context("the store is empty")?;
    Ok((file.meta().instrument_id, file.meta().symbol.clone()))
}
