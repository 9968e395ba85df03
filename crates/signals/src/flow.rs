use crate::book::{Quote, Quotes};

/// Order-flow imbalance, streaming twin of [`order_flow_imbalance`].
#[derive(Debug, Clone, Default)]
pub struct OrderFlow {
    previous: Option<Quote>,
}

impl OrderFlow {
    /// No quote seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next quote.
    #[inline]
    pub fn update(&mut self, quote: Quote) -> f64 {
        let Some(old) = self.previous.replace(quote) else { return f64::NAN };
        between(old, quote)
    }
}

/// The flow from one quote to the next; NaN unless both are whole.
#[inline]
pub(crate) fn between(old: Quote, new: Quote) -> f64 {
    let Quote { bid_px, ask_px, bid_sz, ask_sz } = new;
    let sum = bid_px + ask_px + bid_sz + ask_sz;
    let old_sum = old.bid_px + old.ask_px + old.bid_sz + old.ask_sz;
    let when = |condition: bool, size: f64| if condition { size } else { 0.0 };
    let flow = when(bid_px >= old.bid_px, bid_sz)
        - when(bid_px <= old.bid_px, old.bid_sz)
        - when(ask_px <= old.ask_px, ask_sz)
        + when(ask_px >= old.ask_px, old.ask_sz);
    if sum.is_finite() && old_sum.is_finite() { flow } else { f64::NAN }
}

/// Order-flow imbalance of each quote update, in size units (Cont, Kukanov and Stoikov, 2014,
/// equation 4): size added at or above the bid and taken from the ask, less the opposite.
///
/// The first value is null, and so is one whose quote or predecessor lacks a side. Sum over a
/// span for the imbalance of that span.
#[must_use]
pub fn order_flow_imbalance(quotes: Quotes<'_>) -> Vec<f64> {
    let mut out = Vec::with_capacity(quotes.len());
    out.extend(quotes.iter().next().map(|_| f64::NAN));
    // Each quote beside its predecessor, with no state between: vector code.
    let later = quotes.slice(out.len()..quotes.len());
    out.extend(quotes.iter().zip(later.iter()).map(|(old, new)| between(old, new)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indicator::tests::{NULL, check};

    #[test]
    fn hand_computed() {
        let rows = [
            (10.0, 12.0, 5.0, 7.0),
            (10.0, 12.0, 8.0, 7.0), // three more bid
            (11.0, 12.0, 2.0, 7.0), // better bid of 2
            (10.0, 12.0, 4.0, 7.0), // bid of 2 gone
            (10.0, 11.0, 4.0, 3.0), // better ask of 3
            (10.0, 13.0, 4.0, 9.0), // ask of 3 gone
            (NULL, 13.0, 4.0, 9.0),
            (10.0, 13.0, 4.0, 9.0),
            (10.0, 13.0, 4.0, 9.0),
        ];
        let column = |f: fn(&(f64, f64, f64, f64)) -> f64| rows.iter().map(f).collect::<Vec<_>>();
        let (bid, ask) = (column(|r| r.0), column(|r| r.1));
        let (bid_sz, ask_sz) = (column(|r| r.2), column(|r| r.3));
        let quotes = Quotes::new(&bid, &ask, &bid_sz, &ask_sz).unwrap();
        let expected = [NULL, 3.0, 2.0, -2.0, -3.0, 3.0, NULL, NULL, 0.0];
        check(&order_flow_imbalance(quotes), &expected);
        check(&order_flow_imbalance(quotes.first(1)), &[NULL]);
        check(&order_flow_imbalance(quotes.first(0)), &[]);
    }
}
