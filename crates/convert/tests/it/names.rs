//! What an instrument is: an id of a publisher, as long as it means the same symbol.

use std::path::Path;

use dbn::Mbp10Msg;
use lob_convert::{
    ConvertConfig, ConvertSummary, Inspection, Layout, RecordStream, convert, inspect, verify,
};
use lob_store::Store;

use crate::{
    evidence::real,
    made::{DAY_1, DAY_NS, Live, Mapped, QUARTER, SECOND_NS, add, books, capture, symbol, updates},
    small,
};

pub(crate) const NOON: u64 = DAY_1 + DAY_NS / 2;
const CENT: i64 = 10_000_000;

/// Settings for bins of 20 updates and labels over 10 updates on both sides.
pub(crate) fn config(out: std::path::PathBuf, layout: Layout) -> ConvertConfig {
    let mut config = small(out);
    (config.label.lookback, config.label.lookforward, config.label.offset) = (10, 10, 0);
    (config.label.classes, config.layout) = (3, layout);
    config
}

/// Updates whose prices are cents, and no quarters.
fn in_cents(instrument_id: u32, from: u64, n: u64) -> Vec<Mbp10Msg> {
    let mut records = updates(instrument_id, from, n, 100);
    for level in records.iter_mut().flat_map(|record| &mut record.levels) {
        (level.bid_px, level.ask_px) = (level.bid_px / 25, level.ask_px / 25);
    }
    records
}

pub(crate) fn live(records: Vec<Mbp10Msg>) -> impl Iterator<Item = Live> {
    records.into_iter().map(Live::Book)
}

/// Symbol, day, rows and price step of each output.
pub(crate) fn found(summary: &ConvertSummary) -> Vec<(&str, &str, u64, i64)> {
    let outputs = summary.outputs.iter();
    outputs.map(|o| (o.symbol.as_str(), o.day.as_str(), o.rows, o.price_step)).collect()
}

/// Every output is a file of its own that says the symbol of the summary.
fn check_files(summary: &ConvertSummary) {
    let mut paths: Vec<_> = summary.outputs.iter().map(|output| &output.path).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), summary.outputs.len(), "{paths:?}");
    for output in &summary.outputs {
        let Inspection::Store(file) = inspect(&output.path).unwrap() else { panic!("a store") };
        assert_eq!((&file.files[0].symbol, file.rows), (&output.symbol, output.rows));
    }
}

/// What `next_update` says of each update.
pub(crate) fn names_of(path: &Path) -> Vec<String> {
    let mut stream = RecordStream::open(path).unwrap();
    let mut names = Vec::new();
    while let Some(update) = stream.next_update().unwrap() {
        names.push(update.instrument.name());
    }
    names
}

pub(crate) fn count(names: &[String], name: &str) -> usize {
    names.iter().filter(|other| *other == name).count()
}

/// Converts in both layouts, whole and by each symbol; the outputs of bins.
fn check_both_layouts(folder: &Path, input: &Path, expected: &[(&str, &str, u64)]) {
    for layout in [Layout::Bins, Layout::Ticks] {
        let step = |rows: u64| if layout == Layout::Bins { rows.div_ceil(20) } else { rows };
        let of = |only: Option<&str>| -> Vec<_> {
            let wanted = expected.iter().filter(|(symbol, ..)| only.is_none_or(|o| o == *symbol));
            wanted.map(|(symbol, day, n)| (*symbol, *day, step(*n))).collect()
        };
        let run = |only: Option<&str>| {
            let out = folder.join(format!("{layout:?}-{}", only.unwrap_or("all")));
            let mut config = config(out, layout);
            config.symbols = only.map(str::to_owned).into_iter().collect();
            let summary = convert(&[input.to_owned()], &config, &()).unwrap();
            check_files(&summary);
            summary
        };
        let rows = |summary: &ConvertSummary| -> Vec<(String, String, u64)> {
            let rows = found(summary).into_iter();
            rows.map(|(s, d, n, _)| (s.to_owned(), d.to_owned(), n)).collect()
        };
        let shown = |list: Vec<(&str, &str, u64)>| -> Vec<(String, String, u64)> {
            list.into_iter().map(|(s, d, n)| (s.to_owned(), d.to_owned(), n)).collect()
        };
        assert_eq!(rows(&run(None)), shown(of(None)), "{layout:?}");
        for (only, ..) in expected {
            assert_eq!(rows(&run(Some(only))), shown(of(Some(only))), "{layout:?}, {only}");
        }
        let mut by_id = config(folder.join(format!("{layout:?}-by-id")), layout);
        by_id.instrument_ids = vec![5];
        let summary = convert(&[input.to_owned()], &by_id, &()).unwrap();
        assert_eq!(rows(&summary), shown(of(None)), "{layout:?}: an id is all that it meant");
    }
}

