//! Inputs that once came out wrong, see `fixtures/cases/README.md`, through the commands.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{fixture, json, lob, lob_ok, shown};

/// Bins and windows small enough for a few hundred updates.
const SMALL: [&str; 10] = [
    "--ticks-per-bin",
    "10",
    "--lookback",
    "20",
    "--lookforward",
    "20",
    "--offset",
    "5",
    "--label-classes",
    "3",
];

const MBO_SNAPSHOT: &str = "m02_snapshot_midnight.mbo.dbn.zst";
const LIVE_REMAP: &str = "c02_live_remap.dbn.zst";
const ID_REUSED: &str = "p14_id_reused.mbp-10.dbn.zst";
const QUIET: &str = "c06_zt_quiet_beside_es.mbp-10.dbn.zst";
const LONG: &str = "c08g_long28.mbp-10.dbn.zst";

fn case(name: &str) -> PathBuf {
    fixture("cases").join(name)
}

/// The summary of a conversion into a folder of its own below `folder`.
fn convert(input: &Path, folder: &Path, name: &str, more: &[&str]) -> Value {
    let out = folder.join(name);
    let args = ["convert", shown(input), "--out", shown(&out), "--quiet", "--json"];
    json(&lob_ok(&[&args[..], &SMALL, more].concat()))
}

/// Day, symbol, rows of each output.
fn outputs(summary: &Value) -> Vec<(String, String, u64)> {
    let text = |output: &Value, key: &str| output[key].as_str().unwrap().to_owned();
    let all = summary["outputs"].as_array().unwrap().iter();
    let mut found: Vec<_> =
        all.map(|o| (text(o, "day"), text(o, "symbol"), o["rows"].as_u64().unwrap())).collect();
    found.sort();
    found
}

fn expected(all: &[(&str, &str, u64)]) -> Vec<(String, String, u64)> {
    all.iter().map(|(day, symbol, rows)| ((*day).into(), (*symbol).into(), *rows)).collect()
}

/// Rows that `lob signals` gives for a symbol.
fn signals(input: &Path, folder: &Path, symbol: &str) -> u64 {
    let out = folder.join(format!("{symbol}.csv"));
    let args = ["signals", shown(input), "--symbol", symbol, "--out", shown(&out), "--quiet"];
    json(&lob_ok(&[&args[..], &["--json"]].concat()))["rows"].as_u64().unwrap()
}

/// Whether a document names a symbol anywhere.
fn names(document: &str, symbol: &str) -> bool {
    document.contains(&format!("\"{symbol}\""))
}

/// A file in which one id means two symbols, with 300 updates each, through every command.
fn check_two_meanings(input: &Path, days: [(&str, &str); 2]) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let [(day_1, first), (day_2, second)] = days;
    let both = |rows| expected(&[(day_1, first, rows), (day_2, second, rows)]);
    assert_eq!(outputs(&convert(input, folder, "bins", &[])), both(30));
    assert_eq!(outputs(&convert(input, folder, "ticks", &["--layout", "ticks"])), both(300));
    for ((day, symbol), name) in days.iter().zip(["only first", "only second"]) {
        let only = convert(input, folder, name, &["--symbols", symbol]);
        assert_eq!(outputs(&only), expected(&[(day, symbol, 30)]));
        assert_eq!(signals(input, folder, symbol), 300, "{symbol}");
        let png = folder.join("image.png");
        let args = ["render", shown(input), "--symbol", symbol, "--ticks-per-bin", "10"];
        lob_ok(&[&args[..], &["--bins", "20", "--out", shown(&png), "--quiet"]].concat());
        for command in ["inspect", "verify"] {
            let found = lob_ok(&[command, shown(input), "--json"]);
            assert!(names(&found, symbol), "{command}: {symbol} is missing in {found}");
        }
    }
    // By its id, one gets all of them.
    assert_eq!(signals(input, folder, "5"), 600);
}

#[test]
fn a_live_capture_that_deals_an_id_anew() {
    check_two_meanings(&case(LIVE_REMAP), [("2024-04-02", "ESM4"), ("2024-04-03", "NQM4")]);
}

