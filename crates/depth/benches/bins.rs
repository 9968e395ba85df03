//! Updates condensed to bins.
//!
//! Slower here means that converting is held up by binning instead of by decompression.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lob_depth::{
    Action, BinBuilder, BinRule, Event, LEVELS, Level, PriceStep, Side, SizeAggregate,
    StepDetector, UpdateMeta,
};

const N_UPDATES: u32 = 100_000;

/// Updates that each move one size, and now and then the whole book by a tick.
fn updates() -> Vec<(UpdateMeta, [Level; LEVELS])> {
    let mut state = 1_u64;
    let mut draw = |n: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u32::try_from(state % n).expect("below n")
    };
    let mut bid = 66_000_i64;
    let mut book = [Level::EMPTY; LEVELS];
    let mut updates = Vec::new();
    for i in 0..u64::from(N_UPDATES) {
        if i == 0 || draw(8) == 0 {
            bid += i64::from(draw(3)) - 1;
            for (depth, level) in (0..).zip(&mut book) {
                *level = Level {
                    bid_px: (bid - depth) * 10_000,
                    ask_px: (bid + 1 + depth) * 10_000,
                    bid_sz: 1 + draw(200),
                    ask_sz: 1 + draw(200),
                    bid_ct: 1 + draw(30),
                    ask_ct: 1 + draw(30),
                };
            }
        } else {
            book[draw(10) as usize].bid_sz = 1 + draw(200);
        }
        let event = Event { action: Action::Trade, side: Side::Bid };
        let ts = i * 1_000_000;
        let meta = UpdateMeta { ts_event: ts, ts_recv: ts, traded_size: 1, event };
        updates.push((meta, book));
    }
    updates
}

fn bins(criterion: &mut Criterion) {
    let updates = updates();
    let step = PriceStep::new(10_000).expect("positive");
    let mut group = criterion.benchmark_group("bins");
    group.throughput(Throughput::Elements(u64::from(N_UPDATES)));
    for (name, rule, aggregate) in [
        ("updates_100_median", BinRule::Updates(100), SizeAggregate::Median),
        ("updates_100_mean", BinRule::Updates(100), SizeAggregate::Mean),
        ("updates_10_median", BinRule::Updates(10), SizeAggregate::Median),
        ("time_1s_median", BinRule::TimeNs(1_000_000_000), SizeAggregate::Median),
        ("volume_100_median", BinRule::Volume(100), SizeAggregate::Median),
    ] {
        let mut builder = BinBuilder::new(rule, aggregate, step).expect("valid");
        group.bench_function(name, |b| {
            b.iter(|| {
                for (meta, book) in &updates {
                    black_box(builder.push(*meta, book).expect("in range"));
                }
            });
        });
    }
    group.bench_function("detect_step", |b| {
        b.iter(|| {
            let mut detector = StepDetector::default();
            for (_, book) in &updates {
                for level in book {
                    detector.push(level.bid_px);
                    detector.push(level.ask_px);
                }
            }
            detector.finish().expect("a grid")
        });
    });
}

criterion_group!(benches, bins);
criterion_main!(benches);
