//! One rule, one case.

use dbn::{BidAskPair, FlagSet, MboMsg, RecordHeader, UNDEF_PRICE, rtype};
use lob_book::{BookError, ReplayStats, Replayer};

use crate::support::{mbo, replay};

/// `(price, size, count)` of the existing bids and asks.
type View = (Vec<(i64, u32, u32)>, Vec<(i64, u32, u32)>);

fn view(levels: &[BidAskPair; 10]) -> View {
    let bids = levels.iter().map(|l| (l.bid_px, l.bid_sz, l.bid_ct));
    let asks = levels.iter().map(|l| (l.ask_px, l.ask_sz, l.ask_ct));
    let exists = |level: &(i64, u32, u32)| level.0 != UNDEF_PRICE;
    (bids.filter(exists).collect(), asks.filter(exists).collect())
}

/// Replays `records`; the last one must leave this book, and emit at this depth or not at all.
fn check(records: &[MboMsg], book: View, emits_at: Option<u8>) -> ReplayStats {
    let (replayer, updates) = replay(records);
    assert_eq!(view(replayer.book(1, 1).unwrap().levels()), book);
    let last = updates.last().unwrap().as_ref();
    assert_eq!(last.map(|update| update.depth), emits_at);
    if let Some(update) = last {
        assert_eq!(view(&update.levels), book);
    }
    replayer.stats()
}

#[test]
fn adds_gather_by_price_and_side() {
    let records = [
        mbo('A', 'B', 1, 100, 5),
        mbo('A', 'B', 2, 99, 1),
        mbo('A', 'A', 3, 102, 2),
        mbo('A', 'B', 4, 99, 7),
    ];
    check(&records, (vec![(100, 5, 1), (99, 8, 2)], vec![(102, 2, 1)]), Some(1));
}

#[test]
fn cancels_take_a_part_or_all() {
    let resting = mbo('A', 'B', 1, 100, 5);
    let part = [resting.clone(), mbo('C', 'B', 1, 100, 2)];
    check(&part, (vec![(100, 3, 1)], vec![]), Some(0));
    let whole = [resting.clone(), mbo('C', 'B', 1, 100, 5)];
    check(&whole, (vec![], vec![]), Some(0));
    let too_much = [resting.clone(), mbo('C', 'B', 1, 100, 6)];
    assert_eq!(check(&too_much, (vec![], vec![]), Some(0)).oversized_cancels, 1);
    let unknown = [resting, mbo('C', 'B', 9, 100, 5)];
    assert_eq!(check(&unknown, (vec![(100, 5, 1)], vec![]), None).unknown_cancels, 1);
}

#[test]
fn modifies_replace_price_size_and_side() {
    let resting = [mbo('A', 'B', 1, 100, 5), mbo('A', 'A', 2, 103, 1)];
    let with = |last: MboMsg| [resting.as_slice(), &[last]].concat();
    let asks = vec![(103, 1, 1)];
    check(&with(mbo('M', 'B', 1, 100, 4)), (vec![(100, 4, 1)], asks.clone()), Some(0));
    check(&with(mbo('M', 'B', 1, 100, 5)), (vec![(100, 5, 1)], asks.clone()), None);
    check(&with(mbo('M', 'B', 1, 101, 5)), (vec![(101, 5, 1)], asks.clone()), Some(0));
    check(&with(mbo('M', 'A', 1, 104, 5)), (vec![], vec![(103, 1, 1), (104, 5, 1)]), Some(0));
    check(&with(mbo('M', 'B', 1, 100, 0)), (vec![], asks.clone()), Some(0));
    let undefined = with(mbo('M', 'B', 1, UNDEF_PRICE, 5));
    assert_eq!(check(&undefined, (vec![], asks.clone()), Some(0)).undefined_prices, 1);
    let unknown = with(mbo('M', 'B', 9, 99, 2));
    let stats = check(&unknown, (vec![(100, 5, 1), (99, 2, 1)], asks), Some(1));
    assert_eq!(stats.unknown_modifies, 1);
}

#[test]
fn trades_and_fills_leave_the_book_alone() {
    let resting = mbo('A', 'A', 1, 100, 5);
    let book = (vec![], vec![(100, 5, 1)]);
    let stats = check(&[resting.clone(), mbo('T', 'B', 0, 100, 2)], book.clone(), Some(0));
    assert_eq!(stats.trades, 1);
    check(&[resting.clone(), mbo('T', 'N', 0, 100, 0)], book.clone(), None);
    check(&[resting.clone(), mbo('F', 'A', 1, 100, 2)], book.clone(), None);
    check(&[resting, mbo('N', 'N', 0, 0, 0)], book, None);
}

