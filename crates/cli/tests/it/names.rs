//! Symbols in every command that reads DBN: an id that gets another one is another instrument.

use std::path::{Path, PathBuf};

use dbn::{
    Mbp10Msg, MetadataBuilder, RecordHeader, SType, SymbolMappingMsg, UNDEF_TIMESTAMP,
    encode::{EncodeRecord, dbn::Encoder},
    rtype,
};

use crate::{evidence::real, json, lob_fails, lob_ok, shown};

/// Noon of 2024-04-01, nanoseconds since 1970.
const NOON: u64 = 1_711_972_800_000_000_000;
const SECOND: u64 = 1_000_000_000;

/// One record of a live capture.
enum Live {
    /// From here on this id means this symbol, or between these times.
    Symbol(u32, &'static str, (u64, u64)),
    /// So many updates of publisher, id and action, a second apart from a time on.
    Updates(u16, u32, u8, u64, i64),
}

const FROM_HERE: (u64, u64) = (UNDEF_TIMESTAMP, UNDEF_TIMESTAMP);

/// A capture whose books go up and down by a step of 0.25, with far more to buy than to sell.
fn capture(folder: &Path, name: &str, records: &[Live]) -> PathBuf {
    let path = folder.join(name);
    let header = MetadataBuilder::new()
        .dataset("GLBX.MDP3".to_owned())
        .schema(None)
        .start(NOON)
        .stype_in(None)
        .stype_out(SType::InstrumentId)
        .build();
    let mut encoder = Encoder::new(std::fs::File::create(&path).unwrap(), &header).unwrap();
    for record in records {
        match record {
            Live::Symbol(id, symbol, (start_ts, end_ts)) => {
                let hd = RecordHeader::new::<SymbolMappingMsg>(rtype::SYMBOL_MAPPING, 1, *id, NOON);
                let mut record = SymbolMappingMsg { hd, ..SymbolMappingMsg::default() };
                (record.start_ts, record.end_ts) = (*start_ts, *end_ts);
                for (to, from) in record.stype_out_symbol.iter_mut().zip(symbol.bytes()) {
                    *to = from.cast_signed();
                }
                encoder.encode_record(&record).unwrap();
            }
            Live::Updates(publisher, id, action, from, n) => {
                for i in 0..*n {
                    let ts = from + i as u64 * SECOND;
                    let hd = RecordHeader::new::<Mbp10Msg>(rtype::MBP_10, *publisher, *id, ts);
                    let mut record = Mbp10Msg { hd, ts_recv: ts, ..Mbp10Msg::default() };
                    record.action = if i == 0 { *action } else { b'A' }.cast_signed();
                    record.side = b'B'.cast_signed();
                    for (depth, level) in (0..).zip(&mut record.levels) {
                        level.bid_px = (400 + i % 2 - depth) * 250_000_000;
                        level.ask_px = (401 + i % 2 + depth) * 250_000_000;
                        (level.bid_sz, level.ask_sz) = (9, 1);
                    }
                    encoder.encode_record(&record).unwrap();
                }
            }
        }
    }
    path
}

/// Columns of a CSV of signals by name: symbol, momentum, position and trade.
fn signals(input: &Path, more: &[&str]) -> Vec<[String; 4]> {
    let text = lob_ok(&[&["signals", shown(input), "--quiet"], more].concat());
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let place = |name: &str| header.iter().position(|other| other.starts_with(name)).unwrap();
    let places = ["symbol", "momentum", "position", "trade"].map(place);
    lines.map(|cells| places.map(|at| cells[at].to_owned())).collect()
}

/// Rows at which a run of rows without momentum begins: where indicators begin again.
fn beginnings(rows: &[[String; 4]]) -> Vec<usize> {
    let is_empty = |i: usize| rows[i][1].is_empty();
    (0..rows.len()).filter(|&i| is_empty(i) && (i == 0 || !is_empty(i - 1))).collect()
}

#[test]
fn signals_and_images_are_of_one_instrument() {
    let folder = tempfile::tempdir().unwrap();
    let stretch = |n: u64| Live::Updates(1, 5, b'A', NOON + n * 100 * SECOND, 100);
    let symbol = |name| Live::Symbol(5, name, FROM_HERE);
    let list = [symbol("ESM4"), stretch(0), symbol("NQM4"), stretch(1), symbol("ESM4"), stretch(2)];
    let input = capture(folder.path(), "a.dbn", &list);
    let rows = signals(&input, &[]);
    let names: Vec<&str> = rows.iter().map(|row| &*row[0]).collect();
    let expected = [["ESM4"; 100], ["NQM4"; 100], ["ESM4"; 100]].concat();
    assert_eq!(names, expected);
    // Every stretch ends long; each begins flat and without a past.
    assert_eq!(beginnings(&rows), [0, 100, 200]);
    for n in [0, 100, 200] {
        let trade: i64 = rows[n][3].parse().unwrap();
        let position: i64 = rows[n][2].parse().unwrap();
        assert_eq!(trade, position, "row {n} begins flat");
    }
    assert_ne!(rows[99][2], "0");
    assert_eq!(signals(&input, &["--symbol", "NQM4"]), rows[100..200]);
    assert_eq!(signals(&input, &["--symbol", "ESM4"]).len(), 200);
    assert_eq!(signals(&input, &["--symbol", "5"]).len(), 300);
    let out = folder.path().join("i.npy");
    let image = |more: &[&str]| {
        let args = ["render", shown(&input), "--bins", "5", "--ticks-per-bin", "20", "--out"];
        [&args[..], &[shown(&out)], more].concat().iter().map(|s| (*s).to_owned()).collect()
    };
    let ok = |more: &[&str]| {
        let args: Vec<String> = image(more);
        lob_ok(&args.iter().map(String::as_str).collect::<Vec<_>>());
    };
    ok(&["--symbol", "NQM4"]);
    ok(&["--symbol", "ESM4"]);
    for (more, word) in [
        (&["--symbol", "NQM4", "--rows", "0..101"][..], "holds 100 book updates"),
        (&["--symbol", "5"][..], "by its symbol"),
        (&[][..], "--symbol"),
    ] {
        let args: Vec<String> = image(more);
        let text = lob_fails(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(text.contains(word), "{more:?}: {text}");
    }
    for command in ["inspect", "verify"] {
        let text = lob_ok(&[command, shown(&input)]);
        for line in ["ESM4, id 5, 200 records", "NQM4, id 5, 100 records"] {
            assert!(text.contains(line), "{command}: {text}");
        }
    }
}

#[test]
fn indicators_begin_again_where_bins_would() {
    let folder = tempfile::tempdir().unwrap();
    let stretch = |from, action| Live::Updates(1, 5, action, from, 60);
    let hours = |n: u64| NOON + n * 3_600 * SECOND;
    let check = |name: &str, second: Live, expected: &[usize]| {
        let input = capture(folder.path(), name, &[stretch(NOON, b'A'), second]);
        let rows = signals(&input, &[]);
        assert_eq!(beginnings(&rows), expected, "{name}");
        let flat = signals(&input, &["--indicators", "momentum"]);
        assert_eq!(beginnings(&flat), expected, "{name}, as indicators");
    };
    let next = NOON + 60 * SECOND;
    check("whole.dbn", stretch(next, b'A'), &[0]);
    check("clear.dbn", stretch(next, b'R'), &[0, 60]);
    check("gap.dbn", stretch(hours(1), b'A'), &[0, 60]);
    check("day.dbn", stretch(hours(13), b'A'), &[0, 60]);
    // Others have a clock of their own: publisher 2 begins with nothing, publisher 1 goes on.
    check("publisher.dbn", Live::Updates(2, 5, b'A', next, 60), &[0, 60]);
}

#[test]
fn broken_mappings_are_told_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let list = [
        Live::Symbol(5, "ESM4", FROM_HERE),
        Live::Symbol(5, "BAD", (NOON, NOON - 1)),
        Live::Updates(1, 5, b'A', NOON, 40),
    ];
    let input = capture(folder.path(), "a.dbn", &list);
    for command in ["inspect", "verify"] {
        let text = lob_ok(&[command, shown(&input)]);
        assert!(text.contains("`BAD`") && text.contains("ESM4"), "{command}: {text}");
    }
    let verified = json(&lob_ok(&["verify", shown(&input), "--json"]));
    assert_eq!(verified["files"][0]["defects"][0]["kind"], "mapping");
    assert_eq!(verified["sound"], true);
    let out = folder.path().join("s.csv");
    let document = json(&lob_ok(&["signals", shown(&input), "--json", "--out", shown(&out)]));
    assert!(document["warnings"][0].as_str().unwrap().contains("`BAD`"), "{document}");
    assert_eq!(document["symbols"][0], "ESM4");
    let out = folder.path().join("store");
    let document =
        json(&lob_ok(&["convert", shown(&input), "--json", "--quiet", "--out", shown(&out)]));
    assert!(document["warnings"].to_string().contains("`BAD`"), "{document}");
}

#[test]
fn recorded_days_are_found_by_their_names() {
    let Some(real) = real("") else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, symbol) in [
        ("nautilus_esh4-20231225.mbo.dbn.zst", "ESH4"),
        ("nautilus_orderbooks_20240508.mbo.dbn.zst", "ESM4"),
    ] {
        let path = real.join(name);
        let indicator = ["--indicators", "momentum"];
        let rows = signals(&path, &[&["--symbol", symbol], &indicator[..]].concat());
        assert!(rows.len() > 100 && rows.iter().all(|row| row[0] == symbol), "{name}");
        assert_eq!(rows, signals(&path, &indicator), "{name}");
        let out = folder.path().join("i.npy");
        let args = ["render", shown(&path), "--symbol", symbol, "--out", shown(&out)];
        let few = ["--bins", "7", "--ticks-per-bin", "10", "--rows", "0..70", "--price-step"];
        lob_ok(&[&args[..], &few[..], &["0.25"]].concat());
    }
    // A day that is a snapshot and nothing else is found by its name, and has no event.
    let path = real.join("nautilus_esh4-20231224.mbo.dbn.zst");
    assert!(lob_ok(&["verify", shown(&path)]).contains("ESH4, id 17077"));
    let out = folder.path().join("o.npy");
    for args in [
        &["signals", shown(&path), "--symbol", "ESH4"][..],
        &["render", shown(&path), "--symbol", "ESH4", "--out", shown(&out)][..],
    ] {
        let text = lob_fails(args);
        assert!(text.contains("only a snapshot") && text.contains("ESH4"), "{text}");
    }
}

