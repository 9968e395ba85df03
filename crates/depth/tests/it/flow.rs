//! Order flow: cases computed by hand, and any stream against the definition written out.

use lob_depth::{
    Action, Bin, BinBuilder, BinRule, Event, EventCounts, LEVELS, Level, OrderFlow, PriceStep,
    Side, SizeAggregate, UNDEF_PRICE, UpdateMeta,
};
use proptest::prelude::*;

const STEP: i64 = 10_000;

fn builder(n: u32) -> BinBuilder {
    let step = PriceStep::new(STEP).expect("positive");
    BinBuilder::new(BinRule::Updates(n), SizeAggregate::Median, step).expect("valid")
}

/// A book of one level; prices in steps, `None` for an absent side.
fn touch(bid: Option<(i64, u32)>, ask: Option<(i64, u32)>) -> [Level; LEVELS] {
    let mut book = [Level::EMPTY; LEVELS];
    // What an absent level bears as size is no size.
    (book[0].bid_sz, book[0].ask_sz) = (99, 99);
    if let Some((px, size)) = bid {
        (book[0].bid_px, book[0].bid_sz, book[0].bid_ct) = (px * STEP, size, 1);
    }
    if let Some((px, size)) = ask {
        (book[0].ask_px, book[0].ask_sz, book[0].ask_ct) = (px * STEP, size, 2);
    }
    book
}

fn event(action: Action, side: Side, traded_size: u32) -> UpdateMeta {
    UpdateMeta { traded_size, event: Event { action, side }, ..UpdateMeta::default() }
}

/// Imbalance of the touch over these books.
fn imbalance(books: &[[Level; LEVELS]]) -> i64 {
    let mut builder = builder(u32::MAX);
    for book in books {
        assert_eq!(builder.push(UpdateMeta::default(), book), Ok(None));
    }
    let flow = builder.finish().expect("updates").flow.expect("few updates");
    assert_eq!(flow.imbalance[1..], [0; LEVELS - 1]);
    flow.imbalance[0]
}

#[test]
fn imbalance_by_hand() {
    let quote = |bid, bid_sz, ask, ask_sz| touch(Some((bid, bid_sz)), Some((ask, ask_sz)));
    let base = quote(100, 5, 101, 7);
    // The first update of a segment adds nothing, nor does one that changes nothing.
    assert_eq!(imbalance(&[base]), 0);
    assert_eq!(imbalance(&[base, base]), 0);
    for (next, expected) in [
        (quote(100, 8, 101, 7), 3),
        (quote(100, 1, 101, 7), -4),
        (quote(100, 5, 101, 9), -2),
        (quote(100, 5, 101, 1), 6),
        // A better bid counts whole, a worse one takes the old whole.
        (quote(101, 3, 102, 7), 3 + 7),
        (quote(99, 20, 101, 7), -5),
        (quote(100, 5, 100, 4), -4),
        (quote(100, 5, 103, 20), 7),
        // Levels that vanish.
        (touch(None, Some((101, 7))), -5),
        (touch(Some((100, 5)), None), 7),
        (touch(None, None), -5 + 7),
    ] {
        assert_eq!(imbalance(&[base, next]), expected, "{next:?}");
    }
    // Levels that appear, below zero too.
    assert_eq!(imbalance(&[touch(None, None), base]), 5 - 7);
    assert_eq!(imbalance(&[touch(None, Some((-4, 2))), quote(-9, 5, -4, 2)]), 5);
    let most = u32::MAX;
    let up_and_down =
        [quote(100, most, 101, 1), quote(101, most, 102, 1), quote(100, most, 101, 1)];
    assert_eq!(imbalance(&up_and_down), i64::from(most) + 1 - i64::from(most) - 1);
}

/// A level that is off the bounds is absent, and so is a price that no axis has.
#[test]
fn a_quote_that_is_no_price_is_absent() {
    let mut builder = builder(u32::MAX);
    let with = |bid| touch(Some((bid, 5)), Some((110, 3)));
    builder.set_price_bounds(50 * STEP, 200 * STEP);
    for bid in [100, 1, 2, 100, 1 << 40] {
        builder.push(UpdateMeta::default(), &with(bid)).expect("valid");
    }
    let flow = builder.finish().expect("updates").flow.expect("known");
    assert_eq!(flow.imbalance[0], -5 + 5 - 5);
    assert_eq!((flow.queue_imbalance, flow.microprice_deviation), (None, None));
}

