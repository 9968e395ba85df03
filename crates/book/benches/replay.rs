//! Replayed MBO records a second: a slowdown here is a slowdown of every conversion from MBO.
//!
//! `ladders` is the crate's book; `btree` keeps the levels in two `BTreeMap`s and compares the ten
//! best before and after, as a first version would: the reason for the sorted arrays.

use std::{collections::BTreeMap, hint::black_box};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dbn::{MboMsg, RecordHeader, rtype};
use lob_book::Replayer;
use rustc_hash::FxHashMap;

const RECORDS: usize = 200_000;
const ADDED: u8 = b'A';

/// Adds, cancels and modifies of about 2,000 orders, most of them near the touch.
fn orders() -> Vec<MboMsg> {
    let mut state = 7u64;
    let mut draw = move |n: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut resting: Vec<(u64, bool, i64)> = Vec::new();
    let mut records = Vec::with_capacity(RECORDS);
    for order_id in 0..RECORDS as u64 {
        let is_bid = draw(2) == 0;
        let away = draw(3) * draw(3) * draw(25);
        let away = i64::try_from(away).expect("below 100");
        let price = if is_bid { 10_000 - away } else { 10_001 + away };
        let is_full = resting.len() > 2_000;
        let (action, id, is_bid, price) = match draw(10) {
            0..6 if !is_full => {
                resting.push((order_id, is_bid, price));
                (ADDED, order_id, is_bid, price)
            }
            9 if !resting.is_empty() => {
                let at = usize::try_from(draw(resting.len() as u64)).expect("an index");
                let (id, is_bid, price) = resting[at];
                (b'M', id, is_bid, price)
            }
            _ if !resting.is_empty() => {
                let at = usize::try_from(draw(resting.len() as u64)).expect("an index");
                let (id, is_bid, price) = resting.swap_remove(at);
                (b'C', id, is_bid, price)
            }
            _ => {
                resting.push((order_id, is_bid, price));
                (ADDED, order_id, is_bid, price)
            }
        };
        let size = if action == b'C' { u32::MAX } else { 1 + u32::from(draw(2) == 0) };
        records.push(MboMsg {
            hd: RecordHeader::new::<MboMsg>(rtype::MBO, 1, 1, order_id),
            order_id: id,
            price,
            size,
            action: action.cast_signed(),
            side: if is_bid { b'B' } else { b'A' }.cast_signed(),
            ..MboMsg::default()
        });
    }
    records
}

type Levels = BTreeMap<i64, (u64, u32)>;

/// The plain book: adds, cancels and modifies only.
#[derive(Default)]
struct BTreeBook {
    orders: FxHashMap<u64, (bool, i64, u32)>,
    sides: [Levels; 2],
    top: Vec<(i64, u64, u32)>,
}

impl BTreeBook {
    fn push(&mut self, msg: &MboMsg) -> bool {
        let action = msg.action.cast_unsigned();
        if action != ADDED
            && let Some((is_bid, key, size)) = self.orders.remove(&msg.order_id)
        {
            let side = &mut self.sides[usize::from(is_bid)];
            if let Some(level) = side.get_mut(&key) {
                level.0 -= u64::from(size);
                level.1 -= 1;
                if level.1 == 0 {
                    side.remove(&key);
                }
            }
        }
        if action != b'C' {
            let is_bid = msg.side == b'B'.cast_signed();
            let key = if is_bid { !msg.price } else { msg.price };
            self.orders.insert(msg.order_id, (is_bid, key, msg.size));
            let level = self.sides[usize::from(is_bid)].entry(key).or_default();
            *level = (level.0 + u64::from(msg.size), level.1 + 1);
        }
        let top: Vec<(i64, u64, u32)> = self
            .sides
            .iter()
            .flat_map(|side| side.iter().take(10).map(|(&key, level)| (key, level.0, level.1)))
            .collect();
        let is_changed = top != self.top;
        self.top = top;
        is_changed
    }
}

fn replay(c: &mut Criterion) {
    let records = orders();
    let mut group = c.benchmark_group("replay");
    group.throughput(Throughput::Elements(RECORDS as u64));
    group.sample_size(20);
    group.bench_function("ladders", |b| {
        b.iter(|| {
            let mut replayer = Replayer::new();
            for record in &records {
                black_box(replayer.push_ref(record).is_ok());
            }
            replayer.stats().emitted
        });
    });
    group.bench_function("ladders_by_value", |b| {
        b.iter(|| {
            let mut replayer = Replayer::new();
            records.iter().filter(|record| matches!(replayer.push(record), Ok(Some(_)))).count()
        });
    });
    group.bench_function("btree", |b| {
        b.iter(|| {
            let mut book = BTreeBook::default();
            records.iter().filter(|record| book.push(record)).count()
        });
    });
    group.finish();
}

criterion_group!(benches, replay);
criterion_main!(benches);
