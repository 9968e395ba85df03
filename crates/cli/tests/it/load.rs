//! `lob load` and every flag of it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{fixture, json, lob, lob_fails, lob_ok, shown};

/// A small store, made from the fixture; an image is 8 bins wide.
fn store(folder: &Path) -> PathBuf {
    let out = folder.join("store");
    let input = fixture("small.mbp-10.dbn.zst");
    lob_ok(&[
        "convert",
        shown(&input),
        "--out",
        shown(&out),
        "--ticks-per-bin",
        "5",
        "--lookback",
        "20",
        "--lookforward",
        "20",
        "--offset",
        "5",
        "--label-classes",
        "3",
        "--quiet",
    ]);
    out
}

fn load(store: &Path, args: &[&str]) -> Value {
    let mut all = vec!["load", shown(store), "--bins", "8", "--json"];
    all.extend(args);
    json(&lob_ok(&all))
}

/// Windows that were gone through: those without a two-sided bin have no image and are counted.
fn taken(found: &Value) -> u64 {
    found["samples"].as_u64().unwrap() + found["skipped_windows"].as_u64().unwrap()
}

#[test]
fn the_order_depends_on_seed_and_epoch_and_not_on_workers() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let sha = |args: &[&str]| {
        let found = load(&store, args);
        assert_eq!(Some(taken(&found)), found["windows"].as_u64(), "{args:?}");
        found["order_sha256"].as_str().unwrap().to_owned()
    };
    for shuffle in [&["--shuffle"][..], &["--shuffle-block", "16"]] {
        let with = |more: &[&str]| sha(&[shuffle, more].concat());
        let one = with(&["--workers", "1"]);
        assert_eq!(one.len(), 64);
        assert_eq!(one, with(&["--workers", "2"]));
        assert_eq!(one, with(&["--workers", "4", "--no-persistent-workers"]));
        assert_eq!(one, with(&["--workers", "0", "--prefetch-bytes", "0"]));
        assert_ne!(one, with(&["--epoch", "1"]), "{shuffle:?}");
        assert_ne!(one, with(&["--seed", "1"]), "{shuffle:?}");
    }
    assert_eq!(sha(&[]), sha(&["--epoch", "1", "--seed", "1"]), "file order is always the same");
}

#[test]
fn batches_have_the_size_and_number_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let windows = load(&store, &[])["windows"].as_u64().unwrap();
    assert!(windows > 100, "{windows}");
    let check = |args: &[&str], batches: u64, samples: u64| {
        let found = load(&store, args);
        let counts = (found["batches"].as_u64().unwrap(), taken(&found));
        assert_eq!(counts, (batches, samples), "{args:?}");
    };
    // Larger than the longest run of windows without an image, whose batches would be left out.
    check(&["--batch-size", "100"], windows.div_ceil(100), windows);
    check(&["--batch-size", "100", "--drop-last"], windows / 100, windows / 100 * 100);
    check(&["--batch-size", "100", "--batches", "3"], 3, 300);
    let more = (windows / 50 * 2 + 1).to_string();
    let over = load(&store, &["--batch-size", "50", "--batches", &more, "--drop-last"]);
    assert_eq!(over["batches"].as_u64(), Some(windows / 50 * 2 + 1), "on into further epochs");
    check(
        &["--sample-fraction", "0.5", "--batch-size", "1000"],
        1,
        (windows as f64 / 2.0).round() as u64,
    );
    check(&["--sample-fraction", "0.000001"], 1, 1);
    check(&["--world-size", "3", "--rank", "2", "--batch-size", "1000"], 1, windows.div_ceil(3));
    let strided = load(&store, &["--stride", "8"])["windows"].as_u64().unwrap();
    assert!(strided >= windows / 8 && strided < windows / 4, "{strided}");
    assert!(load(&store, &["--balanced"])["samples"].as_u64().unwrap() > 0);
}