#[test]
fn a_live_capture_of_two_sessions_has_two_instruments_of_one_id() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = vec![symbol(5, "ESM4", None)];
    records.extend(live(updates(5, DAY_1, 60, 100)));
    records.push(symbol(5, "NQM4", None));
    records.extend(live(updates(5, DAY_1 + DAY_NS, 40, 9_000)));
    let input = capture(folder.path(), "a.dbn", &records);
    let expected = [("ESM4", "2024-04-01", 60), ("NQM4", "2024-04-02", 40)];
    check_both_layouts(folder.path(), &input, &expected);
    let report = verify(&input).unwrap();
    assert!(report.is_sound() && report.defects.is_empty(), "{:?}", report.defects);
    let counts: Vec<_> =
        report.instruments.iter().map(|i| (i.symbol.as_deref().unwrap(), i.records)).collect();
    assert_eq!(counts, [("ESM4", 60), ("NQM4", 40)]);
    let Inspection::Dbn(found) = inspect(&input).unwrap() else { panic!("DBN") };
    assert_eq!(found.report.instruments, report.instruments);
}

#[test]
fn a_change_at_noon_splits_the_day() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = vec![symbol(5, "ESM4", None)];
    records.extend(live(updates(5, NOON - 50 * SECOND_NS, 50, 100)));
    records.push(symbol(5, "NQM4", None));
    // No pause between them, and less than a bin on both sides of the change.
    records.extend(live(updates(5, NOON, 30, 9_000)));
    let input = capture(folder.path(), "a.dbn", &records);
    let expected = [("ESM4", "2024-04-01", 50), ("NQM4", "2024-04-01", 30)];
    check_both_layouts(folder.path(), &input, &expected);
    // Taken over from the journal, and converted again, they are the same two files.
    let mut config = config(folder.path().join("Bins-all"), Layout::Bins);
    let again = convert(std::slice::from_ref(&input), &config, &()).unwrap();
    config.resume = true;
    let resumed = convert(&[input], &config, &()).unwrap();
    assert!(resumed.inputs[0].resumed);
    assert_eq!(again.outputs, resumed.outputs);
    assert_eq!(Store::open(&config.out).unwrap().files().len(), 2);
}

#[test]
fn an_id_of_two_symbols_has_steps_edges_and_segments_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = updates(5, DAY_1 + DAY_NS - 300 * SECOND_NS, 300, 20_000);
    records.extend(in_cents(5, DAY_1 + DAY_NS, 300));
    let mapped = [Mapped("ESM4", 5, 1, 2), Mapped("CLM4", 5, 2, 3)];
    let input = books(folder.path(), "a.dbn", &mapped, &records);
    let config = config(folder.path().join("out"), Layout::Bins);
    let summary = convert(&[input], &config, &()).unwrap();
    let expected = [("ESM4", "2024-04-01", 15, QUARTER), ("CLM4", "2024-04-02", 15, CENT)];
    assert_eq!(found(&summary), expected);
    check_files(&summary);
    // The edges of each are those of its day alone.
    let edges = |path: &Path| {
        let store = Store::open(path).unwrap();
        let of = |symbol: &str| {
            let file = store.files().iter().find(|file| file.meta().symbol == symbol);
            file.map(|file| file.meta().label.edges.clone())
        };
        (of("ESM4"), of("CLM4"))
    };
    let both = edges(&config.out);
    for (name, records, mapped) in
        [("es", &records[..300], &mapped[..1]), ("cl", &records[300..], &mapped[1..])]
    {
        let input = books(folder.path(), &format!("{name}.dbn"), mapped, records);
        let alone = ConvertConfig { out: folder.path().join(name), ..config.clone() };
        convert(&[input], &alone, &()).unwrap();
        let alone = edges(&alone.out);
        assert!(alone.0 == both.0 || alone.1 == both.1, "{name}: {both:?}, alone {alone:?}");
    }
    assert_ne!(both.0, both.1);
}

#[test]
fn an_id_that_comes_back_is_the_same_instrument_in_a_new_segment() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = Vec::new();
    for (n, name) in (0..).zip(["ESM4", "NQM4", "ESM4"]) {
        records.push(symbol(5, name, None));
        records.extend(live(updates(5, NOON + n * 30 * SECOND_NS, 30, 100)));
    }
    let input = capture(folder.path(), "a.dbn", &records);
    let config = config(folder.path().join("out"), Layout::Bins);
    let summary = convert(std::slice::from_ref(&input), &config, &()).unwrap();
    // Bins end 20 and 30 updates into each stretch.
    let expected = [("ESM4", "2024-04-01", 4, QUARTER), ("NQM4", "2024-04-01", 2, QUARTER)];
    assert_eq!(found(&summary), expected);
    let store = Store::open(&config.out).unwrap();
    let file = store.files().iter().find(|file| file.meta().symbol == "ESM4").unwrap();
    let rows: Vec<_> = file.meta().segments.iter().map(|segment| segment.rows).collect();
    assert_eq!(rows, [2, 2]);
    // No label looks into the stretch of the other.
    let ticks = ConvertConfig { layout: Layout::Ticks, out: folder.path().join("ticks"), ..config };
    let summary = convert(&[input], &ticks, &()).unwrap();
    assert_eq!(summary.outputs[0].rows, 60);
    // Each stretch has as many labels as one alone.
    assert_eq!(summary.outputs[0].samples, 2 * summary.outputs[1].samples);
}

