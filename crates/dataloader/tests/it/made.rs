//! Made-up stores: a random walk in segments.

use std::{fs, path::Path};

use lob_depth::{Bin, BinRule, SLOTS, SizeAggregate};
use lob_metrics::stats::SplitMix64;
use lob_store::{BinWriter, Compression, StoreMeta, StoredBin, WriterOptions, partition_path};

/// Nanoseconds from one bin to the next.
pub(crate) const BIN_NS: u64 = 1_000;
pub(crate) const START_NS: u64 = 1_700_000_000_000_000_000;

/// One bin: level `l` of each side at distance `l` from the touch, sizes that name the bin.
fn bin(at: u64, mid: i32, random: &mut SplitMix64) -> Bin {
    let mut bin = Bin {
        ts_event_first: START_NS + at * BIN_NS,
        ts_event_last: START_NS + at * BIN_NS + 900,
        ts_recv_last: START_NS + at * BIN_NS + 950,
        n_updates: 100,
        traded_volume: 5,
        last_update: at * 100 + 99,
        px: [0; SLOTS],
        size: [0.0; SLOTS],
        size_variance: [0.0; SLOTS],
        order_count: [0; SLOTS],
        last_bid: mid,
        last_ask: mid + 1,
        flow: None,
    };
    for slot in 0..SLOTS {
        let level = i32::try_from(slot % 10).unwrap();
        bin.px[slot] = if slot < 10 { mid - level } else { mid + 1 + level };
        bin.size[slot] = (random.next_u64() % 400) as f64 / 2.0 + 1.0;
        bin.size_variance[slot] = (random.next_u64() % 1_000_000) as f64 / 7.0;
        bin.order_count[slot] = random.next_u64() % 900 + 100;
    }
    bin
}

/// Writes a file whose segments have these numbers of bins. The label of a row is its number
/// modulo 3, its movement the row number.
pub(crate) fn file(path: &Path, segments: &[u64], seed: u64) {
    file_with(path, segments, seed, |_, _| {});
}

/// The same, each bin changed by `edit`, which gets its row.
pub(crate) fn file_with(path: &Path, segments: &[u64], seed: u64, edit: impl Fn(u64, &mut Bin)) {
    let mut random = SplitMix64::new(seed);
    let options =
        WriterOptions { page_rows: 32, row_group_rows: 96, compression: Compression::None };
    let mut writer = BinWriter::create(path, 250_000_000, options).unwrap();
    let mut mid = 18_800;
    for (segment, &n) in (0..).zip(segments) {
        for _ in 0..n {
            let at = writer.rows();
            mid += i32::try_from(random.next_u64() % 3).unwrap() - 1;
            let label = i32::try_from(at % 3).unwrap();
            let mut bin = bin(at, mid, &mut random);
            edit(at, &mut bin);
            let (movement, forward) = (Some(at as f64), Vec::new());
            let row = StoredBin { bin, segment, movement, label: Some(label), forward };
            writer.push(&row).unwrap();
        }
    }
    let meta = StoreMeta {
        dataset: "MADE.UP".to_owned(),
        source_schema: "mbp-10".to_owned(),
        publisher_id: None,
        instrument_id: 1,
        symbol: "ESZ3".to_owned(),
        day: "2023-11-14".to_owned(),
        price_step: 250_000_000,
        bin_rule: BinRule::Updates(100),
        size_aggregate: SizeAggregate::Median,
        ..StoreMeta::default()
    };
    writer.finish(meta).unwrap();
}

/// A store of three files; 40 + 5 + 30 and 50 and 3 bins in their segments.
pub(crate) fn store(folder: &Path) {
    for (instrument, segments) in [(1, [40, 5, 30].as_slice()), (2, &[50]), (3, &[3])] {
        let path = folder.join(partition_path("2023-11-14", instrument));
        if !fs::exists(&path).unwrap() {
            file(&path, segments, u64::from(instrument));
        }
    }
}
