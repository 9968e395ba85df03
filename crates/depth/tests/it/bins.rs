//! Bins of small streams computed by hand, and of any stream against sorting and summing.

use lob_depth::{
    Bin, BinBuilder, BinRule, DepthError, LEVELS, Level, NO_PRICE, PriceStep, SLOTS, SizeAggregate,
    UNDEF_PRICE, UpdateMeta,
};
use proptest::prelude::*;

const STEP: i64 = 10_000;

fn builder(rule: BinRule, aggregate: SizeAggregate) -> BinBuilder {
    BinBuilder::new(rule, aggregate, PriceStep::new(STEP).expect("positive")).expect("valid")
}

/// A book of one level; prices in steps, `None` for an absent side.
fn touch(bid: Option<(i64, u32)>, ask: Option<(i64, u32)>) -> [Level; LEVELS] {
    let mut book = [Level::EMPTY; LEVELS];
    if let Some((px, size)) = bid {
        (book[0].bid_px, book[0].bid_sz, book[0].bid_ct) = (px * STEP, size, 1);
    }
    if let Some((px, size)) = ask {
        (book[0].ask_px, book[0].ask_sz, book[0].ask_ct) = (px * STEP, size, 2);
    }
    book
}

fn meta(ts_event: u64, traded_size: u32) -> UpdateMeta {
    UpdateMeta { ts_event, ts_recv: ts_event + 1, traded_size, ..UpdateMeta::default() }
}

/// The one bin of these bids.
fn bin_of(aggregate: SizeAggregate, bids: &[(i64, u32)]) -> Bin {
    let mut builder = builder(BinRule::Updates(1_000), aggregate);
    for &bid in bids {
        let book = touch(Some(bid), Some((bid.0 + 1, 1)));
        assert_eq!(builder.push(meta(7, 0), &book), Ok(None));
    }
    builder.finish().expect("updates are pending")
}

#[test]
fn sizes() {
    let bids = [(100, 4), (100, 1), (101, 3), (101, 2)];
    for (aggregate, size) in
        [(SizeAggregate::Median, 2.5), (SizeAggregate::Mean, 2.5), (SizeAggregate::Last, 2.0)]
    {
        let bin = bin_of(aggregate, &bids);
        assert_eq!((bin.px[0], bin.size[0], bin.order_count[0]), (100, size, 4));
        assert_eq!(bin.size_variance[0], 5.0 / 3.0);
        assert_eq!((bin.px[LEVELS], bin.order_count[LEVELS]), (101, 8));
    }
    let bin = bin_of(SizeAggregate::Median, &[(100, 9), (100, 1), (100, 2)]);
    assert_eq!((bin.size[0], bin.size_variance[0]), (2.0, 19.0));
    let bin = bin_of(SizeAggregate::Mean, &[(100, 9), (100, 1), (100, 2)]);
    assert_eq!(bin.size[0], 4.0);
    let bin = bin_of(SizeAggregate::Median, &[(100, 9)]);
    assert_eq!((bin.n_updates, bin.size[0], bin.size_variance[0]), (1, 9.0, 0.0));
}

#[test]
fn mean_prices_are_floored_below_zero_too() {
    assert_eq!(bin_of(SizeAggregate::Median, &[(-1, 1), (-2, 1)]).px[0], -2);
    assert_eq!(bin_of(SizeAggregate::Median, &[(3, 1), (4, 1), (4, 1)]).px[0], 3);
}