#[test]
fn a_segment_begins_from_nothing() {
    let mut builder = builder(2);
    let books = [3, 4, 9, 2, 8].map(|size| touch(Some((100, size)), Some((101, 1))));
    let mut flows = Vec::new();
    let flow = |bin: Option<Bin>| bin.map(|bin| bin.flow.expect("known").imbalance[0]);
    for (n, book) in books.iter().enumerate() {
        flows.extend(flow(builder.push(UpdateMeta::default(), book).expect("valid")));
        if n == 3 {
            // Right at the end of a bin: nothing is open, and yet the segment is over.
            assert_eq!(builder.finish(), None);
        }
    }
    flows.extend(flow(builder.finish()));
    // 3 to 4; 4 to 9 and 9 to 2; and 8, which has none before it.
    assert_eq!(flows, [1, 5 - 7, 0]);
}

#[test]
fn events_by_hand() {
    let book = touch(Some((100, 6)), Some((102, 2)));
    let run = |events: &[UpdateMeta], noted: Option<EventCounts>| {
        let mut builder = builder(u32::MAX);
        for (n, meta) in events.iter().enumerate() {
            if let (1, Some(noted)) = (n, &noted) {
                builder.note(noted);
                builder.note(noted);
            }
            builder.push(*meta, &book).expect("valid");
        }
        builder.finish().expect("updates").flow.expect("known")
    };
    let some = [
        event(Action::Trade, Side::Bid, 5),
        event(Action::Trade, Side::Ask, 9),
        event(Action::Trade, Side::Ask, 1),
        event(Action::Trade, Side::None, 100),
        event(Action::Add, Side::Bid, 0),
        event(Action::Cancel, Side::Ask, 0),
        event(Action::Cancel, Side::Ask, 0),
        event(Action::Modify, Side::Bid, 0),
        event(Action::Other, Side::None, 0),
    ];
    let expected = OrderFlow {
        imbalance: [0; LEVELS],
        signed_volume: 5 - 10,
        trades: 4,
        signed_trades: -1,
        adds: Some([1, 0]),
        cancels: Some([0, 2]),
        modifies: Some([1, 0]),
        queue_imbalance: Some(0.5),
        microprice_deviation: Some(0.5),
    };
    assert_eq!(run(&some, None), expected);
    let noted = run(&some, Some([[1, 2, 0], [3, 0, 0], [0, 0, 4]]));
    // Two modifies of a side that the feed does not say: of none of them it is known.
    let with = OrderFlow { adds: Some([3, 4]), cancels: Some([6, 2]), modifies: None, ..expected };
    assert_eq!(noted, with);
    let unknown = [&some[..], &[event(Action::Unknown, Side::Bid, 0)]].concat();
    let found = run(&unknown, None);
    assert_eq!((found.adds, found.cancels, found.modifies), (None, None, None));
    assert_eq!((found.trades, found.signed_volume), (4, -5));
    let sideless = [&some[..], &[event(Action::Add, Side::None, 0)]].concat();
    assert_eq!(run(&sideless, None), OrderFlow { adds: None, ..expected });
}

#[test]
fn the_touch_after_the_last_update() {
    let at_end = |book: [Level; LEVELS]| {
        let mut builder = builder(2);
        builder.push(UpdateMeta::default(), &touch(Some((90, 1)), Some((95, 1)))).expect("valid");
        let bin = builder.push(UpdateMeta::default(), &book).expect("valid").expect("full");
        let flow = bin.flow.expect("known");
        (flow.microprice_deviation, flow.queue_imbalance)
    };
    let of = |book| at_end(book);
    assert_eq!(of(touch(Some((100, 3)), Some((104, 1)))), (Some(1.0), Some(0.5)));
    assert_eq!(of(touch(Some((100, 1)), Some((101, 2)))), (Some(-1.0 / 6.0), Some(-1.0 / 3.0)));
    // Crossed, locked, without a side, without a size.
    assert_eq!(of(touch(Some((104, 3)), Some((100, 1)))), (Some(-1.0), Some(0.5)));
    assert_eq!(of(touch(Some((100, 3)), Some((100, 3)))), (Some(0.0), Some(0.0)));
    assert_eq!(of(touch(None, Some((100, 3)))), (None, None));
    assert_eq!(of(touch(Some((100, 3)), None)), (None, None));
    assert_eq!(of(touch(Some((100, 0)), Some((101, 0)))), (None, None));
}

