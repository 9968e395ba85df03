use crate::SignalError;
use crate::error::check_length;
use crate::indicator::finite_or_null;

/// The best bid and offer at one moment; NaN marks an absent side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quote {
    /// Best bid price.
    pub bid_px: f64,
    /// Best ask price.
    pub ask_px: f64,
    /// Size at the best bid.
    pub bid_sz: f64,
    /// Size at the best ask.
    pub ask_sz: f64,
}

impl Quote {
    /// Mean of the two prices; NaN when a side is absent.
    #[must_use]
    pub fn mid(&self) -> f64 {
        0.5 * (self.bid_px + self.ask_px)
    }
}

/// Columns of quotes, all of one length.
#[derive(Debug, Clone, Copy)]
pub struct Quotes<'a> {
    bid_px: &'a [f64],
    ask_px: &'a [f64],
    bid_sz: &'a [f64],
    ask_sz: &'a [f64],
}

impl<'a> Quotes<'a> {
    /// Joins four columns.
    ///
    /// # Errors
    /// [`SignalError::Length`] when they differ in length.
    pub fn new(
        bid_px: &'a [f64],
        ask_px: &'a [f64],
        bid_sz: &'a [f64],
        ask_sz: &'a [f64],
    ) -> Result<Self, SignalError> {
        check_length("the ask price column", bid_px.len(), ask_px.len())?;
        check_length("the bid size column", bid_px.len(), bid_sz.len())?;
        check_length("the ask size column", bid_px.len(), ask_sz.len())?;
        Ok(Self { bid_px, ask_px, bid_sz, ask_sz })
    }

    /// Number of quotes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bid_px.len()
    }

    /// Whether there is no quote.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bid_px.is_empty()
    }

    /// The first `n` quotes, or all of them.
    #[must_use]
    pub fn first(&self, n: usize) -> Self {
        let n = n.min(self.len());
        Self {
            bid_px: &self.bid_px[..n],
            ask_px: &self.ask_px[..n],
            bid_sz: &self.bid_sz[..n],
            ask_sz: &self.ask_sz[..n],
        }
    }

    /// The quotes of a range of places.
    ///
    /// # Panics
    /// When the range does not lie within the quotes, as slices do.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        Self {
            bid_px: &self.bid_px[range.clone()],
            ask_px: &self.ask_px[range.clone()],
            bid_sz: &self.bid_sz[range.clone()],
            ask_sz: &self.ask_sz[range],
        }
    }

    /// The quotes in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Quote> + 'a {
        let Self { bid_px, ask_px, bid_sz, ask_sz } = *self;
        let columns = bid_px.iter().zip(ask_px).zip(bid_sz.iter().zip(ask_sz));
        columns.map(|((&bid_px, &ask_px), (&bid_sz, &ask_sz))| Quote {
            bid_px,
            ask_px,
            bid_sz,
            ask_sz,
        })
    }
}

/// Micro-price `(bid · ask size + ask · bid size) / (bid size + ask size)`: the mid, drawn to the
/// side that is about to give way (Gatheral and Oomen, 2010).
///
/// Null when a side is absent or both sizes are 0.
#[inline]
#[must_use]
pub fn microprice(quote: Quote) -> f64 {
    let Quote { bid_px, ask_px, bid_sz, ask_sz } = quote;
    let total = bid_sz + ask_sz;
    finite_or_null((bid_px * ask_sz + ask_px * bid_sz) / total)
}

/// Micro-price of every quote, see [`microprice`].
#[must_use]
pub fn microprices(quotes: Quotes<'_>) -> Vec<f64> {
    quotes.iter().map(microprice).collect()
}

/// Quoted spread of every quote, see [`spread`].
#[must_use]
pub fn spreads(quotes: Quotes<'_>) -> Vec<f64> {
    quotes.iter().map(spread).collect()
}

/// Queue imbalance of every quote, see [`queue_imbalance`].
#[must_use]
pub fn queue_imbalances(quotes: Quotes<'_>) -> Vec<f64> {
    quotes.iter().map(queue_imbalance).collect()
}

/// Order-book imbalance of every row from the sizes displayed on all levels, see [`imbalance`].
///
/// # Errors
/// [`SignalError::Length`] when the columns differ in length.
pub fn book_imbalances(
    bid_depth_sz: &[f64],
    ask_depth_sz: &[f64],
) -> Result<Vec<f64>, SignalError> {
    check_length("the ask depth column", bid_depth_sz.len(), ask_depth_sz.len())?;
    Ok(bid_depth_sz.iter().zip(ask_depth_sz).map(|(&bid, &ask)| imbalance(bid, ask)).collect())
}

/// Queue imbalance: [`imbalance`] of the sizes at the best prices (Gould and Bonart, 2016).
///
/// Null when a size is missing or both are 0.
#[inline]
#[must_use]
pub fn queue_imbalance(quote: Quote) -> f64 {
    imbalance(quote.bid_sz, quote.ask_sz)
}

/// Imbalance `(bid - ask) / (bid + ask)` of two sizes, `-1..=1`: the queue imbalance for sizes at
/// the best prices, the order-book imbalance for sums over levels (Cartea, Donnelly and Jaimungal,
/// 2018).
///
/// Null when a size is missing or both are 0.
#[inline]
#[must_use]
pub fn imbalance(bid_sz: f64, ask_sz: f64) -> f64 {
    finite_or_null((bid_sz - ask_sz) / (bid_sz + ask_sz))
}

/// Quoted spread `ask - bid` (Harris, *Trading and Exchanges*, 2003, chapter 14), negative in a
/// crossed book; null when a side is absent.
#[inline]
#[must_use]
pub fn spread(quote: Quote) -> f64 {
    finite_or_null(quote.ask_px - quote.bid_px)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quote(bid_px: f64, ask_px: f64, bid_sz: f64, ask_sz: f64) -> Quote {
        Quote { bid_px, ask_px, bid_sz, ask_sz }
    }

    #[test]
    fn hand_computed() {
        let q = quote(99.0, 101.0, 30.0, 10.0);
        assert_eq!(q.mid(), 100.0);
        assert_eq!(spread(q), 2.0);
        assert_eq!(microprice(q), 100.5);
        assert_eq!(imbalance(30.0, 10.0), 0.5);
    }

    #[test]
    fn absent_sides_and_empty_books_are_null() {
        for q in [
            quote(f64::NAN, 101.0, 1.0, 1.0),
            quote(99.0, 101.0, 0.0, 0.0),
            quote(99.0, 101.0, f64::NAN, 1.0),
        ] {
            assert!(microprice(q).is_nan());
        }
        assert!(imbalance(0.0, 0.0).is_nan() && imbalance(f64::INFINITY, 1.0).is_nan());
        assert!(Quotes::new(&[1.0], &[], &[1.0], &[1.0]).is_err());
        assert!(Quotes::new(&[], &[], &[], &[]).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn bounds_hold(bid in 1.0..1e4, spread in 0.0..10.0, a in 0.1..1e5, b in 0.1..1e5) {
            let q = quote(bid, bid + spread, a, b);
            prop_assert!(microprice(q) >= bid - 1e-9 && microprice(q) <= bid + spread + 1e-9);
            prop_assert!(imbalance(a, b).abs() <= 1.0);
        }
    }
}
