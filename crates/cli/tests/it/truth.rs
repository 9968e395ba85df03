//! `lob synth --truth` and `lob convert --truth`.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::{json, lob_fails, lob_ok, shown};

/// Names of all that lies in a folder, below it too.
fn all(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        names.insert(entry.file_name().into_string().unwrap());
        if entry.path().is_dir() {
            names.extend(all(&entry.path()));
        }
    }
    names
}

#[test]
fn a_market_with_its_truth_becomes_labels() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for schema in ["mbp-10", "mbo"] {
        let (plain, told) = (at(&format!("p.{schema}.dbn")), at(&format!("t.{schema}.dbn")));
        let (truth, store) = (at(&format!("{schema}.parquet")), at(schema));
        let synth =
            ["synth", "--records", "20000", "--instruments", "2", "--schema", schema, "--out"];
        lob_ok(&[&synth[..], &[shown(&plain)]].concat());
        lob_ok(&[&synth[..], &[shown(&told), "--truth", shown(&truth)]].concat());
        assert!(fs::read(&plain).unwrap() == fs::read(&told).unwrap(), "{schema}");
        assert_eq!(lob_store::TruthFile::open(&truth).unwrap().len(), 20_000);
        let convert = ["convert", shown(&told), "--truth", shown(&truth), "--json"];
        let small =
            ["--ticks-per-bin", "20", "--lookback", "50", "--lookforward", "50", "--offset", "5"];
        let found = json(&lob_ok(&[&convert[..], &small, &["--out", shown(&store)]].concat()));
        assert_eq!(found["truth"]["joined"], found["rows"]);
        assert_eq!(found["truth"]["missing"], 0);
        let label = |name: &str| -> Value {
            let labels = found["labels"].as_array().unwrap().iter();
            labels.clone().find(|label| label["name"] == name).unwrap().clone()
        };
        let regime = label("true_regime");
        assert_eq!((&regime["kind"], &regime["classes"]), (&"true_regime".into(), &4.into()));
        assert_eq!(label("true_pressure")["classes"], 0);
        let forward = label("forward_10");
        assert_eq!(
            [&forward["kind"], &forward["horizon"], &forward["unit"], &forward["classes"]],
            [&Value::from("forward"), &10.into(), &"bins".into(), &3.into()]
        );
        assert!(forward["rule"].as_str().unwrap().contains("0 price steps"));
        let seen = lob_ok(&["inspect", shown(&store)]);
        assert!(
            seen.contains("true_regime (true_regime, at the row, 4 classes: calm, normal"),
            "{seen}"
        );
        let looked = json(&lob_ok(&["inspect", shown(&store), "--json"]));
        let counts = looked["label_counts"].as_array().unwrap().iter();
        let of = |name: &str| counts.clone().find(|of| of["name"] == name).unwrap();
        assert_eq!(of("true_regime")["known"], found["rows"]);
        let classes = of("true_regime")["class_counts"].as_array().unwrap().iter();
        let n: u64 = classes.map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(Some(n), found["rows"].as_u64());
        assert_eq!(of("reversal")["known"], found["samples"]);
        assert!(of("forward_50")["known"].as_u64() < found["rows"].as_u64());
        let load = ["load", shown(&store), "--bins", "8", "--json", "--label", "true_regime"];
        let served = json(&lob_ok(&[&load[..], &["--balanced"]].concat()));
        assert_eq!(
            (&served["label"], &served["label_horizon"]),
            (&"true_regime".into(), &0.into())
        );
        // The same from a settings file.
        let (settings, again) = (at("convert.toml"), at(&format!("{schema}-again")));
        let text = format!("truth = {:?}\nticks-per-bin = 20\nlookback = 50\n", shown(&truth));
        fs::write(&settings, text + "lookforward = 50\noffset = 5\n").unwrap();
        let convert =
            ["convert", shown(&told), "--config", shown(&settings), "--out", shown(&again)];
        lob_ok(&convert);
        let bytes = |root: &Path| {
            let store = lob_store::Store::open(root).unwrap();
            store.files().iter().map(|file| fs::read(file.path()).unwrap()).collect::<Vec<_>>()
        };
        assert!(bytes(&store) == bytes(&again), "{schema}");
    }
}

#[test]
fn a_folder_of_days_has_one_truth() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (days, truth, store) = (at("days"), at("truth.parquet"), at("store"));
    let synth = ["synth", "--records", "12000", "--sessions", "3", "--out", shown(&days)];
    lob_ok(&[&synth[..], &["--truth", shown(&truth)]].concat());
    assert_eq!(all(&days).len(), 3);
    let convert =
        ["convert", shown(&days), "--out", shown(&store), "--truth", shown(&truth), "--json"];
    let found = json(&lob_ok(&convert));
    assert_eq!(
        (&found["truth"]["joined"], &found["truth"]["missing"]),
        (&found["rows"], &0.into())
    );
    // Some of the days with the truth of all.
    let day = fs::read_dir(&days).unwrap().next().unwrap().unwrap().path();
    let one = at("one");
    let convert =
        ["convert", shown(&day), "--out", shown(&one), "--truth", shown(&truth), "--json"];
    let found = json(&lob_ok(&convert));
    assert_eq!(
        (&found["truth"]["joined"], &found["truth"]["missing"]),
        (&found["rows"], &0.into())
    );
}

