//! From DBN to a store, to images, to batches.

use std::path::Path;

use super::{evidence, fixture, json, lob, lob_fails, lob_ok, shown};

const SMALL: [&str; 8] =
    ["--ticks-per-bin", "10", "--lookback", "100", "--lookforward", "100", "--offset", "10"];

fn convert(input: &Path, out: &Path) -> serde_json::Value {
    let mut args = vec!["convert", shown(input), "--out", shown(out), "--json"];
    args.extend(SMALL);
    json(&lob_ok(&args))
}

#[test]
fn a_store_is_counted_loaded_and_rendered() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["small.mbp-10.dbn.zst", "small.mbo.dbn.zst"] {
        let store = folder.path().join(name);
        let summary = convert(&fixture(name), &store);
        assert_eq!(summary["records"], 3000, "{name}");
        let outputs = summary["outputs"].as_array().unwrap();
        let rows: u64 = outputs.iter().map(|o| o["rows"].as_u64().unwrap()).sum();
        assert!(rows > 0 && summary["rows"] == rows, "{name}");
        assert!(summary["skipped"].is_object() && summary["elapsed_s"].as_f64().unwrap() > 0.0);
        let input = &summary["inputs"][0];
        assert_eq!(input["records"], 3000);
        assert_eq!(input["sha256"].as_str().unwrap().len(), 64);
        let found = json(&lob_ok(&["inspect", shown(&store), "--json"]));
        assert_eq!(found["rows"], summary["rows"], "{name}");
        assert_eq!(found["samples"], summary["samples"], "{name}");
    }
    let store = folder.path().join("small.mbp-10.dbn.zst");
    let order = |workers: &str, epoch: &str| {
        let args = [
            "load",
            shown(&store),
            "--bins",
            "20",
            "--batch-size",
            "8",
            "--shuffle",
            "--seed",
            "3",
            "--workers",
            workers,
            "--epoch",
            epoch,
            "--json",
        ];
        let served = json(&lob_ok(&args));
        assert!(served["samples"].as_u64().unwrap() > 0);
        assert!(served["batch_ms"]["p99"].as_f64().unwrap() > 0.0);
        served["order_sha256"].as_str().unwrap().to_owned()
    };
    let first = order("0", "0");
    assert_eq!(first, order("1", "0"));
    assert_eq!(first, order("2", "0"));
    assert_ne!(first, order("2", "1"));

    let npy = folder.path().join("image.npy");
    let args = [
        "render",
        shown(&store),
        "--index",
        "2",
        "--bins",
        "20",
        "--features",
        "volume,trade_counts",
        "--out",
        shown(&npy),
    ];
    lob_ok(&args);
    let bytes = std::fs::read(&npy).unwrap();
    let header = String::from_utf8_lossy(&bytes[..128]).into_owned();
    assert!(header.contains("(2, 402, 20)") && header.contains("<f4"), "{header}");
    assert_eq!(bytes.len(), 128 + 2 * 402 * 20 * 4);
}

#[test]
fn half_a_file_is_an_error_and_leaves_no_store() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["small.mbp-10.dbn.zst", "small.mbo.dbn.zst"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        let half = folder.path().join(name);
        std::fs::write(&half, &whole[..whole.len() / 2]).unwrap();
        let store = folder.path().join("store");
        let mut args = vec!["convert", shown(&half), "--out", shown(&store)];
        args.extend(SMALL);
        let error = lob_fails(&args);
        assert!(error.contains("truncated") && error.contains(name), "{error}");
        assert!(!store.exists(), "a store was left behind");
        assert!(lob_fails(&["verify", shown(&half), "--json"]).is_empty());
    }
}