#[test]
fn the_case_of_a_reused_id_has_signals_of_both() {
    let Some(input) = real("../cases/p14_id_reused.mbp-10.dbn.zst") else { return };
    let rows = signals(&input, &[]);
    let of_oil = signals(&input, &["--symbol", "CLM4"]);
    assert_eq!(of_oil.len(), 300);
    assert_eq!(rows[rows.len() - 300..], of_oil);
    let begin = rows.len() - 300;
    assert_eq!(beginnings(&rows), [0, begin]);
    assert_eq!(rows[begin][2], rows[begin][3], "no position is carried over");
}

#[test]
fn signals_begin_again_with_a_day_of_the_exchange() {
    let folder = tempfile::tempdir().unwrap();
    let midnight = NOON + 12 * 3_600 * SECOND;
    let list = [Live::Updates(1, 5, b'A', midnight - 50 * SECOND, 100)];
    let input = capture(folder.path(), "a.dbn", &list);
    for (start, expected) in [
        (None, vec![0, 50]),
        (Some("00:00Z"), vec![0, 50]),
        (Some("22:00"), vec![0]),
        (Some("17:00-05:00"), vec![0]),
        (Some("02:00+02:00"), vec![0, 50]),
    ] {
        let args: Vec<_> = start.into_iter().flat_map(|start| ["--day-start", start]).collect();
        assert_eq!(beginnings(&signals(&input, &args)), expected, "{start:?}");
    }
    let error = lob_fails(&["signals", shown(&input), "--day-start", "25:00"]);
    assert!(error.contains("day-start") && error.contains("25:00"), "{error}");
}