#[test]
fn what_cannot_have_a_truth_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (out, truth) = (at("a.dbn"), at("t.parquet"));
    let synth = ["synth", "--records", "1000", "--out", shown(&out), "--truth"];
    let said = lob_fails(&[&synth[..], &[shown(&truth), "--messy"]].concat());
    assert!(said.contains("a messy market has no truth: its snapshots"), "{said}");
    let dotted = folder.path().join("./a.dbn");
    for same in [shown(&out), shown(&dotted)] {
        let said = lob_fails(&[&synth[..], &[same]].concat());
        assert!(said.contains("are one file"), "{said}");
    }
    let said = lob_fails(&[&synth[..], &[shown(folder.path())]].concat());
    assert!(said.contains("is a folder"), "{said}");
    let said =
        lob_fails(&["synth", "--records", "0", "--out", shown(&out), "--truth", shown(&truth)]);
    assert!(said.contains("records"), "{said}");
    assert_eq!(all(folder.path()), BTreeSet::new());
    // The truth of another market fits nothing.
    let (other, other_truth, store) = (at("o.dbn"), at("o.parquet"), at("o"));
    let more = ["synth", "--records", "1000", "--seed", "9", "--out", shown(&other), "--truth"];
    lob_ok(&[&more[..], &[shown(&other_truth)]].concat());
    lob_ok(&["synth", "--records", "1000", "--out", shown(&out)]);
    let convert = ["convert", shown(&out), "--out", shown(&store), "--truth", shown(&other_truth)];
    let said = lob_fails(&convert);
    for named in ["o.parquet", "fits nothing", "hint: give the file that `lob synth --truth` wrote"]
    {
        assert!(said.contains(named), "{named}: {said}");
    }
    assert!(!all(folder.path()).iter().any(|name| name.starts_with("bins-")));
    // A truth is no store and no input, and a store is no truth.
    lob_ok(&[&synth[..], &[shown(&truth)]].concat());
    let said =
        lob_fails(&["convert", shown(&out), "--out", shown(&at("s")), "--truth", shown(&out)]);
    assert!(said.contains("not a Parquet file"), "{said}");
    let said = lob_fails(&["inspect", shown(&truth)]);
    assert!(said.contains("not a loblab store file"), "{said}");
    let store = at("s");
    let ticks = ["convert", shown(&out), "--out", shown(&store), "--truth", shown(&truth)];
    let said = lob_fails(&[&ticks[..], &["--layout", "ticks"]].concat());
    assert!(said.contains("`truth`") || said.contains("truth is"), "{said}");
    assert!(!at("s").exists());
}

/// Horizons as flags, and what is wrong with some.
#[test]
fn horizons_are_of_bins_updates_and_seconds_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let input = at("a.mbp-10.dbn");
    lob_ok(&["synth", "--records", "8000", "--out", shown(&input)]);
    let names = |name: &str, more: &[&str]| -> Vec<String> {
        let store = at(name);
        let convert = ["convert", shown(&input), "--out", shown(&store), "--json"];
        let found = json(&lob_ok(&[&convert[..], more].concat()));
        let labels = found["labels"].as_array().unwrap().iter();
        labels.map(|label| label["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("none", &["--horizons", "none"]), ["reversal"]);
    assert_eq!(names("ticks", &["--layout", "ticks"]), ["reversal"]);
    assert_eq!(
        names("some", &["--horizons", "2,500u,5s", "--forward-classes", "spread"])[..5],
        ["reversal", "forward_2", "forward_500u", "forward_5s", "volatility_2"]
    );
    assert_eq!(names("all", &[]).len(), 10);
    fs::write(at("c.toml"), "horizons = \"none\"\n").unwrap();
    assert_eq!(names("file", &["--config", shown(&at("c.toml"))]), ["reversal"]);
    fs::write(at("c.toml"), "horizons = [\"5s\", 4]\n").unwrap();
    assert_eq!(
        names("list", &["--config", shown(&at("c.toml"))])[1..3],
        ["forward_5s", "forward_4"]
    );
    let out = at("refused");
    for more in [
        &["--horizons", "none,3"][..],
        &["--horizons", "0"],
        &["--horizons", "5m"],
        &["--horizons", "3,3b"],
        &["--horizons", "5s", "--forward-classes", "volatility"],
        &["--forward-classes", "fixed=-1"],
        &["--horizons", "3", "--layout", "ticks"],
    ] {
        let convert = ["convert", shown(&input), "--out", shown(&out)];
        let said = lob_fails(&[&convert[..], more].concat());
        let what =
            if more[0] == "--forward-classes" || more.len() > 2 && more[2] == "--forward-classes" {
                "forward-classes"
            } else {
                "horizons"
            };
        assert!(said.contains(what), "{more:?}: {said}");
        assert!(!out.exists());
    }
}
