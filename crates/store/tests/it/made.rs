//! Made-up bins: a random walk with gaps, one-sided books and unknown labels.

use std::{collections::BTreeMap, path::Path};

use lob_depth::{Bin, BinColumns, BinRule, NO_PRICE, OrderFlow, SLOTS, SizeAggregate};
use lob_metrics::stats::SplitMix64;
use lob_store::{
    BinWriter, Compression, FileSummary, LabelMeta, SourceMeta, StoreMeta, StoredBin, WriterOptions,
};

pub(crate) const STEP: i64 = 250_000_000;

pub(crate) struct Random(SplitMix64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

pub(crate) fn rows(n: usize, seed: u64) -> Vec<StoredBin> {
    let mut random = Random::new(seed);
    let mut mid = 18_800;
    (0..n)
        .map(|i| {
            mid += random.below(5) as i32 - 2;
            let is_thin = random.below(7) == 0;
            let mut bin = Bin {
                ts_event_first: 1_700_000_000_000_000_000 + i as u64 * 1_000,
                ts_event_last: 1_700_000_000_000_000_900 + i as u64 * 1_000,
                ts_recv_last: 1_700_000_000_000_000_950 + i as u64 * 1_000,
                n_updates: 100,
                traded_volume: random.below(40),
                last_update: i as u64 * 100 + 99,
                px: [NO_PRICE; SLOTS],
                size: [0.0; SLOTS],
                size_variance: [0.0; SLOTS],
                order_count: [0; SLOTS],
                last_bid: mid - 1,
                last_ask: mid + 1,
                flow: (!is_thin).then(|| flow(&mut random)),
            };
            for slot in 0..SLOTS {
                if is_thin && slot % 10 > 2 {
                    continue;
                }
                let level = (slot % 10) as i32;
                bin.px[slot] = if slot < 10 { mid - 1 - level } else { mid + 1 + level };
                bin.size[slot] = random.below(400) as f64 / 2.0;
                bin.size_variance[slot] = random.below(1 << 40) as f64 / 1e9;
                bin.order_count[slot] = random.below(1_000);
            }
            if random.below(11) == 0 {
                bin.last_ask = NO_PRICE;
            }
            if random.below(50) == 0 {
                bin.ts_event_last = u64::MAX;
            }
            let movement = (random.below(9) != 0).then(|| random.below(1_000) as f64 - 500.0);
            StoredBin {
                bin,
                segment: (i / 70) as u32,
                movement,
                label: movement.map(|m| (m / 250.0) as i32),
                forward: Vec::new(),
            }
        })
        .collect()
}

/// Made-up order flow: signs, a kind of event that the feed is silent about, a missing touch.
fn flow(random: &mut Random) -> OrderFlow {
    let mut signed = || random.below(2_000) as i64 - 1_000;
    let (imbalance, signed_volume) = (std::array::from_fn(|_| signed()), signed());
    let signed_trades = signed();
    let mut counts = || (random.below(5) != 0).then(|| [random.below(90), random.below(90)]);
    let (adds, cancels, modifies) = (counts(), counts(), counts());
    let trades = random.below(1 << 40);
    let queue = (random.below(9) != 0).then(|| random.below(1_000) as f64 / 500.0 - 1.0);
    OrderFlow {
        imbalance,
        signed_volume,
        trades,
        signed_trades,
        adds,
        cancels,
        modifies,
        microprice_deviation: queue.map(|queue| queue / 2.0),
        queue_imbalance: queue,
    }
}

pub(crate) fn meta() -> StoreMeta {
    StoreMeta {
        dataset: "MADE.UP".to_owned(),
        source_schema: "mbp-10".to_owned(),
        publisher_id: Some(1),
        instrument_id: 7,
        symbol: "ESZ3".to_owned(),
        day: "2023-11-14".to_owned(),
        price_step: STEP,
        bin_rule: BinRule::Updates(100),
        size_aggregate: SizeAggregate::Median,
        label: LabelMeta { classes: 3, edges: vec![-1.0, 1.0], ..LabelMeta::default() },
        sources: vec![SourceMeta {
            name: "a.dbn".to_owned(),
            fingerprint: "00".repeat(16),
            records: 9,
            span: Some((1, 2)),
            ..SourceMeta::default()
        }],
        skipped: BTreeMap::from([("trade".to_owned(), 3)]),
        ..StoreMeta::default()
    }
}

/// Small pages and row groups, so that a small file has many of both.
pub(crate) fn options(compression: Compression) -> WriterOptions {
    WriterOptions { page_rows: 16, row_group_rows: 48, compression }
}

pub(crate) fn write(path: &Path, rows: &[StoredBin], options: WriterOptions) -> FileSummary {
    let mut writer = BinWriter::create(path, STEP, options).unwrap();
    for row in rows {
        writer.push(row).unwrap();
    }
    writer.finish(meta()).unwrap()
}

pub(crate) fn columns(rows: &[StoredBin]) -> BinColumns {
    let mut out = BinColumns::default();
    for row in rows {
        out.push(&row.bin);
    }
    out
}