#[test]
fn orders_of_the_former_symbol_are_not_in_the_book() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = vec![symbol(5, "ESM4", None)];
    let mut order_id = 0;
    let mut rest = |records: &mut Vec<Live>, id: u32, ts: u64, side: u8, steps: i64| {
        order_id += 1;
        records.push(Live::Order(add(id, ts, order_id, side, steps)));
    };
    for i in 0..30 {
        rest(&mut records, 5, NOON + i, b'B', 100 - i as i64);
        rest(&mut records, 6, NOON + i, b'B', 500 - i as i64);
    }
    records.push(symbol(5, "NQM4", None));
    rest(&mut records, 5, NOON + 100, b'B', 40);
    rest(&mut records, 6, NOON + 100, b'B', 501);
    rest(&mut records, 5, NOON + 101, b'A', 42);
    let input = capture(folder.path(), "a.dbn", &records);
    let mut stream = RecordStream::open(&input).unwrap();
    let mut last = std::collections::BTreeMap::new();
    while let Some(update) = stream.next_update().unwrap() {
        last.insert(update.instrument.name(), update.record.levels.clone());
    }
    let best = |name: &str| (last[name][0].bid_px / QUARTER, last[name][0].ask_px / QUARTER);
    assert_eq!(best("NQM4"), (40, 42));
    assert_eq!(last["NQM4"][1].bid_px, i64::MAX, "nothing else rests there");
    assert_eq!(best("ESM4").0, 100);
    // The other id keeps its book.
    assert_eq!((best("6").0, last["6"][1].bid_px / QUARTER), (501, 500));
    // As a mere iterator of books, and for `verify`, it is the same stream.
    let mut plain = RecordStream::open(&input).unwrap();
    let mut n_deep = 0;
    while let Some(update) = plain.next().unwrap() {
        let is_new = update.hd.instrument_id == 5 && update.ts_recv >= NOON + 100;
        n_deep += usize::from(is_new && update.levels[1].bid_px != i64::MAX);
    }
    assert_eq!(n_deep, 0);
    assert_eq!(verify(&input).unwrap().oddities.one_sided, 22);
    let expected = [("ESM4", "2024-04-01", 10), ("NQM4", "2024-04-01", 2)];
    check_ticks_of_id_5(folder.path(), &input, &expected);
}

/// The outputs of instrument 5 alone, in the layout of ticks.
fn check_ticks_of_id_5(folder: &Path, input: &Path, expected: &[(&str, &str, u64)]) {
    let mut config = config(folder.join("ticks of 5"), Layout::Ticks);
    config.instrument_ids = vec![5];
    let summary = convert(&[input.to_owned()], &config, &()).unwrap();
    let rows: Vec<_> = found(&summary).into_iter().map(|(s, d, n, _)| (s, d, n)).collect();
    assert_eq!(rows, expected);
    assert_eq!(summary.skipped["filtered"], 11);
}

#[test]
fn a_book_begun_before_its_name_is_known_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = Vec::new();
    for i in 0..5 {
        records.push(Live::Order(add(5, NOON + i, i + 1, b'B', 100 - i as i64)));
    }
    records.push(symbol(5, "ESM4", None));
    records.push(Live::Order(add(5, NOON + 9, 9, b'A', 102)));
    let input = capture(folder.path(), "a.dbn", &records);
    let mut stream = RecordStream::open(&input).unwrap();
    let mut named = 0;
    while let Some(update) = stream.next_update().unwrap() {
        if update.instrument.symbol.is_some() {
            named += 1;
            let levels = &update.record.levels;
            assert_eq!(levels[4].bid_px, 96 * QUARTER);
            assert_eq!(levels[0].ask_px, 102 * QUARTER);
        }
    }
    assert_eq!((named, stream.instruments().len()), (1, 2));
}

#[test]
fn mapping_records_with_times_hold_between_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = vec![
        symbol(5, "ESM4", Some((DAY_1, NOON))),
        symbol(5, "NQM4", Some((NOON, DAY_1 + DAY_NS))),
    ];
    records.extend(live(updates(5, NOON - 30 * SECOND_NS, 60, 100)));
    let input = capture(folder.path(), "a.dbn", &records);
    let expected = [("ESM4", "2024-04-01", 30), ("NQM4", "2024-04-01", 30)];
    check_both_layouts(folder.path(), &input, &expected);
}

