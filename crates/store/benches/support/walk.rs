//! Bins as a liquid future makes them: prices in a slow walk, sizes that drift, variances with no
//! pattern.

use std::path::Path;

use lob_depth::{Bin, BinRule, SLOTS, SizeAggregate};
use lob_metrics::stats::SplitMix64;
use lob_store::{BinWriter, FileSummary, StoreMeta, StoredBin, WriterOptions};

/// Price step of the made bins, units of 1e-9.
const STEP: i64 = 250_000_000;

pub(crate) struct Random(SplitMix64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }
}

/// Writes a file of `n` bins in one segment.
pub(crate) fn write(path: &Path, n: u64, seed: u64, options: WriterOptions) -> FileSummary {
    let mut random = Random::new(seed);
    let mut writer = BinWriter::create(path, STEP, options).expect("a scratch folder");
    let mut sizes = [0.0; SLOTS].map(|_: f64| 20.0 + random.below(60) as f64);
    let mut mid = 18_800;
    for at in 0..n {
        if random.below(3) == 0 {
            mid += random.below(3) as i32 - 1;
        }
        let ts = 1_700_000_000_000_000_000 + at * 10_000_000;
        let mut bin = Bin {
            ts_event_first: ts,
            ts_event_last: ts + 9_000_000,
            ts_recv_last: ts + 9_100_000,
            n_updates: 100,
            traded_volume: random.below(40),
            last_update: at * 100 + 99,
            px: [0; SLOTS],
            size: [0.0; SLOTS],
            size_variance: [0.0; SLOTS],
            order_count: [0; SLOTS],
            last_bid: mid - 1,
            last_ask: mid,
            flow: None,
        };
        for (slot, drifting) in sizes.iter_mut().enumerate() {
            let level = (slot % 10) as i32;
            let size = (*drifting + random.below(7) as f64 - 3.0).clamp(1.0, 400.0);
            *drifting = size;
            bin.px[slot] = if slot < 10 { mid - 1 - level } else { mid + level };
            bin.size[slot] = size + if random.below(4) == 0 { 0.5 } else { 0.0 };
            bin.size_variance[slot] = size * size * random.below(1_000_000) as f64 / 1e9;
            bin.order_count[slot] = size as u64 * 40 + random.below(200);
        }
        let movement = Some(random.below(2_000) as f64 / 1e3 - 1.0);
        let label = movement.map(|movement| (movement * 2.0) as i32);
        writer
            .push(&StoredBin { bin, segment: 0, movement, label, others: Vec::new() })
            .expect("a valid row");
    }
    writer.finish(meta()).expect("a scratch folder")
}

fn meta() -> StoreMeta {
    StoreMeta {
        dataset: "MADE.UP".to_owned(),
        source_schema: "mbp-10".to_owned(),
        publisher_id: None,
        instrument_id: 1,
        symbol: "ESZ3".to_owned(),
        day: "2023-11-14".to_owned(),
        price_step: STEP,
        bin_rule: BinRule::Updates(100),
        size_aggregate: SizeAggregate::Median,
        ..StoreMeta::default()
    }
}