#[test]
fn absent_levels_are_skipped() {
    let mut builder = builder(BinRule::Updates(3), SizeAggregate::Median);
    assert_eq!(builder.push(meta(1, 0), &touch(Some((100, 5)), Some((101, 7)))), Ok(None));
    assert_eq!(builder.push(meta(2, 0), &touch(None, Some((103, 9)))), Ok(None));
    let bin = builder.push(meta(3, 4), &touch(Some((102, 6)), None)).expect("valid").expect("full");
    assert_eq!(
        (bin.px[0], bin.size[0], bin.size_variance[0], bin.order_count[0]),
        (101, 5.5, 0.5, 2)
    );
    assert_eq!((bin.px[LEVELS], bin.size[LEVELS]), (102, 8.0));
    assert_eq!((bin.px[1], bin.size[1], bin.order_count[1]), (NO_PRICE, 0.0, 0));
    assert_eq!((bin.last_bid, bin.last_ask, bin.has_mid()), (102, NO_PRICE, false));
    assert_eq!((bin.ts_event_first, bin.ts_event_last, bin.ts_recv_last), (1, 3, 4));
    assert_eq!((bin.traded_volume, bin.last_update, bin.n_updates), (4, 2, 3));
    // A book that is empty throughout.
    let empty = [Level::EMPTY; LEVELS];
    assert_eq!(builder.push(meta(4, 0), &empty), Ok(None));
    let bin = builder.finish().expect("one update");
    assert_eq!((bin.px, bin.size, bin.last_update), ([NO_PRICE; SLOTS], [0.0; SLOTS], 3));
    assert_eq!(builder.finish(), None);
}

/// Pushes (ts_event, traded size) and returns the sizes of the bins, the last being partial.
fn lengths(rule: BinRule, updates: &[(u64, u32)]) -> Vec<u32> {
    let mut builder = builder(rule, SizeAggregate::Median);
    let book = touch(Some((100, 1)), Some((101, 1)));
    let mut bins = Vec::new();
    for &(ts_event, traded_size) in updates {
        bins.extend(builder.push(meta(ts_event, traded_size), &book).expect("valid"));
    }
    bins.extend(builder.finish());
    assert_eq!(bins.last().map(|bin| bin.last_update + 1), Some(updates.len() as u64));
    bins.iter().map(|bin| bin.n_updates).collect()
}

#[test]
fn rules() {
    let at = |times: &[u64]| times.iter().map(|&ts| (ts, 0)).collect::<Vec<_>>();
    assert_eq!(lengths(BinRule::Updates(2), &at(&[1, 2, 3, 4, 5])), [2, 2, 1]);
    assert_eq!(lengths(BinRule::Updates(1), &at(&[1, 2])), [1, 1]);
    // A grid from the epoch: 5..=9, nothing in 10..=14, then 15; the late 12 stays in the open bin.
    assert_eq!(lengths(BinRule::TimeNs(5), &at(&[5, 9, 15, 12, 19, 20])), [2, 3, 1]);
    let traded = [(1, 3), (2, 0), (3, 4), (4, 9), (5, 1)];
    assert_eq!(lengths(BinRule::Volume(7), &traded), [3, 1, 1]);
}

#[test]
fn refusals() {
    let step = PriceStep::new(STEP).expect("positive");
    for rule in [BinRule::Updates(0), BinRule::TimeNs(0), BinRule::Volume(0)] {
        let error = BinBuilder::new(rule, SizeAggregate::Median, step).expect_err("empty");
        assert_eq!(error, DepthError::EmptyBinRule);
    }
    let mut by_time = builder(BinRule::TimeNs(5), SizeAggregate::Median);
    let book = touch(Some((100, 1)), None);
    let no_time = UpdateMeta { ts_event: u64::MAX, ..meta(0, 0) };
    assert_eq!(by_time.push(no_time, &book), Err(DepthError::UndefinedTime { update: 0 }));
}

#[test]
fn a_price_beyond_the_axis_is_an_absent_level() {
    let book = touch(Some((100, 1)), None);
    let bin_of = |far: i64, bounds: Option<(i64, i64)>| {
        let mut builder = builder(BinRule::Updates(3), SizeAggregate::Median);
        if let Some((lowest, highest)) = bounds {
            builder.set_price_bounds(lowest * STEP, highest * STEP);
        }
        assert_eq!(builder.push(meta(1, 0), &book), Ok(None));
        assert_eq!(builder.push(meta(2, 0), &touch(Some((far, 9)), None)), Ok(None));
        let bin = builder.push(meta(3, 0), &book).expect("valid").expect("full");
        (bin.px[0], bin.size[0], bin.order_count[0], builder.n_off_bounds())
    };
    for far in [1 << 31, -(1 << 31), 1 << 40] {
        assert_eq!(bin_of(far, None), (100, 1.0, 2, 1), "{far}");
    }
    assert_eq!(bin_of(106, None), (102, 1.0, 3, 0));
    assert_eq!(bin_of(106, Some((50, 105))), (100, 1.0, 2, 1));
    assert_eq!(bin_of(49, Some((50, 105))), (100, 1.0, 2, 1));
    // No bounds reach beyond the axis.
    assert_eq!(bin_of(1 << 31, Some((-(1 << 33), 1 << 33))), (100, 1.0, 2, 1));
}