#[test]
fn snapshots_with_old_event_times_have_the_name_of_their_day() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = updates(5, DAY_1 + DAY_NS, 60, 100);
    for record in &mut records[..30] {
        record.hd.ts_event = DAY_1 - 5 * DAY_NS;
    }
    let mapped = [Mapped("ESM4", 5, 2, 3)];
    let input = books(folder.path(), "a.dbn", &mapped, &records);
    assert_eq!(count(&names_of(&input), "ESM4"), 60);
    // An hour of records that no mapping covers does not cost the rest its name.
    let mut late = updates(5, DAY_1 + DAY_NS - 30 * SECOND_NS, 60, 100);
    for record in &mut late[..10] {
        record.hd.ts_event += 40 * SECOND_NS;
    }
    let input = books(folder.path(), "b.dbn", &mapped, &late);
    let names = names_of(&input);
    assert_eq!((count(&names, "5"), count(&names, "ESM4")), (20, 40));
    assert!(names[..10].iter().all(|name| name == "ESM4"), "the event lies in the interval");
}

#[test]
fn without_mappings_the_id_is_the_name_and_publishers_are_apart() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = updates(5, DAY_1, 40, 100);
    records.iter_mut().skip(1).step_by(2).for_each(|record| record.hd.publisher_id = 2);
    let input = books(folder.path(), "a.dbn", &[], &records);
    let summary = convert(
        std::slice::from_ref(&input),
        &config(folder.path().join("out"), Layout::Ticks),
        &(),
    )
    .unwrap();
    let expected = [("5", "2024-04-01", 20, 1), ("5", "2024-04-01", 20, 1)];
    assert_eq!(found(&summary), expected);
    check_files(&summary);
    let report = verify(&input).unwrap();
    let counts: Vec<_> =
        report.instruments.iter().map(|i| (i.publisher_id, i.records, &i.symbol)).collect();
    assert_eq!(counts, [(1, 20, &None), (2, 20, &None)]);
}

#[test]
fn a_symbol_that_moves_to_another_id_is_a_file_of_each_id() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = vec![symbol(5, "ESM4", None)];
    records.extend(live(updates(5, NOON - 30 * SECOND_NS, 30, 100)));
    records.push(symbol(6, "ESM4", None));
    records.extend(live(updates(6, NOON, 30, 100)));
    let input = capture(folder.path(), "a.dbn", &records);
    let mut config = config(folder.path().join("out"), Layout::Ticks);
    config.symbols = vec!["ESM4".to_owned()];
    let summary = convert(&[input], &config, &()).unwrap();
    let of: Vec<_> =
        summary.outputs.iter().map(|o| (o.instrument_id, o.symbol.as_str(), o.rows)).collect();
    assert_eq!(of, [(5, "ESM4", 30), (6, "ESM4", 30)]);
    assert!(summary.outputs[0].path.to_str().unwrap().contains("instrument_id=5"));
}

#[test]
fn the_cases_come_out_right() {
    let Some(cases) = real("../cases") else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, layout, only: &[&str]| {
        let out = folder.path().join(format!("{name}-{layout:?}-{only:?}"));
        let mut config = config(out, layout);
        config.symbols = only.iter().map(|symbol| (*symbol).to_owned()).collect();
        let summary = convert(&[cases.join(name)], &config, &()).unwrap();
        check_files(&summary);
        let outputs = summary.outputs.iter();
        let mut of: Vec<_> = outputs.map(|o| (o.day.clone(), o.symbol.clone())).collect();
        of.sort();
        (of.into_iter().map(|(_, symbol)| symbol).collect::<Vec<_>>(), summary)
    };
    for layout in [Layout::Bins, Layout::Ticks] {
        let name = "c02_live_remap.dbn.zst";
        assert_eq!(run(name, layout, &[]).0, ["ESM4", "NQM4"]);
        assert_eq!(run(name, layout, &["ESM4"]).0, ["ESM4"]);
        assert_eq!(run(name, layout, &["NQM4"]).0, ["NQM4"]);
        let name = "p14_id_reused.mbp-10.dbn.zst";
        assert_eq!(run(name, layout, &["CLM4"]).0, ["CLM4"]);
        let (symbols, summary) = run(name, layout, &[]);
        assert_eq!(symbols, ["ESM4", "CLM4"]);
        if layout == Layout::Bins {
            let steps: Vec<_> = found(&summary).into_iter().map(|(s, _, _, p)| (s, p)).collect();
            assert_eq!(steps, [("ESM4", QUARTER), ("CLM4", CENT)]);
        }
    }
}