#[test]
fn a_dbn_file_is_rendered_in_any_cell_type() {
    let folder = tempfile::tempdir().unwrap();
    let input = fixture("small.mbp-10.dbn.zst");
    let found = json(&lob_ok(&["inspect", shown(&input), "--json"]));
    let id = found["instruments"][0]["instrument_id"].to_string();
    for (dtype, descr, size) in
        [("f32", "<f4", 4), ("f16", "<f2", 2), ("bf16", "<u2", 2), ("u8", "|u1", 1)]
    {
        let out = folder.path().join("image.npy");
        let args = [
            "render",
            shown(&input),
            "--symbol",
            &id,
            "--rows",
            "600..1000",
            "--ticks-per-bin",
            "10",
            "--bins",
            "30",
            "--dtype",
            dtype,
            "--out",
            shown(&out),
        ];
        lob_ok(&args);
        let bytes = std::fs::read(&out).unwrap();
        assert!(String::from_utf8_lossy(&bytes[..128]).contains(descr), "{dtype}");
        assert_eq!(bytes.len(), 128 + 402 * 30 * size, "{dtype}");
    }
    let error = lob_fails(&["render", shown(&input), "--out", "image.npy"]);
    assert!(error.contains("--symbol"), "{error}");
    let error = lob_fails(&["render", shown(&input), "--symbol", &id, "--out", "image.jpg"]);
    assert!(error.contains(".npy"), "{error}");
}

#[test]
fn the_real_example_has_its_known_counts() {
    let Some(input) = evidence::real("nautilus_esh4-20231225.mbo.dbn.zst") else { return };
    let folder = tempfile::tempdir().unwrap();
    let summary = convert(&input, &folder.path().join("store"));
    assert_eq!(summary["records"], 68_792);
    assert_eq!(summary["inputs"][0]["updates"], 43_790);
    assert_eq!(summary["outputs"][0]["symbol"], "ESH4");
    assert_eq!(summary["outputs"][0]["price_step"], 250_000_000);
}

/// Every real file with the records and updates that its description gives; `None` for those that
/// hold no books.
const REAL: [(&str, Option<(u64, u64)>); 12] = [
    ("dbn_test_data.mbp-10.dbn", Some((2, 2))),
    ("dbn_test_data.mbp-10.v1.dbn.zst", Some((2, 2))),
    ("dbn_test_data.mbp-10.v2.dbn.zst", Some((2, 2))),
    ("dbn_test_data.mbp-10.v3.dbn.zst", Some((2, 2))),
    ("dbpy_GLBX.MDP3.mbp-10.dbn.zst", Some((4, 4))),
    ("dbpy_IFEU.IMPACT.mbp-10.dbn.zst", Some((4, 4))),
    ("dbpy_NDEX.IMPACT.mbp-10.dbn.zst", Some((4, 4))),
    ("dbpy_XNAS.ITCH.mbp-10.dbn.zst", Some((4, 4))),
    ("nautilus_esh4-20231224.mbo.dbn.zst", Some((8_725, 73))),
    ("nautilus_esh4-20231225.mbo.dbn.zst", Some((68_792, 43_790))),
    ("nautilus_futures_20240701.mbp-1.dbn.zst", None),
    ("dbn_multi-frame.definition.v1.dbn.frag.zst", None),
];

#[test]
fn every_real_file_converts_or_is_refused_by_name() {
    let Some(real) = evidence::real("") else { return };
    for (name, counts) in REAL {
        let path = real.join(name);
        let folder = tempfile::tempdir().unwrap();
        for layout in ["bins", "ticks"] {
            let store = folder.path().join(layout);
            let args =
                ["convert", shown(&path), "--out", shown(&store), "--layout", layout, "--json"];
            let Some((records, updates)) = counts else {
                let error = lob_fails(&args);
                assert!(error.contains(name), "{name}: {error}");
                let what = if name.contains("mbp-1.") { "`mbp-1`" } else { "not a DBN file" };
                assert!(error.contains(what), "{name}: {error}");
                assert!(!store.exists());
                continue;
            };
            if name.contains("20231224") {
                let error = lob_fails(&args);
                assert!(error.contains(name) && error.contains("only a snapshot"), "{error}");
                continue;
            }
            let summary = json(&lob_ok(&args));
            assert_eq!(summary["records"], records, "{name} {layout}");
            assert_eq!(summary["inputs"][0]["updates"], updates, "{name} {layout}");
            let rows: u64 = summary["rows"].as_u64().unwrap();
            let n_snapshot = summary["skipped"]["snapshot"].as_u64().unwrap_or(0);
            let is_all = rows == updates - n_snapshot;
            assert!(if layout == "ticks" { is_all } else { rows > 0 }, "{name}");
        }
        let verified = lob(&["verify", shown(&path), "--json"]);
        assert_eq!(verified.status.code(), Some(if counts.is_some() { 0 } else { 2 }), "{name}");
        if let Some((records, _)) = counts {
            let report = json(&String::from_utf8(verified.stdout).unwrap());
            assert_eq!(report["files"][0]["records"], records, "{name}");
        }
    }
}