/// What a conversion parts, no image shows as neighbours: a clear, a day, a pause.
#[test]
fn an_image_lies_in_one_segment() {
    let folder = tempfile::tempdir().unwrap();
    let midnight = NOON + 12 * 3_600 * SECOND;
    let stretch = |action, from, n| Live::Updates(1, 5, action, from, n);
    // The clear itself is no event of the market.
    let clear = [stretch(b'A', NOON, 65), stretch(b'R', NOON + 65 * SECOND, 101)];
    let day = [stretch(b'A', midnight - 65 * SECOND, 165)];
    let pause = [stretch(b'A', NOON, 65), stretch(b'A', NOON + 9_000 * SECOND, 100)];
    for (name, list) in [("clear", &clear[..]), ("day", &day[..]), ("pause", &pause[..])] {
        let input = capture(folder.path(), &format!("{name}.dbn"), list);
        let image = |rows: Option<&str>, bins: &str| {
            let out = folder.path().join("image.npy");
            let args =
                ["render", shown(&input), "--ticks-per-bin", "10", "--bins", bins, "--quiet"];
            let rows = rows.into_iter().flat_map(|rows| ["--rows", rows]);
            let args: Vec<_> = args.into_iter().chain(rows).chain(["--out", shown(&out)]).collect();
            lob_ok(&args);
            std::fs::read(out).unwrap()
        };
        // Bins begin with the segment, not with the file.
        assert_eq!(image(None, "10"), image(Some("65..165"), "10"), "{name}");
        // The last segment that is long enough: of 0..90 it is the first one.
        assert_eq!(image(Some("0..90"), "6"), image(Some("0..65"), "6"), "{name}");
        let args = ["render", shown(&input), "--ticks-per-bin", "10", "--bins", "11"];
        let error = lob_fails(&[&args[..], &["--out", "never.npy"]].concat());
        assert!(
            error.contains("at most 10 bins") && error.contains("--bins 10"),
            "{name}: {error}"
        );
    }
}
