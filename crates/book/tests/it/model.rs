//! The replay equals a model that keeps a plain list of orders and recounts every level each time.

use dbn::{BidAskPair, FlagSet, MboMsg, UNDEF_PRICE};
use lob_book::Replayer;
use proptest::prelude::*;

use crate::support::mbo;

/// Orders as `(id, is_bid, price, size)`; id `None` is a top-of-book quote.
#[derive(Default)]
struct Model {
    orders: Vec<(Option<u64>, bool, i64, u32)>,
}

impl Model {
    fn apply(&mut self, msg: &MboMsg) {
        let known = self.orders.iter().position(|order| order.0 == Some(msg.order_id));
        let is_bid = msg.side == b'B'.cast_signed();
        let has_side = msg.side != b'N'.cast_signed();
        match (msg.action.cast_unsigned(), known) {
            (b'R', _) => self.orders.clear(),
            (b'C', Some(at)) => {
                self.orders[at].3 = self.orders[at].3.saturating_sub(msg.size);
                self.orders.retain(|order| order.3 > 0);
            }
            (b'M', Some(at)) if has_side => {
                self.orders.remove(at);
                self.rest(msg, is_bid);
            }
            (b'A', _) if has_side && msg.flags.is_tob() => {
                self.orders.retain(|order| order.1 != is_bid);
                if msg.price != UNDEF_PRICE && msg.size > 0 {
                    self.orders.push((None, is_bid, msg.price, msg.size));
                }
            }
            (b'M', None) if has_side && msg.flags.is_tob() => {
                self.orders.retain(|order| order.1 != is_bid);
                if msg.price != UNDEF_PRICE && msg.size > 0 {
                    self.orders.push((None, is_bid, msg.price, msg.size));
                }
            }
            (b'A' | b'M', _) if has_side && msg.price != UNDEF_PRICE && msg.size > 0 => {
                self.orders.retain(|order| order.0 != Some(msg.order_id));
                self.rest(msg, is_bid);
            }
            _ => {}
        }
    }

    fn rest(&mut self, msg: &MboMsg, is_bid: bool) {
        if msg.price != UNDEF_PRICE && msg.size > 0 {
            self.orders.push((Some(msg.order_id), is_bid, msg.price, msg.size));
        }
    }

    fn levels(&self) -> Vec<BidAskPair> {
        let side = |wanted: bool| {
            let mut prices: Vec<i64> =
                self.orders.iter().filter(|o| o.1 == wanted).map(|o| o.2).collect();
            prices.sort_unstable();
            prices.dedup();
            if wanted {
                prices.reverse();
            }
            prices
        };
        let (bids, asks) = (side(true), side(false));
        let sum = |is_bid: bool, price: i64| {
            let at_level = self.orders.iter().filter(|o| o.1 == is_bid && o.2 == price);
            let size: u64 = at_level.clone().map(|o| u64::from(o.3)).sum();
            let count = at_level.filter(|o| o.0.is_some()).count();
            (u32::try_from(size).unwrap_or(u32::MAX), u32::try_from(count).unwrap())
        };
        let view = |is_bid: bool, price: Option<&i64>| match price {
            Some(&price) => (price, sum(is_bid, price).0, sum(is_bid, price).1),
            None => (UNDEF_PRICE, 0, 0),
        };
        (0..10)
            .map(|depth| {
                let (bid_px, bid_sz, bid_ct) = view(true, bids.get(depth));
                let (ask_px, ask_sz, ask_ct) = view(false, asks.get(depth));
                BidAskPair { bid_px, ask_px, bid_sz, ask_sz, bid_ct, ask_ct }
            })
            .collect()
    }
}

/// Few ids and prices, so that orders meet; all sorts of nonsense among them.
fn record() -> impl Strategy<Value = MboMsg> {
    let action = prop_oneof![
        40 => Just('A'), 25 => Just('C'), 20 => Just('M'), 5 => Just('T'), 4 => Just('F'),
        2 => Just('N'), 1 => Just('R'),
    ];
    let side = prop_oneof![10 => Just('B'), 10 => Just('A'), 1 => Just('N')];
    let price = prop_oneof![30 => -16..16i64, 1 => Just(UNDEF_PRICE), 1 => Just(i64::MIN)];
    let size = prop_oneof![20 => 1..9u32, 2 => Just(0), 1 => Just(u32::MAX)];
    let is_quote = prop::bool::weighted(0.02);
    (action, side, 0..40u64, price, size, is_quote).prop_map(
        |(action, side, order_id, price, size, is_quote)| {
            let mut record = mbo(action, side, order_id, price, size);
            if is_quote {
                record.flags = FlagSet::empty().set_tob();
            }
            record
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn replay_equals_the_model(records in prop::collection::vec(record(), 1..250)) {
        let (mut replayer, mut model) = (Replayer::new(), Model::default());
        for record in &records {
            let before = model.levels();
            model.apply(record);
            let after = model.levels();
            let update = replayer.push(record).unwrap();
            let book = replayer.book(1, 1).unwrap();
            prop_assert_eq!(&book.levels()[..], &after[..]);
            let orders = model.orders.iter().filter(|order| order.0.is_some()).count();
            prop_assert_eq!(book.n_orders(), orders);

            let action = record.action.cast_unsigned();
            let is_trade = action == b'T' && record.size > 0;
            let emits = before != after || is_trade || action == b'R';
            prop_assert_eq!(update.is_some(), emits);
            let Some(update) = update else { continue };
            prop_assert_eq!(&update.levels[..], &after[..]);
            let first = before.iter().zip(&after).position(|(old, new)| old != new);
            let depth = if is_trade || action == b'R' { 0 } else { first.unwrap() };
            prop_assert_eq!(usize::from(update.depth), depth);
        }
        prop_assert_eq!(replayer.stats().records, records.len() as u64);
    }
}