fn any_update() -> impl Strategy<Value = (UpdateMeta, [Level; LEVELS])> {
    let level =
        (0_u32..8, -4_i64..4, 0_u32..9, 0_u32..9).prop_map(|(absent, px, bid_sz, ask_sz)| Level {
            bid_px: if absent == 0 { UNDEF_PRICE } else { px * STEP },
            ask_px: if absent == 1 { UNDEF_PRICE } else { (px + 3) * STEP },
            bid_sz,
            ask_sz,
            bid_ct: 1,
            ask_ct: 1,
        });
    let action = prop::sample::select(vec![
        Action::Add,
        Action::Cancel,
        Action::Modify,
        Action::Trade,
        Action::Other,
    ]);
    let side = prop::sample::select(vec![Side::Bid, Side::Ask, Side::Bid, Side::Ask, Side::None]);
    let meta = (action, side, 0_u32..50).prop_map(|(action, side, size)| {
        event(action, side, if action == Action::Trade { size } else { 0 })
    });
    (meta, prop::array::uniform10(level))
}

/// The definition written out, of one side: prices and sizes before and after, `None` for absent.
fn came(
    before: Option<(i64, i64)>,
    after: Option<(i64, i64)>,
    is_better: fn(i64, i64) -> bool,
) -> i64 {
    match (before, after) {
        (None, None) => 0,
        (None, Some((_, size))) => size,
        (Some((_, size)), None) => -size,
        (Some((p, q)), Some((now, size))) if p == now => size - q,
        (Some((p, _)), Some((now, size))) if is_better(now, p) => size,
        (Some((_, q)), Some(_)) => -q,
    }
}

fn sums(bins: &[Bin]) -> Vec<OrderFlow> {
    bins.iter().map(|bin| bin.flow.expect("few updates")).collect()
}

/// Two flows of neighbouring bins as one.
fn merged(a: &OrderFlow, b: &OrderFlow) -> OrderFlow {
    let add = |a: Option<[u64; 2]>, b: Option<[u64; 2]>| {
        a.zip(b).map(|(a, b)| [a[0] + b[0], a[1] + b[1]])
    };
    OrderFlow {
        imbalance: std::array::from_fn(|level| a.imbalance[level] + b.imbalance[level]),
        signed_volume: a.signed_volume + b.signed_volume,
        trades: a.trades + b.trades,
        signed_trades: a.signed_trades + b.signed_trades,
        adds: add(a.adds, b.adds),
        cancels: add(a.cancels, b.cancels),
        modifies: add(a.modifies, b.modifies),
        ..*b
    }
}

fn bins(n: u32, updates: &[(UpdateMeta, [Level; LEVELS])], noted: &EventCounts) -> Vec<Bin> {
    let mut builder = builder(n);
    let mut bins = Vec::new();
    for (at, (meta, book)) in updates.iter().enumerate() {
        if at % 5 == 3 {
            builder.note(noted);
        }
        bins.extend(builder.push(*meta, book).expect("in range"));
    }
    bins.extend(builder.finish());
    bins
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bins_of_n_merged_two_by_two_are_bins_of_2n(
        updates in prop::collection::vec(any_update(), 1..90),
        n in 1_u32..20,
        noted in prop::array::uniform3(prop::array::uniform3(0_u32..3)),
    ) {
        let (small, large) = (bins(n, &updates, &noted), bins(2 * n, &updates, &noted));
        let small = sums(&small);
        let pairs = small.chunks(2).map(|pair| match pair {
            [a, b] => merged(a, b),
            one => one[0],
        });
        prop_assert_eq!(pairs.collect::<Vec<_>>(), sums(&large));
    }

    #[test]
    fn imbalance_equals_its_definition(updates in prop::collection::vec(any_update(), 1..40)) {
        let flow = sums(&bins(u32::MAX, &updates, &EventCounts::default()))[0];
        let side = |px: i64, size: u32| (px != UNDEF_PRICE).then_some((px, i64::from(size)));
        for level in 0..LEVELS {
            let expected: i64 = updates.windows(2).map(|pair| {
                let (a, b) = (pair[0].1[level], pair[1].1[level]);
                let bids = came(side(a.bid_px, a.bid_sz), side(b.bid_px, b.bid_sz), |a, b| a > b);
                let asks = came(side(a.ask_px, a.ask_sz), side(b.ask_px, b.ask_sz), |a, b| a < b);
                bids - asks
            }).sum();
            prop_assert_eq!(flow.imbalance[level], expected);
        }
        let trades = updates.iter().filter(|(meta, _)| meta.event.action == Action::Trade);
        let of = |side: Side| -> i64 {
            let sizes = trades.clone().filter(|(meta, _)| meta.event.side == side);
            sizes.map(|(meta, _)| i64::from(meta.traded_size)).sum()
        };
        prop_assert_eq!(flow.signed_volume, of(Side::Bid) - of(Side::Ask));
        prop_assert_eq!(flow.trades, trades.count() as u64);
    }
}
