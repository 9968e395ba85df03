//! Clocks that say nothing or nonsense.

use dbn::{FlagSet, Mbp10Msg};
use lob_convert::{
    ConvertConfig, ConvertError, ConvertSummary, Inspection, Layout, convert, inspect, verify,
};
use lob_depth::BinRule;

use crate::{
    made::{DAY_1, DAY_NS, SECOND_NS, books_of, updates},
    small,
};

const BAD: FlagSet = FlagSet::empty().set_bad_ts_recv();
const UNDEFINED: u64 = u64::MAX;
const YEAR_NS: u64 = 365 * DAY_NS;
const RECORD_BYTES: u64 = 368;

fn config(out: std::path::PathBuf, layout: Layout) -> ConvertConfig {
    let mut config = small(out);
    config.layout = layout;
    (config.label.lookback, config.label.lookforward, config.label.offset) = (10, 10, 0);
    config
}

/// Which record is changed, and how.
type Change<'a> = (usize, &'a dyn Fn(&mut Mbp10Msg));

/// 200 updates of one day with some of them changed, in both layouts and with a header that spans
/// the day or has no end.
fn check(changes: &[Change<'_>], look: impl Fn(&ConvertSummary)) {
    let folder = tempfile::tempdir().unwrap();
    let mut records = updates(17, DAY_1 + DAY_NS / 2, 200, 100);
    for (at, change) in changes {
        change(&mut records[*at]);
    }
    for days in [1, 0] {
        let input = books_of(folder.path(), &format!("{days}.dbn"), days, &records);
        for layout in [Layout::Bins, Layout::Ticks] {
            let config = config(folder.path().join(format!("{days} {layout:?}")), layout);
            let summary = convert(std::slice::from_ref(&input), &config, &()).unwrap();
            let found: Vec<_> = summary.outputs.iter().map(|o| o.day.as_str()).collect();
            assert_eq!(found, ["2024-04-01"], "{days} {layout:?}");
            look(&summary);
            if layout == Layout::Ticks {
                let skipped: u64 = summary.skipped.values().sum();
                assert_eq!(summary.rows + skipped, 200);
            }
        }
    }
}

#[test]
fn the_other_clock_places_a_record() {
    let far = DAY_1 + 40 * YEAR_NS;
    for at in [0, 1, 100, 199] {
        for ts_recv in [0, UNDEFINED, far, 1_711_929_600, UNDEFINED - 1] {
            check(&[(at, &|record| record.ts_recv = ts_recv)], |summary| {
                // The first record of a file without a span has nothing to be held against.
                let n: u64 = summary.oddities.values().sum();
                assert!(n == 1 || (at == 0 && ts_recv == far), "{at} {ts_recv}: {n}");
                assert!(summary.skipped.is_empty(), "{:?}", summary.skipped);
            });
        }
        check(&[(at, &|record| record.flags = BAD)], |summary| {
            assert!(summary.oddities.get("bad_ts_recv").copied().unwrap_or(1) == 1);
        });
        // Flagged, and its event is that of days ago: the capture time is the better one.
        let old = |record: &mut Mbp10Msg| {
            record.flags = BAD;
            record.hd.ts_event -= 4 * DAY_NS;
        };
        check(&[(at, &old)], |summary| {
            assert_eq!(summary.oddities["odd_ts_event"], 1);
        });
    }
}

#[test]
fn odd_event_times_move_no_row() {
    let far = DAY_1 + 40 * YEAR_NS;
    for at in [0, 100, 199] {
        for ts_event in [0, UNDEFINED, far, DAY_1 - 5 * DAY_NS, DAY_1 + 3 * DAY_NS] {
            check(&[(at, &|record| record.hd.ts_event = ts_event)], |summary| {
                assert_eq!(summary.oddities["odd_ts_event"], 1);
                assert!(summary.skipped.is_empty(), "{:?}", summary.skipped);
            });
        }
    }
}

#[test]
fn what_no_clock_places_is_left_out_by_index_and_byte() {
    let far = DAY_1 + 40 * YEAR_NS;
    for (ts_recv, ts_event, reason) in [
        (UNDEFINED, UNDEFINED, "no_timestamp"),
        (0, 0, "no_timestamp"),
        (0, far, "impossible_timestamp"),
        (far, far, "impossible_timestamp"),
        (UNDEFINED, 1_711_929_600_000, "impossible_timestamp"),
    ] {
        let odd =
            |record: &mut Mbp10Msg| (record.ts_recv, record.hd.ts_event) = (ts_recv, ts_event);
        check(&[(100, &odd), (150, &odd)], |summary| {
            assert_eq!(summary.skipped[reason], 2, "{:?}", summary.skipped);
            let warning = summary.warnings.iter().find(|w| w.contains("no usable time")).unwrap();
            assert!(warning.contains("2 updates"), "{warning}");
            assert!(
                warning.contains("record 100 (byte ") && warning.ends_with(", 150"),
                "{warning}"
            );
        });
    }
    // The byte is the record's place in the decoded stream.
    let folder = tempfile::tempdir().unwrap();
    let mut records = updates(17, DAY_1, 60, 100);
    (records[7].ts_recv, records[7].hd.ts_event) = (0, 0);
    let input = books_of(folder.path(), "a.dbn", 1, &records);
    let bytes = std::fs::metadata(&input).unwrap().len();
    let byte = bytes - (60 - 7) * RECORD_BYTES;
    let config = config(folder.path().join("out"), Layout::Bins);
    let summary = convert(&[input], &config, &()).unwrap();
    let warning = &summary.warnings[0];
    assert!(warning.contains(&format!("record 7 (byte {byte} ")), "{warning}");
}

#[test]
fn a_file_without_any_time_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = updates(17, DAY_1, 60, 100);
    records.iter_mut().for_each(|r| (r.ts_recv, r.hd.ts_event) = (UNDEFINED, UNDEFINED));
    let input = books_of(folder.path(), "a.dbn", 1, &records);
    let error =
        convert(&[input], &config(folder.path().join("out"), Layout::Bins), &()).unwrap_err();
    assert!(matches!(error, ConvertError::NoBins { .. }), "{error}");
    assert!(error.to_string().contains("60 updates have no usable time"), "{error}");
}

