//! Real CME records, where this checkout has them beside it.

use std::path::Path;

use dbn::{
    MboMsg,
    decode::{DbnDecoder, DecodeRecord},
};
use lob_book::{ReplayStats, Replayer};

use crate::evidence::real;

fn stats_of(path: &Path) -> ReplayStats {
    let mut decoder = DbnDecoder::from_zstd_file(path).unwrap();
    let mut replayer = Replayer::new();
    while let Some(record) = decoder.decode_record::<MboMsg>().unwrap() {
        replayer.push_ref(record).unwrap();
    }
    replayer.stats()
}

#[test]
fn a_holiday_of_the_index_future() {
    let Some(path) = real("nautilus_esh4-20231225.mbo.dbn.zst") else { return };
    let stats = stats_of(&path);
    println!("{stats:?}");
    assert_eq!((stats.records, stats.emitted), (68_792, 43_790));
    assert_eq!(stats.trades, 2_973);
    assert_eq!((stats.unknown_cancels, stats.unknown_modifies), (0, 0));
    assert_eq!((stats.oversized_cancels, stats.duplicate_adds, stats.sideless), (0, 0, 0));
    assert_eq!(stats.crossed_at_last, 143);
}

#[test]
fn a_snapshot_of_the_index_future() {
    let Some(path) = real("nautilus_esh4-20231224.mbo.dbn.zst") else { return };
    let stats = stats_of(&path);
    println!("{stats:?}");
    assert_eq!((stats.records, stats.emitted), (8_725, 73));
    assert_eq!(stats.snapshots, 8_725);
    assert_eq!((stats.unknown_cancels, stats.unknown_modifies, stats.duplicate_adds), (0, 0, 0));
}
