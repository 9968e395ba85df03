//! Laws of the record stream.

use std::collections::{BTreeMap, HashSet};

use dbn::{MboMsg, UNDEF_PRICE};
use lob_book::Replayer;
use lob_synth::{SynthConfig, SynthError, mbo_records, mbp10_records};
use sha2::{Digest, Sha256};

fn config(records: u64, instruments: u32, sessions: u32, seed: u64) -> SynthConfig {
    SynthConfig { records, instruments, sessions, seed, ..SynthConfig::default() }
}

/// SHA-256 of the fields in a fixed byte order, whatever the platform's own.
fn digest(records: &[MboMsg]) -> String {
    let mut hash = Sha256::new();
    for r in records {
        hash.update(r.hd.ts_event.to_le_bytes());
        hash.update(r.hd.instrument_id.to_le_bytes());
        hash.update(r.order_id.to_le_bytes());
        hash.update(r.price.to_le_bytes());
        hash.update(r.size.to_le_bytes());
        hash.update([r.action.cast_unsigned(), r.side.cast_unsigned(), r.flags.raw()]);
        hash.update(r.ts_recv.to_le_bytes());
        hash.update(r.ts_in_delta.to_le_bytes());
        hash.update(r.sequence.to_le_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_market_of_a_seed_never_changes() {
    let records = mbo_records(&config(20_000, 4, 2, 42)).unwrap();
    assert_eq!(
        digest(&records),
        "c2cddf940f2404ce30b90b471f50bcc51e5f9adf1023eed02c91f7aa7726998b",
        "the simulator draws differently here: say so in the changelog if it was meant to"
    );
}

#[test]
fn other_seeds_give_other_markets() {
    let digests: HashSet<String> =
        (0..8).map(|seed| digest(&mbo_records(&config(2_000, 2, 1, seed)).unwrap())).collect();
    assert_eq!(digests.len(), 8);
}

#[test]
fn the_replayed_orders_are_the_mbp_10_stream() {
    let config = config(30_000, 4, 1, 3);
    let mut replayer = Replayer::new();
    let replayed: Vec<_> = mbo_records(&config)
        .unwrap()
        .iter()
        .filter_map(|order| replayer.push(order).unwrap())
        .collect();
    let direct = mbp10_records(&config).unwrap();
    assert!(replayed.len() > 15_000);
    assert_eq!(replayed[..], direct[..replayed.len()]);
    let stats = replayer.stats();
    assert_eq!(stats.unknown_cancels + stats.unknown_modifies + stats.duplicate_adds, 0);
    assert_eq!(stats.oversized_cancels + stats.undefined_prices + stats.zero_size_adds, 0);
}

#[test]
fn times_never_go_back_and_sessions_have_their_days() {
    let records = mbp10_records(&config(40_000, 4, 7, 5)).unwrap();
    assert!(records.windows(2).all(|w| w[0].ts_recv <= w[1].ts_recv));
    assert!(records.windows(2).all(|w| w[0].hd.ts_event <= w[1].hd.ts_event));
    assert!(records.iter().all(|r| r.hd.ts_event < r.ts_recv));
    let day_ns = 86_400_000_000_000;
    let mut days = BTreeMap::new();
    for r in &records {
        *days.entry(r.ts_recv / day_ns).or_insert(0u32) += 1;
    }
    assert_eq!(days.len(), 7);
    assert!(days.values().all(|&n| (5_700..5_730).contains(&n)), "{days:?}");
}

#[test]
fn books_are_crossed_only_while_marked() {
    let records = mbp10_records(&config(60_000, 4, 6, 8)).unwrap();
    let is_crossed = |r: &&dbn::Mbp10Msg| {
        let top = &r.levels[0];
        top.bid_px != UNDEF_PRICE && top.ask_px != UNDEF_PRICE && top.bid_px >= top.ask_px
    };
    let crossed: Vec<_> = records.iter().filter(is_crossed).collect();
    assert!(!crossed.is_empty(), "a third of the openings is locked");
    assert!(crossed.iter().all(|r| r.flags.is_snapshot()));
}

#[test]
fn every_oddity_of_a_feed_is_there() {
    let records = mbp10_records(&config(300_000, 4, 3, 1)).unwrap();
    let count = |pred: &dyn Fn(&dbn::Mbp10Msg) -> bool| records.iter().filter(|r| pred(r)).count();
    let clears = count(&|r| r.action == b'R'.cast_signed());
    assert_eq!(clears, 12, "each instrument is cleared at each opening");
    let one_sided = |r: &dbn::Mbp10Msg| {
        (r.levels[0].bid_px == UNDEF_PRICE) != (r.levels[0].ask_px == UNDEF_PRICE)
    };
    let oddities = [
        ("doubtful", count(&|r| r.flags.is_maybe_bad_book())),
        ("bad ts_recv", count(&|r| r.flags.is_bad_ts_recv())),
        ("one-sided", count(&one_sided)),
        ("one-sided in trading", count(&|r| one_sided(r) && !r.flags.is_snapshot())),
        ("partial books", count(&|r| r.levels[9].ask_px == UNDEF_PRICE)),
        ("several records at one time", count(&|r| !r.flags.is_last())),
    ];
    println!("{oddities:?}");
    for (name, n) in oddities {
        assert!(n > 0, "no {name} in {} records", records.len());
    }
    let spread = count(&|r| r.hd.instrument_id == 42_014_712 && r.levels[0].bid_px < 0);
    assert!(spread > 100, "the calendar spread has negative prices: {spread}");
}

#[test]
fn bad_configurations_name_their_field() {
    for (bad, field) in [
        (config(0, 1, 1, 0), "records"),
        (config(3, 1, 4, 0), "records"),
        (config(10, 0, 1, 0), "instruments"),
        (config(10, 65, 1, 0), "instruments"),
        (config(10, 1, 0, 0), "sessions"),
        (config(5_000, 1, 1_001, 0), "sessions"),
    ] {
        match mbo_records(&bad) {
            Err(SynthError::BadConfig { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{bad:?} gave {other:?}"),
        }
    }
}

#[test]
fn tiny_markets_are_exact_too() {
    for records in 1..40 {
        let config = config(records, 3, 1, records);
        assert_eq!(mbo_records(&config).unwrap().len() as u64, records);
        assert_eq!(mbp10_records(&config).unwrap().len() as u64, records);
    }
    assert_eq!(mbo_records(&config(64, 64, 64, 1)).unwrap().len(), 64);
}