#[test]
fn an_epoch_resumes_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let first = load(&store, &["--shuffle", "--seed", "5", "--batch-size", "9", "--batches", "4"]);
    let data = first["data"].as_str().unwrap();
    assert_eq!(first["state"], format!("epoch=0,position=36,seed=5,data={data}"));
    let state = first["state"].as_str().unwrap();
    let rest = load(&store, &["--shuffle", "--batch-size", "9", "--resume-state", state]);
    let windows = rest["windows"].as_u64().unwrap();
    assert_eq!(taken(&first) + taken(&rest), windows);
    assert_eq!(rest["order_sha256"], first["order_sha256"]);
    assert_eq!(rest["state"], format!("epoch=0,position={windows},seed=5,data={data}"));
    let path = shown(&store);
    for bad in ["epoch=0", "epoch=0,position=99999999,seed=5"] {
        let refused = lob_fails(&["load", path, "--bins", "8", "--resume-state", bad]);
        assert!(refused.contains("state") || refused.contains("position"), "{refused}");
    }
    // Another store is refused by name, unless it is asked for; a state of before says nothing.
    let other = folder.path().join("other");
    let input = fixture("small.mbp-10.dbn.zst");
    lob_ok(&["convert", shown(&input), "--out", shown(&other), "--ticks-per-bin", "5", "--quiet"]);
    let args = ["--shuffle", "--batch-size", "9", "--batches", "1", "--resume-state"];
    let refused = [&["load", shown(&other), "--bins", "8"], &args[..], &[state]].concat();
    let refused = lob_fails(&refused);
    assert!(refused.contains(data) && refused.contains(shown(&other)), "{refused}");
    assert!(refused.contains("--allow-other-data"), "{refused}");
    let allowed = load(&other, &[&args[..], &[state, "--allow-other-data"]].concat());
    assert_ne!(allowed["data"], data);
    let old = load(&other, &[&args[..], &["epoch=0,position=36,seed=5"]].concat());
    assert_eq!(old["state"], allowed["state"]);
}

/// Issue 20, line 6: the state after the last sample said "no batch was served", exit code 2.
#[test]
fn after_the_end_of_an_epoch_comes_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let common = ["--shuffle", "--batch-size", "9"];
    let with = |more: &[&str]| load(&store, &[&common[..], more].concat());
    let whole = with(&["--seed", "5"]);
    let (windows, end) = (whole["windows"].as_u64().unwrap(), whole["state"].as_str().unwrap());
    let data = whole["data"].as_str().unwrap();
    assert_eq!(end, format!("epoch=0,position={windows},seed=5,data={data}"));
    let second = with(&["--seed", "5", "--epoch", "1"]);
    let state_of_second = format!("epoch=1,position={windows},seed=5,data={data}");
    for more in [&[][..], &["--workers", "0"], &["--epochs", "1"]] {
        let next = with(&[&["--resume-state", end][..], more].concat());
        assert_eq!((taken(&next), &next["state"]), (windows, &state_of_second.as_str().into()));
        assert_eq!(next["order_sha256"], second["order_sha256"], "{more:?}");
    }
    let two = with(&["--resume-state", end, "--epochs", "2"]);
    assert_eq!(
        (taken(&two), &two["state"]),
        (2 * windows, &format!("epoch=2,position={windows},seed=5,data={data}").as_str().into())
    );
    let some = with(&["--resume-state", end, "--batches", "3"]);
    assert_eq!(some["state"], format!("epoch=1,position=27,seed=5,data={data}"));
    // With --drop-last an epoch ends before its last samples.
    let dropped = with(&["--seed", "5", "--drop-last"]);
    let state = dropped["state"].as_str().unwrap();
    let full = windows / 9 * 9;
    assert_eq!(state, format!("epoch=0,position={full},seed=5,data={data}"));
    let next = with(&["--resume-state", state, "--drop-last"]);
    assert_eq!(next["state"], format!("epoch=1,position={full},seed=5,data={data}"));
    let output = lob(&["load", shown(&store), "--bins", "8", "--resume-state", end]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("epoch 0 is done: serving epoch 1"), "{said}");
    // The last epoch there is.
    let last = format!("epoch={},position={windows},seed=5", u64::MAX);
    let refused = lob_fails(&["load", shown(&store), "--bins", "8", "--resume-state", &last]);
    assert!(refused.contains("there is no epoch after 18446744073709551615"), "{refused}");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_with_the_state_to_go_on_with() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    for (signal, workers) in [("-TERM", "2"), ("-INT", "0"), ("-HUP", "1")] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lob"))
            .args(["load", shown(&store), "--bins", "8", "--shuffle", "--workers", workers])
            .args(["--batches", "1000000000", "--batch-size", "4", "--monitor-every", "1"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().starts_with("batch 10:"), "it serves");
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let said: Vec<String> = lines.map(Result::unwrap).collect();
        assert_eq!(child.wait().unwrap().code(), Some(2), "{said:?}");
        let [.., error, hint] = &said[..] else { panic!("{said:?}") };
        assert!(error.starts_with("error: interrupted after "), "{error}");
        let state = hint.split_once("--resume-state ").unwrap().1;
        let rest = load(&store, &["--shuffle", "--resume-state", state]);
        assert!(taken(&rest) <= rest["windows"].as_u64().unwrap(), "{state}: {rest}");
    }
}