#[test]
fn class_edges_travel_between_stores() {
    let folder = tempfile::tempdir().unwrap();
    let input = fixture("small.mbp-10.dbn.zst");
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let mut args = vec!["convert", shown(&input), "--json"];
    args.extend(SMALL);
    let classes = |more: &[&str]| {
        let summary = json(&lob_ok(&[&args[..], more].concat()));
        (summary["classes"]["counts"].clone(), summary["classes"]["verdict"].clone())
    };
    let fitted = classes(&["--out", shown(&first), "--fit-part", "0.8"]);
    assert!(fitted.1.is_string(), "{fitted:?}");
    assert_eq!(classes(&["--out", shown(&second), "--label-edges", shown(&first)]), fitted);
    let pips = folder.path().join("pips");
    let counts = classes(&["--out", shown(&pips), "--label-pips", "1,3", "--label-classes", "5"]).0;
    assert_eq!(counts.as_array().unwrap().len(), 5);
    let found = lob_ok(&["inspect", shown(&first)]);
    assert!(found.contains("points from equal shares"), "{found}");
    let both = ["convert", shown(&input), "--out", shown(&pips), "--label-pips", "1"];
    let error = lob_fails(&[&both[..], &["--label-thresholds", "0.1"]].concat());
    assert!(error.contains("--label-thresholds"), "{error}");
}

#[test]
fn edges_are_fitted_once_and_read_by_every_conversion() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (data, edges) = (at("data"), at("edges"));
    std::fs::create_dir(&data).unwrap();
    lob_ok(
        &["synth", "--records", "12000", "--instruments", "2", "--sessions", "2", "--out"]
            .into_iter()
            .chain([shown(&data)])
            .collect::<Vec<_>>(),
    );
    let mut args = vec!["convert", shown(&data), "--json"];
    args.extend(SMALL);
    let run = |more: &[&str]| json(&lob_ok(&[&args[..], more].concat()));
    let fitted = run(&["--fit-edges", "--fit-days", "1", "--out", shown(&edges)]);
    assert_eq!(fitted["edges"].as_array().unwrap().len(), 2, "{fitted}");
    for file in fitted["edges"].as_array().unwrap() {
        let text = std::fs::read_to_string(file["path"].as_str().unwrap()).unwrap();
        assert_eq!(json(&text)["edges"], file["edges"]);
        assert_eq!(file["fitted_on"]["days"].as_array().unwrap().len(), 1);
        assert!(!text.contains(shown(folder.path())), "{text}");
    }
    // Each file with its own edges is warned of; with one set of them nothing is.
    let own = run(&["--out", shown(&at("own"))]);
    assert!(own["warnings"].to_string().contains("sets of class edges"), "{}", own["warnings"]);
    let one = run(&["--out", shown(&at("one")), "--edges", shown(&edges), "--jobs", "2"]);
    assert!(!one["warnings"].to_string().contains("edges"), "{}", one["warnings"]);
    let found = lob_ok(&["inspect", shown(&at("one"))]);
    assert!(found.contains("as a fraction of the mean mid before: "), "{found}");
    assert!(found.contains("on its first day, "), "{found}");
    assert!(lob_ok(&["inspect", shown(&at("own"))]).contains("sets of class edges"));
    // A folder is written once, and what has no meaning beside it is refused.
    let again = [&args[..], &["--fit-edges", "--out", shown(&edges)]].concat();
    assert!(lob_fails(&again).contains("not empty"));
    let shard = [&args[..], &["--fit-edges", "--shard", "0/2", "--out", "x"]].concat();
    assert!(lob_fails(&shard).contains("--shard"));
}

