//! A book that is put together makes no row.

use dbn::{FlagSet, MboMsg, Mbp10Msg};
use lob_convert::{ConvertConfig, ConvertError, ConvertSummary, Layout, convert};
use lob_depth::{BinColumns, BinRule};
use lob_store::{Store, read_tick_meta};

use crate::{
    made::{DAY_1, DAY_NS, SECOND_NS, books_of, order, orders, update, updates},
    small,
};

const LAST: FlagSet = FlagSet::empty().set_last();
const SNAPSHOT: FlagSet = FlagSet::empty().set_snapshot();
/// As the vendor flags them.
const VENDORS: FlagSet = FlagSet::empty().set_snapshot().set_bad_ts_recv();
const VENDORS_LAST: FlagSet = FlagSet::empty().set_snapshot().set_bad_ts_recv().set_last();
const NONE: FlagSet = FlagSet::empty();
/// Orders of a snapshot on each side.
const DEPTH: u64 = 20;

/// A clear and the adds of a snapshot taken at `ts`, whose orders are days old.
fn snapshot(ts: u64, flags: FlagSet) -> Vec<MboMsg> {
    let old = |n: u64| ts - 5 * DAY_NS + n * SECOND_NS;
    let mut records = vec![order((ts, ts), flags, ('R', 'N'), 0, 0)];
    for n in 0..DEPTH {
        let (id, away) = (1_000 + 2 * n, i64::try_from(n).unwrap());
        records.push(order((ts, old(2 * n)), flags, ('A', 'B'), id, 20_000 - away));
        records.push(order((ts, old(2 * n + 1)), flags, ('A', 'A'), id + 1, 20_001 + away));
    }
    records.last_mut().unwrap().flags.set_last();
    records
}

/// `n` pairs of an order and its cancel at the best bid, one event a second from `ts`.
fn live(ts: u64, n: u64) -> Vec<MboMsg> {
    (0..2 * n)
        .map(|i| {
            let at = ts + i * SECOND_NS;
            let action = if i % 2 == 0 { 'A' } else { 'C' };
            order((at + 900, at), LAST, (action, 'B'), 5 + i / 2, 20_000)
        })
        .collect()
}

fn config(out: std::path::PathBuf, layout: Layout) -> ConvertConfig {
    let mut config = small(out);
    config.bin_rule = BinRule::Updates(10);
    config.layout = layout;
    (config.label.lookback, config.label.lookforward, config.label.offset) = (10, 10, 0);
    config
}

/// Rows of each segment, from a store of bins.
fn segment_rows(summary: &ConvertSummary) -> Vec<u64> {
    let store = Store::open(&summary.outputs[0].path).unwrap();
    store.files()[0].meta().segments.iter().map(|segment| segment.rows).collect()
}

/// Converts into bins and ticks. All rows lie on 2024-04-01, none belongs to a snapshot, and bins
/// of one update are the ticks; gives the bins' segments.
fn check(input: &std::path::Path, n_events: u64, n_snapshot: u64) -> Vec<u64> {
    let folder = tempfile::tempdir().unwrap();
    let name = input.display();
    let ticks = config(folder.path().join("ticks"), Layout::Ticks);
    let ticks = convert(&[input.to_owned()], &ticks, &()).unwrap();
    let days: Vec<_> = ticks.outputs.iter().map(|output| output.day.as_str()).collect();
    assert_eq!((days, ticks.rows), (vec!["2024-04-01"], n_events), "{name}");
    assert_eq!(ticks.skipped["snapshot"], n_snapshot, "{name}");
    let (first, last) =
        read_tick_meta(&ticks.outputs[0].path).unwrap().unwrap().ts_event_range.unwrap();
    assert!(DAY_1 <= first && last < DAY_1 + DAY_NS, "{name}: {first}..{last}");

    let mut single = config(folder.path().join("single"), Layout::Bins);
    single.bin_rule = BinRule::Updates(1);
    let single = convert(&[input.to_owned()], &single, &()).unwrap();
    assert_eq!((single.rows, single.samples), (ticks.rows, ticks.samples), "{name}");

    let bins = config(folder.path().join("bins"), Layout::Bins);
    let bins = convert(&[input.to_owned()], &bins, &()).unwrap();
    assert_eq!(bins.outputs.len(), 1, "{name}");
    let file = lob_store::BinFile::open(&bins.outputs[0].path).unwrap();
    let times = file.labels(0..file.len()).unwrap().ts_event;
    assert!(times.iter().all(|ts| (DAY_1..DAY_1 + DAY_NS).contains(ts)), "{name}");
    let mut columns = BinColumns::default();
    file.read(0..file.len(), &mut columns).unwrap();
    // The book is whole from the first bin on: ten levels on both sides.
    assert!(columns.px.iter().all(|px| *px != lob_depth::NO_PRICE), "{name}");
    segment_rows(&bins)
}

#[test]
fn a_day_begins_when_its_snapshot_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    for (name, flags) in [("flag", SNAPSHOT), ("vendor", VENDORS), ("bare", NONE)] {
        let records = [snapshot(DAY_1, flags), live(DAY_1 + SECOND_NS, 250)].concat();
        let input = orders(folder.path(), &format!("{name}.mbo.dbn"), 1, &records);
        // The clear and each of the twenty orders within sight; deeper ones change nothing.
        assert_eq!(check(&input, 500, 21), [50], "{name}");
    }
    // The vendor's daily files begin without a clear.
    let records = [&snapshot(DAY_1, VENDORS)[1..], &live(DAY_1 + SECOND_NS, 250)].concat();
    let input = orders(folder.path(), "no clear.mbo.dbn", 1, &records);
    assert_eq!(check(&input, 500, 20), [50]);
}