#[test]
fn an_id_that_the_header_maps_to_two_symbols() {
    let input = case(ID_REUSED);
    check_two_meanings(&input, [("2024-04-02", "ESM4"), ("2024-04-03", "CLM4")]);
    // Each has its own price step and class edges.
    let folder = tempfile::tempdir().unwrap();
    let summary = convert(&input, folder.path(), "bins", &[]);
    let step = |symbol: &str| {
        let all = summary["outputs"].as_array().unwrap();
        all.iter().find(|o| o["symbol"] == symbol).unwrap()["price_step"].as_u64().unwrap()
    };
    assert_eq!((step("ESM4"), step("CLM4")), (250_000_000, 10_000_000));
}

#[test]
fn a_day_that_begins_with_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let input = case(MBO_SNAPSHOT);
    // The 500 updates after the snapshot, all of them within the ten levels or not at all.
    let bins = convert(&input, folder.path(), "bins", &[]);
    let ticks = convert(&input, folder.path(), "ticks", &["--layout", "ticks"]);
    for summary in [&bins, &ticks] {
        let days: Vec<_> = outputs(summary).into_iter().map(|o| (o.0, o.1)).collect();
        assert_eq!(days, [("2024-04-02".to_owned(), "ESM4".to_owned())]);
    }
    let rows = ticks["rows"].as_u64().unwrap();
    assert!(rows <= 500 && bins["rows"].as_u64().unwrap() == rows.div_ceil(10), "{rows} updates");
    for layout in ["bins", "ticks"] {
        let found = json(&lob_ok(&["inspect", shown(&folder.path().join(layout)), "--json"]));
        let range = found["ts_event_range"].as_array().unwrap();
        let (day, day_ns) = (1_712_016_000_000_000_000, 86_400_000_000_000);
        let in_day = |ts: &Value| (day..day + day_ns).contains(&ts.as_u64().unwrap());
        assert!(range.iter().all(in_day), "{layout}: {range:?}");
    }
    assert_eq!(signals(&input, folder.path(), "ESM4"), rows, "signals leave the snapshot out too");
}

#[test]
fn a_quiet_instrument_does_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let input = case(QUIET);
    let out = folder.path().join("out");
    let args = ["convert", shown(&input), "--out", shown(&out), "--json"];
    let output = lob(&[&args[..], &SMALL].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let summary = json(&String::from_utf8(output.stdout).unwrap());
    let es = ("2024-04-02".to_owned(), "ESM4".to_owned(), 30);
    let found = outputs(&summary);
    assert!(found.contains(&es), "{found:?}");
    if found.len() == 1 {
        assert!(stderr.contains("ZTM4"), "the one left out is named: {stderr}");
        let left_out: u64 =
            summary["skipped"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
        assert_eq!(left_out, 5, "{}", summary["skipped"]);
    }
    // It converts with its step.
    let step = ["--price-step", "ZTM4=0.00390625"];
    let both = outputs(&convert(&input, folder.path(), "both", &step));
    assert_eq!(both, expected(&[("2024-04-02", "ESM4", 30), ("2024-04-02", "ZTM4", 1)]));
    // Nobody hears of it who did not ask for it.
    let out = folder.path().join("es");
    let args = ["convert", shown(&input), "--out", shown(&out)];
    let output = lob(&[&args[..], &SMALL, &["--symbols", "ESM4"]].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !stderr.contains("ZTM4"), "{stderr}");
}

#[test]
fn a_long_window_is_read_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let input = case(LONG);
    let out = folder.path().join("out");
    let args = ["convert", shown(&input), "--out", shown(&out), "--json", "--quiet"];
    let output = lob(&[&args[..], &SMALL].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    if output.status.success() {
        let summary = json(&String::from_utf8(output.stdout).unwrap());
        assert_eq!(summary["rows"], 30);
    } else {
        assert!(stderr.contains("--long=28") && stderr.contains("256 MiB"), "{stderr}");
    }
    let verified = lob(&["verify", shown(&input)]);
    let said = [verified.stdout, verified.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(!said.contains("DAMAGED"), "{said}");
}
