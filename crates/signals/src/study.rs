//! Every indicator under one name, so that tools can be told by text which ones to calculate.

mod spec;
mod stream;

pub use stream::StudyStream;

use crate::bollinger::columns as bollinger_columns;
use crate::{
    Macd, Quotes, SignalError, atr, book_imbalances, ema, ewma_volatility, kyle_lambda,
    microprices, momentum, order_flow_imbalance, queue_imbalances, rate_of_change, rsi, sma,
    spreads, volatility, vwap,
};
use crate::{Quote, error::check_length};

/// An indicator with its settings. Text such as `rsi:14` or `macd:12:26:9` parses to one; a name
/// alone takes the usual settings.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Study {
    /// [`rsi`] of the price over a period.
    Rsi(usize),
    /// [`momentum`] of the price over a period.
    Momentum(usize),
    /// [`rate_of_change`] of the price over a period.
    RateOfChange(usize),
    /// [`volatility`] of the price over a period.
    Volatility(usize),
    /// [`ewma_volatility`] of the price with a decay.
    EwmaVolatility(f64),
    /// [`sma`] of the price over a period.
    Sma(usize),
    /// [`ema`] of the price over a period.
    Ema(usize),
    /// [`crate::macd`] of the price: fast, slow and signal period. Three columns.
    Macd(usize, usize, usize),
    /// [`crate::bollinger`] bands of the price: period and `k`. Three columns.
    Bollinger(usize, f64),
    /// [`atr`] of high, low and price over a period.
    Atr(usize),
    /// [`vwap`] of price and volume over a period.
    Vwap(usize),
    /// [`kyle_lambda`] of the price's changes on signed volume over a period.
    KyleLambda(usize),
    /// [`crate::spread`] of the quote.
    Spread,
    /// [`crate::microprice`] of the quote.
    Microprice,
    /// [`crate::queue_imbalance`] of the quote.
    QueueImbalance,
    /// [`crate::imbalance`] of the sizes displayed on all levels.
    BookImbalance,
    /// [`order_flow_imbalance`] of the quotes.
    OrderFlowImbalance,
}

/// One update with everything a [`Study`] may look at; NaN where a thing is unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tick {
    /// The price that prices are about: a close, a mid, a trade.
    pub price: f64,
    /// Highest price of the bar.
    pub high: f64,
    /// Lowest price of the bar.
    pub low: f64,
    /// Volume traded; 0 where nothing was.
    pub volume: f64,
    /// Volume bought less volume sold by the aggressor.
    pub signed_volume: f64,
    /// Best bid and offer.
    pub quote: Quote,
    /// Size on all bid levels.
    pub bid_depth_sz: f64,
    /// Size on all ask levels.
    pub ask_depth_sz: f64,
}

impl Tick {
    /// A tick of which nothing is known.
    pub const UNKNOWN: Self = Self {
        price: f64::NAN,
        high: f64::NAN,
        low: f64::NAN,
        volume: f64::NAN,
        signed_volume: f64::NAN,
        quote: Quote { bid_px: f64::NAN, ask_px: f64::NAN, bid_sz: f64::NAN, ask_sz: f64::NAN },
        bid_depth_sz: f64::NAN,
        ask_depth_sz: f64::NAN,
    };
}

/// Columns of [`Tick`]s; one that is not there is empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ticks<'a> {
    /// [`Tick::price`].
    pub price: &'a [f64],
    /// [`Tick::high`].
    pub high: &'a [f64],
    /// [`Tick::low`].
    pub low: &'a [f64],
    /// [`Tick::volume`].
    pub volume: &'a [f64],
    /// [`Tick::signed_volume`].
    pub signed_volume: &'a [f64],
    /// Best bid prices.
    pub bid_px: &'a [f64],
    /// Best ask prices.
    pub ask_px: &'a [f64],
    /// Sizes at the best bid.
    pub bid_sz: &'a [f64],
    /// Sizes at the best ask.
    pub ask_sz: &'a [f64],
    /// [`Tick::bid_depth_sz`].
    pub bid_depth_sz: &'a [f64],
    /// [`Tick::ask_depth_sz`].
    pub ask_depth_sz: &'a [f64],
}

impl<'a> Ticks<'a> {
    /// Rows: the length of the longest column.
    #[must_use]
    pub fn len(&self) -> usize {
        let prices = [self.price, self.high, self.low, self.volume, self.signed_volume];
        let book = [self.bid_px, self.ask_px, self.bid_sz, self.ask_sz];
        let depth = [self.bid_depth_sz, self.ask_depth_sz];
        let columns = prices.into_iter().chain(book).chain(depth);
        columns.map(<[f64]>::len).max().unwrap_or(0)
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ticks one by one; a column that is not there is NaN throughout.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Tick> + 'a {
        let columns = *self;
        let at = |column: &[f64], i: usize| column.get(i).copied().unwrap_or(f64::NAN);
        (0..self.len()).map(move |i| Tick {
            price: at(columns.price, i),
            high: at(columns.high, i),
            low: at(columns.low, i),
            volume: at(columns.volume, i),
            signed_volume: at(columns.signed_volume, i),
            quote: Quote {
                bid_px: at(columns.bid_px, i),
                ask_px: at(columns.ask_px, i),
                bid_sz: at(columns.bid_sz, i),
                ask_sz: at(columns.ask_sz, i),
            },
            bid_depth_sz: at(columns.bid_depth_sz, i),
            ask_depth_sz: at(columns.ask_depth_sz, i),
        })
    }