#[test]
fn a_snapshot_makes_no_row_no_signal_and_no_image() {
    let folder = tempfile::tempdir().unwrap();
    for schema in ["mbo", "mbp-10"] {
        let file = folder.path().join(format!("{schema}.dbn"));
        lob_ok(&[
            "synth",
            "--records",
            "3000",
            "--instruments",
            "1",
            "--schema",
            schema,
            "--out",
            shown(&file),
        ]);
        let store = folder.path().join(schema);
        let args = ["convert", shown(&file), "--out", shown(&store), "--layout", "ticks", "--json"];
        let summary = json(&lob_ok(&args));
        let rows = summary["rows"].as_u64().unwrap();
        assert!(summary["skipped"]["snapshot"].as_u64().unwrap() > 20, "{schema}");
        let csv = folder.path().join("s.csv");
        lob_ok(&["signals", shown(&file), "--out", shown(&csv)]);
        let lines = std::fs::read_to_string(&csv).unwrap().lines().count() as u64;
        assert_eq!(lines, rows + 1, "{schema}: a line an update, and the names");
        let image = folder.path().join("image.npy");
        let range = |end: u64| format!("0..{end}");
        let render = |rows: &str| {
            lob(&["render", shown(&file), "--rows", rows, "--bins", "8", "--out", shown(&image)])
        };
        assert_eq!(render(&range(rows)).status.code(), Some(0), "{schema}");
        assert_eq!(render(&range(rows + 1)).status.code(), Some(2), "{schema}");
    }
}