#[test]
fn formats_features_and_presets_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let bytes = |args: &[&str]| load(&store, args)["image_bytes"].as_f64().unwrap();
    let volume = bytes(&[]);
    for (dtype, share) in [("f16", 0.5), ("bf16", 0.5), ("u8", 0.25)] {
        let found = load(&store, &["--dtype", dtype]);
        assert_eq!(
            (found["dtype"].as_str(), found["image_bytes"].as_f64()),
            (Some(dtype), Some(volume * share))
        );
    }
    let all = "volume,variance,trade_counts,order_flow_imbalance,microprice";
    assert_eq!(bytes(&["--features", all, "--normalise", "signed-log"]), 5.0 * volume);
    for (preset, batch) in [("default", 32), ("8gb", 32), ("throughput", 64), ("low-memory", 16)] {
        let found = load(&store, &["--preset", preset, "--sample-fraction", "1"]);
        let windows = found["windows"].as_u64().unwrap();
        let expected =
            if preset == "throughput" { windows / batch } else { windows.div_ceil(batch) };
        let left_out = expected - found["batches"].as_u64().unwrap();
        let skipped = found["skipped_windows"].as_u64().unwrap();
        assert!(left_out <= skipped / batch, "{preset}: {left_out} batches of {expected}");
    }
    let bounded = load(&store, &["--prefetch-factor", "1", "--workers", "2", "--cache-bytes", "0"]);
    assert!(bounded["buffers"].as_u64().unwrap() <= 3, "{bounded}");
    assert_eq!(bounded["cache_hits"], 0);
    let path = shown(&store);
    let refused = lob_fails(&["load", path, "--bins", "8", "--dtype", "u8", "--normalise", "none"]);
    assert!(refused.contains("option `dtype` is `u8`"), "{refused}");
    assert!(lob_fails(&["load", path, "--bins", "8", "--dtype", "f64"]).contains("f64"));
    assert!(
        lob_fails(&["load", path, "--bins", "8", "--features", "nonsense"]).contains("nonsense")
    );
    assert!(lob_fails(&["load", path, "--bins", "100000"]).contains("its longest run has"));
    assert!(lob_fails(&["load", path, "--bins", "8", "--batch-size", "0"]).contains("batch_size"));
    // Locked memory is served, or refused with a hint where the system allows none.
    let pinned = lob(&["load", path, "--bins", "8", "--batches", "1", "--pin-memory"]);
    let said = String::from_utf8_lossy(&pinned.stderr).into_owned();
    assert!(pinned.status.success() || said.contains("ulimit -l"), "{said}");
}

#[test]
fn ten_epochs_leak_nothing_and_the_monitor_speaks() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let found = load(&store, &["--shuffle", "--epochs", "10", "--batch-size", "4"]);
    let windows = found["windows"].as_u64().unwrap();
    assert_eq!(taken(&found), 10 * windows);
    assert_eq!(found["leak"]["verdict"], "no_leak", "{}", found["leak"]);
    let path = shown(&store);
    let args = ["load", path, "--bins", "8", "--batch-size", "4", "--monitor-every", "15"];
    let output = lob(&args);
    let said = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("batch ")).collect();
    assert!(lines[0].starts_with("batch 10:") && lines[1].starts_with("batch 15:"), "{said}");
    assert_eq!(lines.len() as u64, 1 + windows.div_ceil(4) / 15, "{said}");
    for figure in ["samples/s", "RSS", "data wait", "ready", "cache hits"] {
        assert!(lines.iter().all(|line| line.contains(figure)), "{said}");
    }
    let quiet = lob(&[&args[..], &["--quiet"]].concat());
    assert!(quiet.status.success() && quiet.stderr.is_empty(), "{quiet:?}");
}

#[test]
fn a_damaged_store_is_an_error_with_file_and_row() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let file = largest(&store);
    let mut bytes = std::fs::read(&file).unwrap();
    // The pages come first; the page tables and the footer behind them stay sound.
    let quarter = bytes.len() / 4;
    bytes[quarter / 2..2 * quarter].fill(0x55);
    std::fs::write(&file, &bytes).unwrap();
    let refused = lob_fails(&["load", shown(&store), "--bins", "8", "--workers", "2"]);
    assert!(refused.contains("cannot load the window at row"), "{refused}");
    assert!(refused.contains(file.file_name().unwrap().to_str().unwrap()), "{refused}");
    assert!(refused.contains("is damaged: column"), "{refused}");
}

fn largest(folder: &Path) -> PathBuf {
    let mut all = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "parquet") {
                all.push((path.metadata().unwrap().len(), path));
            }
        }
    }
    all.into_iter().max().unwrap().1
}