#[test]
fn a_recovery_in_mid_day_parts_segments() {
    let folder = tempfile::tempdir().unwrap();
    let noon = DAY_1 + DAY_NS / 2;
    // A time not long after the events before, which no gap parts.
    let before = live(noon - 110 * SECOND_NS, 50);
    let after = live(noon + SECOND_NS, 60);
    for (name, flags) in [("flag", SNAPSHOT), ("vendor", VENDORS), ("bare", NONE)] {
        let start = snapshot(noon - 120 * SECOND_NS, VENDORS);
        let records = [start, before.clone(), snapshot(noon, flags), after.clone()].concat();
        let input = orders(folder.path(), &format!("{name}.mbo.dbn"), 1, &records);
        assert_eq!(check(&input, 220, 42), [10, 12], "{name}");
    }
    // Without a clear, and with orders that rest already: nothing of the book changes.
    let start = snapshot(noon - 120 * SECOND_NS, VENDORS);
    let again = snapshot(noon, VENDORS)[1..].to_vec();
    let records = [start, before, again, after].concat();
    let input = orders(folder.path(), "same.mbo.dbn", 1, &records);
    assert_eq!(check(&input, 220, 22), [10, 12]);
}

#[test]
fn snapshots_of_ten_levels_make_no_row_either() {
    let folder = tempfile::tempdir().unwrap();
    let flagged = |flags: FlagSet, ts_recv, ts_event| -> Mbp10Msg {
        let mut record = update(17, ts_event, 100);
        (record.ts_recv, record.flags) = (ts_recv, flags);
        record
    };
    let noon = DAY_1 + DAY_NS / 2;
    let before = updates(17, noon, 100, 100);
    let after = updates(17, noon + 101 * SECOND_NS, 120, 100);
    for (name, flags) in [("flag", SNAPSHOT), ("vendor", VENDORS_LAST)] {
        let old = |ts| flagged(flags, ts, ts - 3 * DAY_NS);
        let records =
            [vec![old(DAY_1)], before.clone(), vec![old(noon + 100 * SECOND_NS)], after.clone()];
        let input = books_of(folder.path(), &format!("{name}.dbn"), 1, &records.concat());
        assert_eq!(check(&input, 220, 2), [10, 12], "{name}");
    }
    // A clear and adds whose flags do not tell.
    let mut clear = flagged(NONE, noon + 100 * SECOND_NS, noon + 100 * SECOND_NS);
    clear.action = b'R'.cast_signed();
    let half = flagged(NONE, clear.ts_recv, DAY_1 - DAY_NS);
    let whole = flagged(LAST, clear.ts_recv, DAY_1 - DAY_NS);
    let records = [before, vec![clear, half, whole], after].concat();
    let input = books_of(folder.path(), "bare.dbn", 1, &records);
    assert_eq!(check(&input, 220, 3), [10, 12]);
}

#[test]
fn of_several_instruments_each_waits_for_its_own_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let other = |mut records: Vec<MboMsg>| {
        records.iter_mut().for_each(|record| record.hd.instrument_id = 18);
        records
    };
    let begin = snapshot(DAY_1, NONE);
    let (head, tail) = begin.split_at(15);
    // Events of 18 come while 17 is put together.
    let records = [
        other(snapshot(DAY_1, NONE)),
        head.to_vec(),
        other(live(DAY_1 + SECOND_NS, 50)),
        tail.to_vec(),
        live(DAY_1 + 200 * SECOND_NS, 60),
    ];
    let input = orders(folder.path(), "a.mbo.dbn", 1, &records.concat());
    let config = config(folder.path().join("out"), Layout::Bins);
    let summary = convert(&[input], &config, &()).unwrap();
    let rows: Vec<_> = summary.outputs.iter().map(|o| (o.instrument_id, o.rows)).collect();
    assert_eq!(rows, [(17, 12), (18, 10)]);
    assert_eq!(summary.skipped["snapshot"], 42);
}

#[test]
fn a_file_of_nothing_but_a_snapshot_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let alone = orders(folder.path(), "alone.mbo.dbn", 1, &snapshot(DAY_1, VENDORS));
    let day = [snapshot(DAY_1, VENDORS), live(DAY_1 + SECOND_NS, 250)].concat();
    let day = orders(folder.path(), "day.mbo.dbn", 1, &day);
    for layout in [Layout::Bins, Layout::Ticks] {
        let config = config(folder.path().join(format!("{layout:?}")), layout);
        let error = convert(std::slice::from_ref(&alone), &config, &()).unwrap_err();
        assert!(matches!(error, ConvertError::NoBins { .. }), "{error}");
        assert!(error.to_string().contains("only a snapshot of the book"), "{error}");
        assert!(!config.out.exists());
        // Beside a day of data it is a warning.
        let summary = convert(&[alone.clone(), day.clone()], &config, &()).unwrap();
        assert_eq!(summary.outputs.len(), 1);
        assert!(summary.warnings.iter().any(|w| w.contains("only a snapshot")));
    }
}