#[test]
fn a_clear_always_shows() {
    assert_eq!(check(&[mbo('R', 'N', 0, UNDEF_PRICE, 0)], (vec![], vec![]), Some(0)).clears, 1);
    let full = [mbo('A', 'B', 1, 9, 1), mbo('A', 'A', 2, 10, 1), mbo('R', 'N', 0, UNDEF_PRICE, 0)];
    check(&full, (vec![], vec![]), Some(0));
    // An order of before the clear is unknown after it.
    let late = [full.as_slice(), &[mbo('C', 'B', 1, 9, 1)]].concat();
    assert_eq!(check(&late, (vec![], vec![]), None).unknown_cancels, 1);
}

#[test]
fn a_quote_replaces_its_side() {
    let quote =
        |price, size| MboMsg { flags: FlagSet::empty().set_tob(), ..mbo('A', 'B', 0, price, size) };
    let resting = [mbo('A', 'B', 1, 100, 5), mbo('A', 'B', 2, 99, 5), mbo('A', 'A', 3, 101, 1)];
    let with = |last: MboMsg| [resting.as_slice(), &[last]].concat();
    let asks = vec![(101, 1, 1)];
    check(&with(quote(98, 7)), (vec![(98, 7, 0)], asks.clone()), Some(0));
    check(&with(quote(UNDEF_PRICE, 0)), (vec![], asks.clone()), Some(0));
    let twice = [with(quote(98, 7)), vec![quote(97, 1)]].concat();
    check(&twice, (vec![(97, 1, 0)], asks), Some(0));
}

#[test]
fn nonsense_is_counted_and_left_out() {
    let empty = || (vec![], vec![]);
    assert_eq!(check(&[mbo('A', 'N', 1, 100, 5)], empty(), None).sideless, 1);
    assert_eq!(check(&[mbo('A', 'B', 1, UNDEF_PRICE, 5)], empty(), None).undefined_prices, 1);
    assert_eq!(check(&[mbo('A', 'B', 1, 100, 0)], empty(), None).zero_size_adds, 1);
    let twice = [mbo('A', 'B', 1, 100, 5), mbo('A', 'A', 1, 101, 6)];
    assert_eq!(check(&twice, (vec![], vec![(101, 6, 1)]), Some(0)).duplicate_adds, 1);
}

#[test]
fn only_ten_levels_show() {
    let mut records: Vec<MboMsg> =
        (0..12).map(|n| mbo('A', 'B', n, 100 - i64::try_from(n).unwrap(), 1)).collect();
    let (replayer, updates) = replay(&records);
    assert!(updates[9].is_some() && updates[10].is_none());
    assert_eq!(replayer.book(1, 1).unwrap().n_levels(), (12, 0));
    // The best one goes: all ten change, the eleventh comes into sight.
    records.push(mbo('C', 'B', 0, 100, 1));
    let ten = (0..10).map(|n| (99 - n, 1, 1)).collect();
    check(&records, (ten, vec![]), Some(0));
}

#[test]
fn sizes_beyond_the_field_show_its_maximum() {
    let most = u32::MAX;
    let records: Vec<MboMsg> = (0..3).map(|n| mbo('A', 'B', n, 100, most)).collect();
    // The third order still shows by its count.
    check(&records, (vec![(100, most, 3)], vec![]), Some(0));
    let cancels: Vec<MboMsg> = (0..2).map(|n| mbo('C', 'B', n, 100, most)).collect();
    check(&[records, cancels].concat(), (vec![(100, most, 1)], vec![]), Some(0));
}

#[test]
fn the_update_carries_its_cause() {
    let mut cause = mbo('A', 'B', 1, 100, 5);
    cause.hd = RecordHeader::new::<MboMsg>(rtype::MBO, 3, 77, 123);
    let update = Replayer::new().push(&cause).unwrap().unwrap();
    assert_eq!((update.hd.rtype, update.hd.record_size()), (rtype::MBP_10, 368));
    assert_eq!((update.hd.publisher_id, update.hd.instrument_id), (3, 77));
    assert_eq!((update.hd.ts_event, update.ts_recv, update.ts_in_delta), (123, 20, 3));
    assert_eq!((update.price, update.size, update.sequence), (100, 5, 4));
    assert_eq!((update.action, update.side, update.flags), (cause.action, cause.side, cause.flags));
}

#[test]
fn books_are_kept_apart_by_publisher_and_instrument() {
    let mut replayer = Replayer::new();
    for (publisher, instrument) in [(1, 1), (1, 2), (2, 1), (1, 1)] {
        let mut add = mbo('A', 'B', 1, 100, 5);
        add.hd = RecordHeader::new::<MboMsg>(rtype::MBO, publisher, instrument, 0);
        replayer.push(&add).unwrap();
    }
    assert_eq!(replayer.n_books(), 3);
    assert_eq!(replayer.stats().duplicate_adds, 1);
    assert!(replayer.book(2, 2).is_none());
}