#[test]
fn steps_of_single_instruments_and_starts_of_days_are_flags_and_settings() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.mbp-10.dbn.zst");
    lob_ok(&["synth", "--records", "6000", "--instruments", "2", "--out", shown(&file)]);
    let run = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        let args = ["convert", shown(&file), "--out", shown(&out), "--json"];
        json(&lob_ok(&[&args[..], more].concat()))
    };
    let steps = |summary: &serde_json::Value| {
        let outputs = summary["outputs"].as_array().unwrap();
        let step =
            |o: &serde_json::Value| (o["symbol"].to_string(), o["price_step"].as_u64().unwrap());
        outputs.iter().map(step).collect::<std::collections::BTreeMap<_, _>>()
    };
    let auto = steps(&run("auto", &[]));
    let given = ["--price-step", "ESM4=0.5", "--day-start", "17:00-05:00"];
    let flags = run("flags", &given);
    let found = steps(&flags);
    assert_eq!((auto["\"ESM4\""], found["\"ESM4\""]), (250_000_000, 500_000_000));
    assert_eq!((auto.len(), auto["\"6AM4\""]), (2, found["\"6AM4\""]));
    let both = run("both", &["--price-step", "1", "--price-step", "ESM4=0.5"]);
    assert_eq!(steps(&both)["\"6AM4\""], 1_000_000_000);
    assert_eq!(steps(&both)["\"ESM4\""], 500_000_000);

    let config = folder.path().join("convert.toml");
    let text = "day-start = \"22:00\"\n[price-step]\nESM4 = 0.5\n\"*\" = \"auto\"\n";
    std::fs::write(&config, text).unwrap();
    let file_settings = run("file", &["--config", shown(&config)]);
    let hashes = |summary: &serde_json::Value| {
        let outputs = summary["outputs"].as_array().unwrap();
        outputs.iter().map(|o| (o["day"].to_string(), o["sha256"].to_string())).collect::<Vec<_>>()
    };
    assert_eq!(hashes(&flags), hashes(&file_settings));
    let flag_wins = ["--config", shown(&config), "--price-step", "ESM4=0.25"];
    assert_eq!(steps(&run("wins", &flag_wins)), auto);

    let out = folder.path().join("bad");
    for (bad, word) in [
        (["--day-start", "25:00"], "HH:MM"),
        (["--day-start", "17:00-6"], "HH:MM"),
        (["--price-step", "ESM4=x"], "SYMBOL=X"),
        (["--price-step", "=1"], "SYMBOL=X"),
    ] {
        let args = ["convert", shown(&file), "--out", shown(&out)];
        let said = lob_fails(&[&args[..], &bad].concat());
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn signals_place_records_as_conversions_do() {
    const RECORD_BYTES: usize = 368;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.mbp-10.dbn");
    lob_ok(&["synth", "--records", "3000", "--instruments", "1", "--out", shown(&file)]);
    let mut bytes = std::fs::read(&file).unwrap();
    let header = bytes.len() - 3_000 * RECORD_BYTES;
    // Event and capture time of three records: each alone, and both.
    for (record, offsets) in [(1_000, &[8][..]), (1_500, &[32]), (2_000, &[8, 32])] {
        for offset in offsets {
            let at = header + record * RECORD_BYTES + offset;
            bytes[at..at + 8].copy_from_slice(&(u64::MAX - 1).to_le_bytes());
        }
    }
    std::fs::write(&file, bytes).unwrap();
    let store = folder.path().join("store");
    let args = ["convert", shown(&file), "--out", shown(&store), "--layout", "ticks", "--json"];
    let summary = json(&lob_ok(&args));
    assert_eq!(summary["skipped"]["impossible_timestamp"], 1);
    let table = folder.path().join("s.parquet");
    let signals = json(&lob_ok(&["signals", shown(&file), "--out", shown(&table), "--json"]));
    assert_eq!((&signals["rows"], &signals["untimed"]), (&summary["rows"], &1.into()));
}

/// A folder with a day, its copy, and a part of it: the rows of the day, and two names.
#[test]
fn the_same_day_twice_is_one_day_and_the_other_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let days = folder.path().join("days");
    std::fs::create_dir(&days).unwrap();
    for (name, records) in [("day.dbn", "3000"), ("day.dbn.zst", "3000"), ("part.dbn.zst", "900")] {
        lob_ok(&["synth", "--records", records, "--out", shown(&days.join(name)), "--quiet"]);
    }
    let alone = convert(&days.join("day.dbn"), &folder.path().join("alone"));
    let store = folder.path().join("store");
    let summary = convert(&days, &store);
    for key in ["rows", "records", "samples"] {
        assert_eq!(summary[key], alone[key], "{key}");
    }
    let left_out = summary["duplicates"].as_array().unwrap();
    assert_eq!(left_out.len(), 2, "{summary}");
    assert_eq!((&left_out[0]["why"], &left_out[1]["why"]), (&"copy".into(), &"part".into()));
    for found in left_out {
        assert_eq!(found["of"], shown(&days.join("day.dbn")));
        assert!(summary["warnings"].to_string().contains(found["path"].as_str().unwrap()));
    }
    // A run for people says so too, and so does a second run into the store.
    let again = folder.path().join("again");
    let args = ["convert", shown(&days), "--out", shown(&again)];
    let said = lob(&[&args[..], &SMALL].concat());
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("day.dbn.zst` is left out") && said.contains("left out 2"), "{said}");
    let second = convert(&days.join("day.dbn.zst"), &store);
    assert_eq!(
        (&second["rows"], &second["duplicates"][0]["in_store"]),
        (&alone["rows"], &true.into())
    );
    // Another market of the same instrument and time: neither.
    let other = days.join("other.dbn.zst");
    lob_ok(&["synth", "--records", "3000", "--seed", "9", "--out", shown(&other), "--quiet"]);
    let out = folder.path().join("doubt");
    let said = lob_fails(&[&["convert", shown(&days), "--out", shown(&out)][..], &SMALL].concat());
    assert!(
        said.contains("other.dbn.zst") && said.contains("cannot be told which is right"),
        "{said}"
    );
    assert!(!out.exists());
}
