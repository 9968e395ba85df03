//! No bin, window or label crosses an instrument, a break, a clear or a gap.

use lob_convert::{ConvertConfig, PriceStepSource, convert};
use lob_store::Store;

use crate::{
    made::{DAY_1, DAY_NS, Mapped, QUARTER, SECOND_NS, books, updates},
    small,
};

/// Bins of each segment, and labelled bins, of an instrument's file on a day.
fn segments(config: &ConvertConfig, instrument_id: u32, day: &str) -> (Vec<u64>, usize) {
    let store = Store::open(&config.out).unwrap();
    let is_it =
        |meta: &lob_store::StoreMeta| meta.instrument_id == instrument_id && meta.day == day;
    let file = store.files().iter().find(|file| is_it(file.meta())).unwrap();
    let labels = file.labels(0..file.len()).unwrap();
    let rows = file.meta().segments.iter().map(|segment| segment.rows).collect();
    (rows, labels.label.iter().flatten().count())
}

/// Settings for bins of 20 updates and labels over 10 updates on both sides.
fn config(out: std::path::PathBuf) -> ConvertConfig {
    let mut config = small(out);
    (config.label.lookback, config.label.lookforward, config.label.offset) = (10, 10, 0);
    config
}

#[test]
fn gaps_and_clears_end_segments() {
    let folder = tempfile::tempdir().unwrap();
    let whole = updates(17, DAY_1, 50, 100);
    let mut gap = updates(17, DAY_1, 25, 100);
    gap.extend(updates(17, DAY_1 + 3_600 * SECOND_NS, 25, 100));
    let mut clear = updates(17, DAY_1, 50, 100);
    clear[25].action = b'R'.cast_signed();
    let out = |name: &str| config(folder.path().join(name));
    let check = |name: &str, records: &[_], config: &ConvertConfig, expected: &[u64], labels| {
        let input = books(folder.path(), &format!("{name}.dbn"), &[], records);
        convert(&[input], config, &()).unwrap();
        let found = segments(config, 17, "2024-04-01");
        assert_eq!(found, (expected.to_vec(), labels), "{name}");
    };
    // Bins end at updates 20, 40 and 50; the first two have whole windows around them.
    check("whole", &whole, &out("whole"), &[3], 2);
    // Bins end 20 and 25 updates into each half; neither has 10 updates behind it.
    check("gap", &gap, &out("gap"), &[2, 2], 0);
    check("clear", &clear, &out("clear"), &[2, 2], 0);
    let mut no_gap = out("no gap");
    no_gap.gap_ns = u64::MAX;
    check("no gap", &gap, &no_gap, &[3], 2);
    no_gap.out = folder.path().join("no gap, clear");
    check("no gap, clear", &clear, &no_gap, &[2, 2], 0);
}

#[test]
fn instruments_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    // A spread with negative prices among the updates of its legs, and an id of two publishers.
    let legs = updates(17, DAY_1, 50, 100);
    let spread = updates(18, DAY_1, 50, -40);
    let mut other = updates(17, DAY_1, 50, 7_000);
    other.iter_mut().for_each(|record| record.hd.publisher_id = 2);
    let records: Vec<_> = legs
        .into_iter()
        .zip(spread)
        .zip(other)
        .flat_map(|((leg, spread), other)| [leg, spread, other])
        .collect();
    let mapped = [Mapped("ESM4", 17, 1, 2), Mapped("ESM4-ESU4", 18, 1, 2)];
    let input = books(folder.path(), "a.dbn", &mapped, &records);
    let config = config(folder.path().join("out"));
    let summary = convert(&[input], &config, &()).unwrap();
    assert_eq!(summary.outputs.len(), 3);
    assert!(summary.outputs.iter().all(|o| (o.rows, o.price_step) == (3, QUARTER)));
    let detected = Some(PriceStepSource::Detected);
    assert!(summary.outputs.iter().all(|output| output.price_step_from == detected));
    let store = Store::open(&config.out).unwrap();
    let spread = store.files().iter().find(|f| f.meta().symbol == "ESM4-ESU4").unwrap();
    let mut bins = lob_depth::BinColumns::default();
    spread.read(0..3, &mut bins).unwrap();
    // Best prices in steps after 20, 40 and 50 updates of the wave around -40 quarters.
    assert_eq!(bins.last_bid, [-39, -38, -39]);
    assert_eq!(bins.last_ask, [-38, -37, -38]);
}

#[test]
fn an_id_that_changes_its_meaning_in_mid_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = updates(17, DAY_1 + DAY_NS - 30 * SECOND_NS, 60, 100);
    // The second half lies on the next day, and is another instrument.
    records.extend(updates(17, DAY_1 + DAY_NS + 30 * SECOND_NS, 20, 9_000));
    let mapped = [Mapped("ESM4", 17, 1, 2), Mapped("NQM4", 17, 2, 3)];
    let input = books(folder.path(), "a.dbn", &mapped, &records);
    let config = config(folder.path().join("out"));
    let summary = convert(std::slice::from_ref(&input), &config, &()).unwrap();
    let found: Vec<_> =
        summary.outputs.iter().map(|o| (o.symbol.as_str(), o.day.as_str(), o.rows)).collect();
    assert_eq!(found, [("ESM4", "2024-04-01", 2), ("NQM4", "2024-04-02", 3)]);
    assert_eq!(segments(&config, 17, "2024-04-01").0, [2]);
    // The filter follows the meaning.
    let only = ConvertConfig {
        symbols: vec!["NQM4".to_owned()],
        out: folder.path().join("only"),
        ..config
    };
    let summary = convert(&[input], &only, &()).unwrap();
    assert_eq!(summary.outputs.len(), 1);
    assert_eq!((summary.outputs[0].rows, summary.skipped["filtered"]), (3, 30));
}

#[test]
fn a_session_may_begin_the_evening_before() {
    let folder = tempfile::tempdir().unwrap();
    let input =
        books(folder.path(), "a.dbn", &[], &updates(17, DAY_1 + DAY_NS - 30 * SECOND_NS, 60, 100));
    let mut config = config(folder.path().join("out"));
    config.day_start_ns = -2 * 3_600 * 1_000_000_000;
    let summary = convert(&[input], &config, &()).unwrap();
    assert_eq!(summary.outputs.len(), 1, "midnight is no break of such a session");
    assert_eq!(segments(&config, 17, "2024-04-02").0, [3]);
}