#[test]
fn crossed_books_are_counted_at_the_end_of_an_event() {
    let mut open = mbo('A', 'A', 2, 99, 1);
    open.flags = FlagSet::empty();
    let records = [mbo('A', 'B', 1, 100, 1), open, mbo('A', 'A', 3, 99, 1)];
    let (replayer, _) = replay(&records);
    assert!(replayer.book(1, 1).unwrap().is_crossed());
    assert_eq!(replayer.stats().crossed_at_last, 1);
}

#[test]
fn broken_records_are_errors_and_change_nothing() {
    let good = mbo('A', 'B', 1, 100, 5);
    let mut wrong_type = good.clone();
    wrong_type.hd.rtype = rtype::MBP_10;
    let unknown_action = MboMsg { action: b'x'.cast_signed(), ..good.clone() };
    let unknown_side = MboMsg { side: -1, ..good.clone() };
    let mut replayer = Replayer::new();
    replayer.push(&good).unwrap();
    for (broken, expected) in [
        (wrong_type, BookError::NotMbo { record: 1, rtype: rtype::MBP_10, size: 56 }),
        (unknown_action, BookError::UnknownAction { record: 1, action: b'x' }),
        (unknown_side, BookError::UnknownSide { record: 1, side: 0xFF }),
    ] {
        assert_eq!(replayer.push(&broken).unwrap_err(), expected);
    }
    assert_eq!(replayer.stats().records, 1);
    assert_eq!(replayer.book(1, 1).unwrap().n_orders(), 1);
}

#[test]
fn events_that_change_no_level_in_sight_go_with_the_next_update() {
    let mut replayer = Replayer::new();
    // Ten bids in sight; whatever lies below is not.
    for (id, price) in (1..).zip(91..101) {
        replayer.push(&mbo('A', 'B', id, price, 5)).unwrap().unwrap();
        assert_eq!(replayer.quiet_events(), None);
    }
    let quiet = |replayer: &mut Replayer, records: &[MboMsg]| {
        for record in records {
            assert!(replayer.push(record).unwrap().is_none(), "{record:?}");
        }
    };
    let other =
        MboMsg { hd: RecordHeader::new::<MboMsg>(rtype::MBO, 1, 2, 10), ..mbo('A', 'A', 1, 9, 1) };
    let below = [
        mbo('A', 'B', 20, 80, 1),
        mbo('A', 'B', 21, 81, 1),
        mbo('M', 'B', 21, 82, 3),
        mbo('C', 'B', 20, 80, 1),
        // Unknown to the book, without a side, and no events of orders.
        mbo('C', 'A', 99, 80, 1),
        mbo('A', 'N', 22, 80, 1),
        mbo('F', 'B', 21, 82, 1),
        mbo('N', 'N', 0, 0, 0),
        mbo('T', 'A', 0, 82, 0),
    ];
    quiet(&mut replayer, &below);
    // Another instrument's update has nothing to do with them.
    replayer.push(&other).unwrap().unwrap();
    assert_eq!(replayer.quiet_events(), None);
    replayer.push(&mbo('T', 'A', 0, 100, 2)).unwrap().unwrap();
    assert_eq!(replayer.quiet_events(), Some(&[[2, 0, 1], [1, 1, 0], [1, 0, 0]]));
    replayer.push(&mbo('C', 'B', 1, 91, 5)).unwrap().unwrap();
    assert_eq!(replayer.quiet_events(), None);
    // Those of a snapshot and before a clear belong to nothing.
    quiet(&mut replayer, &[mbo('A', 'B', 30, 70, 1)]);
    replayer.push(&mbo('R', 'N', 0, 0, 0)).unwrap().unwrap();
    assert_eq!(replayer.quiet_events(), None);
    let snapshot = |id, price| {
        let mut record = mbo('A', 'B', id, price, 1);
        record.flags.set_snapshot();
        record
    };
    for (id, price) in (40..).zip((60..72).rev()) {
        replayer.push(&snapshot(id, price)).unwrap();
    }
    quiet(&mut replayer, &[mbo('A', 'B', 60, 50, 1)]);
    replayer.push(&mbo('C', 'B', 40, 71, 1)).unwrap().unwrap();
    assert_eq!(replayer.quiet_events(), Some(&[[1, 0, 0], [0; 3], [0; 3]]));
    // An id that means another instrument begins anew.
    quiet(&mut replayer, &[mbo('A', 'B', 61, 50, 1)]);
    replayer.forget(1, 1);
    replayer.push(&mbo('A', 'B', 1, 10, 1)).unwrap().unwrap();
    assert_eq!(replayer.quiet_events(), None);
}