#[test]
fn one_odd_time_swallows_nothing() {
    const S: u64 = 1_000_000_000;
    let at = |times: &[u64]| times.iter().map(|&ts| (ts * S, 0)).collect::<Vec<_>>();
    let rule = BinRule::TimeNs(10 * S);
    // Of the far future, and back: the next update is in doubt, the one after begins a bin.
    let odd = [10, 11, 5_000, 12, 13, 14, 20, 31];
    assert_eq!(lengths(rule, &at(&odd)), [2, 2, 2, 1, 1]);
    // The far past stays in the open bin, and so does one late update after another.
    assert_eq!(lengths(rule, &at(&[10, 11, 3, 12, 2, 13, 20])), [6, 1]);
    let late = [20 * S, 20 * S - 1, 20 * S - 2, 20 * S - 3, 21 * S].map(|ts| (ts, 0));
    assert_eq!(lengths(rule, &late), [5]);
    // A clock that was set back for good.
    assert_eq!(lengths(rule, &at(&[100, 101, 12, 13, 14, 20])), [3, 2, 1]);
}

fn any_book() -> impl Strategy<Value = [Level; LEVELS]> {
    let level = (0_u32..8, -50_i64..50, 0_u32..300, 0_u32..300, 0_u32..9).prop_map(
        |(absent, px, bid_sz, ask_sz, ct)| Level {
            bid_px: if absent == 0 { UNDEF_PRICE } else { px * STEP },
            ask_px: if absent == 1 { UNDEF_PRICE } else { (px + 3) * STEP },
            bid_sz,
            ask_sz,
            bid_ct: ct,
            ask_ct: ct + 1,
        },
    );
    prop::array::uniform10(level)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn equals_sorting_and_summing(books in prop::collection::vec(any_book(), 1..60), n in 1_u32..20) {
        let mut builder = builder(BinRule::Updates(n), SizeAggregate::Median);
        let mut bins = Vec::new();
        for book in &books {
            bins.extend(builder.push(UpdateMeta::default(), book).expect("in range"));
        }
        bins.extend(builder.finish());
        let chunks: Vec<_> = books.chunks(n as usize).collect();
        prop_assert_eq!(bins.len(), chunks.len());
        for (bin, books) in bins.iter().zip(chunks) {
            for slot in 0..SLOTS {
                let seen: Vec<(i64, u32, u32)> = books
                    .iter()
                    .map(|book| book[slot % LEVELS])
                    .map(|l| if slot < LEVELS { (l.bid_px, l.bid_sz, l.bid_ct) } else { (l.ask_px, l.ask_sz, l.ask_ct) })
                    .filter(|level| level.0 != UNDEF_PRICE)
                    .collect();
                if seen.is_empty() {
                    prop_assert_eq!(bin.px[slot], NO_PRICE);
                    continue;
                }
                let mut sizes: Vec<f64> = seen.iter().map(|level| f64::from(level.1)).collect();
                sizes.sort_by(f64::total_cmp);
                let k = sizes.len();
                let mean_px = seen.iter().map(|l| (l.0 / STEP) as f64).sum::<f64>() / k as f64;
                prop_assert_eq!(f64::from(bin.px[slot]), mean_px.floor());
                prop_assert_eq!(bin.size[slot], f64::midpoint(sizes[(k - 1) / 2], sizes[k / 2]));
                let orders: u64 = seen.iter().map(|level| u64::from(level.2)).sum();
                prop_assert_eq!(bin.order_count[slot], orders);
                let mean = sizes.iter().sum::<f64>() / k as f64;
                let squares: f64 = sizes.iter().map(|x| (x - mean).powi(2)).sum();
                let variance = if k == 1 { 0.0 } else { squares / (k - 1) as f64 };
                prop_assert!((bin.size_variance[slot] - variance).abs() <= 1e-9 * variance.max(1.0));
            }
        }
    }
}