    pub(crate) fn quotes(&self) -> Result<Quotes<'a>, SignalError> {
        Quotes::new(self.bid_px, self.ask_px, self.bid_sz, self.ask_sz)
    }

    /// Refuses a column that is shorter than the others, the absent one above all.
    fn must_have(&self, needed: &[(&'static str, &[f64])]) -> Result<(), SignalError> {
        needed.iter().try_for_each(|(what, column)| check_length(what, self.len(), column.len()))
    }
}

impl Study {
    /// The indicator over whole columns, by the slice functions: one vector for each of
    /// [`columns`](Self::columns), each as long as `ticks`.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] for settings out of range, [`SignalError::Length`] for a column
    /// that is absent or short.
    pub fn series(&self, ticks: &Ticks<'_>) -> Result<Vec<Vec<f64>>, SignalError> {
        self.check_columns(ticks)?;
        let one = |values: Vec<f64>| Ok(vec![values]);
        match *self {
            Self::Rsi(period) => one(rsi(ticks.price, period)?),
            Self::Momentum(period) => one(momentum(ticks.price, period)?),
            Self::RateOfChange(period) => one(rate_of_change(ticks.price, period)?),
            Self::Volatility(period) => one(volatility(ticks.price, period)?),
            Self::EwmaVolatility(lambda) => one(ewma_volatility(ticks.price, lambda)?),
            Self::Sma(period) => one(sma(ticks.price, period)?),
            Self::Ema(period) => one(ema(ticks.price, period)?),
            Self::Macd(fast, slow, signal) => {
                let mut twin = Macd::new(fast, slow, signal)?;
                Ok(three(ticks.price, |price| {
                    let v = twin.update(price);
                    [v.line, v.signal, v.histogram]
                }))
            }
            Self::Bollinger(period, k) => Ok(bollinger_columns(ticks.price, period, k)?.into()),
            Self::Atr(period) => one(atr(ticks.high, ticks.low, ticks.price, period)?),
            Self::Vwap(period) => one(vwap(ticks.price, ticks.volume, period)?),
            Self::KyleLambda(period) => {
                one(kyle_lambda(&momentum(ticks.price, 1)?, ticks.signed_volume, period)?)
            }
            Self::Spread => one(spreads(ticks.quotes()?)),
            Self::Microprice => one(microprices(ticks.quotes()?)),
            Self::QueueImbalance => one(queue_imbalances(ticks.quotes()?)),
            Self::BookImbalance => one(book_imbalances(ticks.bid_depth_sz, ticks.ask_depth_sz)?),
            Self::OrderFlowImbalance => one(order_flow_imbalance(ticks.quotes()?)),
        }
    }

    pub(crate) fn check_columns(&self, ticks: &Ticks<'_>) -> Result<(), SignalError> {
        let price = ("the price column", ticks.price);
        match self {
            Self::Atr(_) => ticks.must_have(&[
                ("the high column", ticks.high),
                ("the low column", ticks.low),
                price,
            ]),
            Self::Vwap(_) => ticks.must_have(&[price, ("the volume column", ticks.volume)]),
            Self::KyleLambda(_) => {
                ticks.must_have(&[price, ("the signed volume column", ticks.signed_volume)])
            }
            Self::Spread | Self::Microprice | Self::QueueImbalance | Self::OrderFlowImbalance => {
                ticks.must_have(&[("the bid price column", ticks.bid_px)])
            }
            Self::BookImbalance => ticks.must_have(&[("the bid depth column", ticks.bid_depth_sz)]),
            _ => ticks.must_have(&[price]),
        }
    }
}

/// Three columns at once, without a column of triples in between.
fn three(prices: &[f64], mut f: impl FnMut(f64) -> [f64; 3]) -> Vec<Vec<f64>> {
    let mut columns = [(); 3].map(|()| vec![f64::NAN; prices.len()]);
    let [a, b, c] = &mut columns;
    for (((price, a), b), c) in prices.iter().zip(a).zip(b).zip(c) {
        [*a, *b, *c] = f(*price);
    }
    columns.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_column_is_named() {
        let ticks = Ticks { price: &[1.0, 2.0], ..Ticks::default() };
        let message = |study: Study| study.series(&ticks).unwrap_err().to_string();
        assert_eq!(message(Study::Atr(2)), "the high column has 0 values, expected 2");
        assert_eq!(
            message(Study::KyleLambda(2)),
            "the signed volume column has 0 values, expected 2"
        );
        assert_eq!(message(Study::Spread), "the bid price column has 0 values, expected 2");
        assert_eq!(message(Study::BookImbalance), "the bid depth column has 0 values, expected 2");
        assert!(Study::Sma(2).series(&Ticks::default()).unwrap()[0].is_empty());
    }
}
