//! `lob synth --messy` and every command on what it writes.

use std::path::Path;

use crate::{json, lob, lob_ok, shown};

/// A messy market of two sessions in one file.
fn market(folder: &Path, name: &str, schema: &str, messy: &str) -> std::path::PathBuf {
    market_of(folder, name, schema, messy, "2")
}

fn market_of(
    folder: &Path,
    name: &str,
    schema: &str,
    messy: &str,
    sessions: &str,
) -> std::path::PathBuf {
    let path = folder.join(name);
    // Most orders of a short market are those of its snapshots.
    let records = if schema == "mbo" { "20000" } else { "8000" };
    let market = ["--records", records, "--instruments", "2", "--sessions", sessions];
    let market = [&market[..], &["--schema", schema]].concat();
    lob_ok(&[&["synth", messy, "--out", shown(&path), "--quiet"], &market[..]].concat());
    path
}

const SMALL: [&str; 10] = [
    "--ticks-per-bin",
    "20",
    "--lookback",
    "100",
    "--lookforward",
    "80",
    "--offset",
    "10",
    "--label-classes",
    "3",
];

#[test]
fn a_seed_gives_the_same_messy_bytes_and_other_ones_than_a_plain_market() {
    let folder = tempfile::tempdir().unwrap();
    let read =
        |name: &str, messy: &str| std::fs::read(market(folder.path(), name, "mbo", messy)).unwrap();
    let daily = read("a.dbn", "--messy");
    assert_eq!(daily, read("b.dbn", "--messy=daily"));
    assert_ne!(daily, read("c.dbn", "--messy=live"));
    let days = folder.path().join("days");
    let out = format!("{}/", shown(&days));
    lob_ok(&["synth", "--messy", "--records", "500", "--sessions", "2", "--out", &out]);
    let mut names: Vec<_> = std::fs::read_dir(&days)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "glbx-mdp3-20240401.mbp-10.dbn",
            "glbx-mdp3-20240401.mbp-10.dbn.zst",
            "glbx-mdp3-20240402.mbp-10.dbn.zst"
        ]
    );
}

#[test]
fn every_command_finds_the_instruments_of_a_messy_market() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (schema, messy) in [("mbp-10", "--messy"), ("mbo", "--messy=live")] {
        let input = market(folder, &format!("{schema}.dbn.zst"), schema, messy);
        let report = json(&lob_ok(&["verify", shown(&input), "--json"]));
        assert!(report["files"][0]["records"].as_u64().unwrap() >= 8_000);
        let ticks = folder.join(format!("{schema} ticks"));
        let convert = ["convert", shown(&input), "--json", "--quiet", "--out"];
        let args = [&convert[..], &[shown(&ticks), "--layout", "ticks"], &SMALL].concat();
        let ticks = json(&lob_ok(&args));
        let bins = folder.join(format!("{schema} bins"));
        let summary = json(&lob_ok(&[&convert[..], &[shown(&bins)], &SMALL].concat()));
        assert!(summary["rows"].as_u64().unwrap() > 150, "{}", summary["skipped"]);
        // In one session of a daily file, each symbol has one id: an image is of one instrument.
        let one = market_of(folder, &format!("one.{schema}.dbn.zst"), schema, "--messy", "1");
        for symbol in ["6AM4", "ESM4"] {
            let rows: u64 = ticks["outputs"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|output| output["symbol"] == symbol)
                .map(|output| output["rows"].as_u64().unwrap())
                .sum();
            assert!(rows > 500, "{symbol}");
            let csv = folder.join("signals.csv");
            let args = ["signals", shown(&input), "--symbol", symbol, "--out", shown(&csv)];
            let found = json(&lob_ok(&[&args[..], &["--json", "--quiet"]].concat()));
            assert_eq!(found["rows"], rows, "{schema} {symbol}: signals and ticks");
            let png = folder.join("image.png");
            let args = ["render", shown(&one), "--symbol", symbol, "--ticks-per-bin", "20"];
            lob_ok(&[&args[..], &["--bins", "10", "--out", shown(&png), "--quiet"]].concat());
        }
        for source in [&input, &bins] {
            let found = lob_ok(&["inspect", shown(source), "--json"]);
            assert!(found.contains("ESM4") && found.contains("6AM4"), "{found}");
        }
    }
}

/// In two sessions a symbol has two ids, and each id two symbols.
#[test]
fn an_image_is_chosen_by_symbol_and_id_where_neither_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", "mbp-10", "--messy");
    let png = folder.path().join("image.png");
    let rest = ["--ticks-per-bin", "20", "--bins", "10", "--out", shown(&png), "--quiet"];
    let render =
        |name: &str| lob(&[&["render", shown(&input), "--symbol", name][..], &rest].concat());
    let refused = render("6AM4");
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8(refused.stderr).unwrap();
    let name = said.trim_end().rsplit("--symbol ").next().unwrap();
    assert!(name.starts_with("6AM4@"), "{said}");
    assert_eq!(render(name).status.code(), Some(0), "the hint is followed");
    assert!(png.exists());
}

#[test]
fn the_suite_runs_on_a_messy_market() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", "mbp-10", "--messy");
    let out = folder.path().join("out");
    let args = ["bench", "--quick", "--suite", "convert,depth", "--input", shown(&input)];
    let output = lob(&[&args[..], &["--out", shown(&out), "--quiet"]].concat());
    let run = json(&std::fs::read_to_string(out.join("run.json")).unwrap());
    let stderr = String::from_utf8_lossy(&output.stderr);
    for scenario in run["scenarios"].as_array().unwrap() {
        // Orders are replayed where there are orders.
        let expected = if scenario["id"] == "convert.replay" { "skipped" } else { "passed" };
        assert_eq!(scenario["status"], expected, "{}: {stderr}", scenario["id"]);
    }
    // The suite makes such a market itself, too; only said here, as it is a large one.
    let error = lob(&["bench", "--messy", "--input", shown(&input)]);
    assert_eq!(error.status.code(), Some(2), "a market of files cannot be made messy");
}