#[test]
fn one_odd_event_time_swallows_no_bin_by_time() {
    let folder = tempfile::tempdir().unwrap();
    let bins = |name: &str, change: &dyn Fn(&mut Vec<Mbp10Msg>)| {
        let mut records = updates(17, DAY_1, 200, 100);
        change(&mut records);
        let input = books_of(folder.path(), &format!("{name}.dbn"), 1, &records);
        let mut config = config(folder.path().join(name), Layout::Bins);
        config.bin_rule = BinRule::TimeNs(10 * SECOND_NS);
        let summary = convert(&[input], &config, &()).unwrap();
        assert_eq!(summary.outputs.len(), 1, "{name}");
        summary.rows
    };
    assert_eq!(bins("whole", &|_| {}), 20);
    for (name, ts_event) in [
        ("year", DAY_1 + YEAR_NS),
        ("day", DAY_1 + DAY_NS),
        ("undefined", UNDEFINED),
        ("zero", 0),
        ("past", DAY_1 - YEAR_NS),
    ] {
        assert_eq!(bins(name, &|records| records[55].hd.ts_event = ts_event), 20, "{name}");
        let several = |records: &mut Vec<Mbp10Msg>| {
            records[50..90].iter_mut().step_by(3).for_each(|r| r.hd.ts_event = ts_event);
        };
        assert_eq!(bins(&format!("{name}, several"), &several), 20, "{name}");
    }
    // Not far enough to be told by the other clock: one bin too many, and nothing is swallowed.
    let minute = |records: &mut Vec<Mbp10Msg>| records[55].hd.ts_event += 60 * SECOND_NS;
    assert_eq!(bins("minute", &minute), 22);
}

/// Seconds and ranges of a file are those its rows would have, whatever single clocks say.
#[test]
fn the_range_of_a_file_holds_no_time_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let (first, last) = (DAY_1 + DAY_NS / 2, DAY_1 + DAY_NS / 2 + 199 * SECOND_NS);
    let far = DAY_1 + 40 * YEAR_NS;
    for days in [1, 0] {
        for (n, &(ts_recv, ts_event, untimed)) in [
            (0, first + 100 * SECOND_NS, 0),
            (UNDEFINED, first + 100 * SECOND_NS, 0),
            (far, first + 100 * SECOND_NS, 0),
            (first + 100 * SECOND_NS, 0, 0),
            (first + 100 * SECOND_NS, far, 0),
            (0, 0, 1),
            (far, far, 1),
            (1_711_929_600, UNDEFINED, 1),
        ]
        .iter()
        .enumerate()
        {
            let mut records = updates(17, first, 200, 100);
            (records[100].ts_recv, records[100].hd.ts_event) = (ts_recv, ts_event);
            let input = books_of(folder.path(), &format!("{days} {n}.dbn"), days, &records);
            let report = verify(&input).unwrap();
            assert_eq!(report.ts_range, Some((first, last)), "{days} {n}");
            assert_eq!(report.instruments[0].ts_event_range, Some((first, last)), "{days} {n}");
            assert_eq!(report.oddities.untimed, untimed, "{days} {n}");
            let Inspection::Dbn(seen) = inspect(&input).unwrap() else { panic!("a DBN file") };
            assert_eq!(seen.report.ts_range, Some((first, last)), "{days} {n}");
        }
    }
}
