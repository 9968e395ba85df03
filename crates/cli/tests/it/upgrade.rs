//! `lob store upgrade`, and what version 1 of a store was.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{fixture, json, lob, lob_fails, lob_ok, shown, workspace};

fn formats(name: &str) -> PathBuf {
    workspace().join("fixtures/formats").join(name)
}

/// Hash of the order of samples, and of three images, with the settings below.
fn facts(store: &Path, folder: &Path) -> [String; 4] {
    let wide = ["--bins", "20", "--features", "volume,variance,trade_counts"];
    let load = [&["load", shown(store), "--json", "--shuffle"], &wide[..]].concat();
    let order = json(&lob_ok(&load))["order_sha256"].as_str().unwrap().to_owned();
    let image = folder.join("image.npy");
    let images = ["0", "30", "60"].map(|index| {
        let render = ["render", shown(store), "--index", index, "--out", shown(&image), "--quiet"];
        lob_ok(&[&render[..], &wide].concat());
        let digest = Sha256::digest(fs::read(&image).unwrap());
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    });
    let [a, b, c] = images;
    [order, a, b, c]
}

/// Written down from the program of commit 61fd155, the last one that wrote version 1.
const OF_VERSION_1: [&str; 4] = [
    "6440af9039289282374eca8f54800f69b2e24b344f4783d2923f785fab9085df",
    "5c8ab8663eba1c163858e64b1d6bf1e04140be919655ebe986d6abd06da6632d",
    "6a10433a8947acea1f7672c47e8bb9fe5b77001d9fae07a9b5b89796c78a9aba",
    "b026bb8903c6ed72a14e9efd0a0b5a35b0fa947a576215af060f036ec7557f10",
];

#[test]
fn a_store_of_version_1_and_its_upgrade_give_the_images_labels_and_order_of_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (formats("store-v1/bins"), folder.path().join("deep/new"));
    assert_eq!(facts(&old, folder.path()), OF_VERSION_1);
    let said = json(&lob_ok(&["store", "upgrade", shown(&old), "--out", shown(&new), "--json"]));
    assert_eq!(facts(&new, folder.path()), OF_VERSION_1);

    let (before, after) = [&old, &new].map(|path| lob_store::Store::open(path).unwrap()).into();
    assert_eq!(before.fingerprint(), after.fingerprint(), "the same data");
    let (before, after) = (&before.files()[0], &after.files()[0]);
    assert_eq!(before.rows(0..80).unwrap(), after.rows(0..80).unwrap());
    assert_eq!((before.meta().format_version, after.meta().format_version), (1, 2));
    assert_eq!(after.order_flow(0..80).unwrap(), [None; 80]);
    assert_eq!(after.meta().unknown, ["order_flow", "snapshot_rows"]);
    let relative = before.path().strip_prefix(&old).unwrap();
    assert_eq!(after.path(), new.join(relative));

    // The account is of what is there, and so is the journal.
    let of_file = &said["files"][0];
    let bytes = fs::read(after.path()).unwrap();
    assert_eq!((of_file["from_version"].as_u64(), of_file["rows"].as_u64()), (Some(1), Some(80)));
    assert_eq!(of_file["bytes"].as_u64(), Some(bytes.len() as u64));
    assert_eq!(of_file["bytes_before"].as_u64(), Some(fs::metadata(before.path()).unwrap().len()));
    let digest: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    let journal = json(&fs::read_to_string(new.join(".loblab-journal.jsonl")).unwrap());
    assert_eq!(journal["version"], 2);
    let output = &journal["outcome"]["outputs"][0];
    assert_eq!(
        (output["sha256"].as_str(), output["bytes"].as_u64()),
        (Some(&*digest), of_file["bytes"].as_u64())
    );
    assert_eq!(output["path"].as_str(), Some(shown(relative)));

    let seen = lob_ok(&["inspect", shown(&new)]);
    for line in [
        "reversal (reversal, 30 updates, 5 classes)",
        "order_flow, snapshot_rows: in 1 of 1 files",
        "journal alone: 1 inputs, 800 records, 80 rows",
    ] {
        assert!(seen.contains(line), "{line}: {seen}");
    }
    assert!(!seen.contains("health"), "{seen}");
    let seen = json(&lob_ok(&["inspect", shown(&new), "--json"]));
    assert_eq!(seen["files"][0]["format_version"], 2);
    assert_eq!(seen["files"][0]["labels"][0]["kind"], "reversal");
}

/// A folder's content, hidden things included.
fn all(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

const OF_FILE: &str = "day=2024-04-01/instrument_id=42005850/bins-1-21844764b6ed.parquet";

#[test]
fn what_cannot_be_upgraded_is_named_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let old = formats("store-v1/bins");
    let new = folder.path().join("new");
    let refused = |store: &Path, out: &Path| {
        lob_fails(&["store", "upgrade", shown(store), "--out", shown(out)])
    };
    let said = refused(&formats("store-v1/ticks"), &new);
    assert!(said.contains("which holds ticks") && said.contains("convert the inputs"), "{said}");
    let said = refused(&folder.path().join("none"), &new);
    assert!(said.contains("expected the folder of a store"), "{said}");
    let empty = tempfile::tempdir().unwrap();
    let said = refused(empty.path(), &new);
    assert!(said.contains("no store under"), "{said}");
    let said = refused(&old, folder.path());
    assert!(said.contains("which is there already"), "{said}");
    assert_eq!(all(folder.path()), [""; 0]);

    let inside = folder.path().join("inside");
    fs::create_dir_all(inside.join("a")).unwrap();
    fs::copy(old.join(OF_FILE), inside.join("a/a.parquet")).unwrap();
    for out in ["new", "a/new", "a/b/c/../new"] {
        let said = refused(&inside, &inside.join(out));
        assert!(said.contains("expected a folder outside the store"), "{out}: {said}");
    }
    fs::remove_dir_all(&inside).unwrap();
    lob_ok(&["store", "upgrade", shown(&old), "--out", shown(&new), "--quiet"]);
    let said = refused(&new, &folder.path().join("newer"));
    assert!(said.contains("all of version 2"), "{said}");
    // A page that is damaged, in a store that has a sound file too.
    let mixed = folder.path().join("mixed");
    let name = OF_FILE;
    fs::create_dir_all(mixed.join("b")).unwrap();
    fs::copy(new.join(name), mixed.join("a.parquet")).unwrap();
    let mut bytes = fs::read(old.join(name)).unwrap();
    bytes[5_000] ^= 1;
    fs::write(mixed.join("b/b.parquet"), &bytes).unwrap();
    let said = refused(&mixed, &folder.path().join("newer"));
    assert!(said.contains("b.parquet` is damaged: column"), "{said}");
    assert_eq!(all(folder.path()), ["mixed", "new"]);
    // Mended, its file of version 2 is copied as it is.
    fs::copy(old.join(name), mixed.join("b/b.parquet")).unwrap();
    let newer = folder.path().join("newer");
    let said = lob_ok(&["store", "upgrade", shown(&mixed), "--out", shown(&newer)]);
    assert!(said.contains("a.parquet: version 2, 80 bins"), "{said}");
    assert_eq!(fs::read(newer.join("a.parquet")).unwrap(), fs::read(new.join(name)).unwrap());
    assert_eq!(fs::read(newer.join("b/b.parquet")).unwrap(), fs::read(new.join(name)).unwrap());
}

/// Rows with order flow and rows without are not mixed, and nothing is lost by trying.
#[test]
fn nothing_is_converted_into_a_store_of_version_1_or_its_upgrade() {
    let folder = tempfile::tempdir().unwrap();
    let new = folder.path().join("new");
    lob_ok(&["store", "upgrade", shown(&formats("store-v1/bins")), "--out", shown(&new)]);
    let before = fs::read(new.join(OF_FILE)).unwrap();
    let source = formats("source.mbp-10.dbn.zst");
    let flags = "--ticks-per-bin 10 --lookback 40 --lookforward 30 --offset 5 --label-classes 5";
    let flags: Vec<&str> = flags.split(' ').collect();
    for more in [&[][..], &["--resume"]] {
        let convert = ["convert", shown(&source), "--out", shown(&new)];
        let said = lob_fails(&[&convert[..], &flags, more].concat());
        assert!(
            said.contains("of an earlier version") && said.contains("another folder"),
            "{said}"
        );
    }
    assert_eq!(all(&new), [".loblab-journal.jsonl", "day=2024-04-01"]);
    assert_eq!(fs::read(new.join(OF_FILE)).unwrap(), before);
}

#[test]
fn labels_are_asked_for_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let input = fixture("small.mbp-10.dbn.zst");
    let windows = ["--lookback", "20", "--lookforward", "20", "--offset", "5"];
    let convert = ["convert", shown(&input), "--out", shown(&store), "--ticks-per-bin", "5"];
    lob_ok(&[&convert[..], &windows, &["--horizons", "1,10", "--quiet"]].concat());
    let seen = lob_ok(&["inspect", shown(&store)]);
    assert!(seen.contains("forward_10 (forward, 10 bins, 3 classes: down, flat, up"), "{seen}");
    assert!(seen.contains("volatility_10 (volatility, 10 bins, no classes)"), "{seen}");
    let load = ["load", shown(&store), "--bins", "8", "--json"];
    let of = |more: &[&str]| json(&lob_ok(&[&load[..], more].concat()));
    // The nearest from 10 bins on.
    let plain = of(&[]);
    let about = |found: &serde_json::Value| {
        ["label", "label_kind", "label_horizon", "label_unit"].map(|key| found[key].clone())
    };
    assert_eq!(
        serde_json::json!(about(&plain)),
        serde_json::json!(["forward_10", "forward", 10, "bins"])
    );
    // The oldest label has two names.
    for name in ["reversal", "price_movement"] {
        let found = of(&["--label", name]);
        let expected = serde_json::json!(["reversal", "reversal", 20, "updates"]);
        assert_eq!(serde_json::json!(about(&found)), expected, "{name}");
        assert_eq!(found["order_sha256"], plain["order_sha256"]);
    }
    let names: Vec<_> = plain["labels"].as_array().unwrap().iter().map(|l| &l["name"]).collect();
    let all = "reversal forward_1 forward_10 volatility_10 next_change next_trade_side";
    assert_eq!(names, all.split(' ').collect::<Vec<_>>());
    for name in &names[1..] {
        let found = of(&["--label", name.as_str().unwrap()]);
        assert_eq!(found["order_sha256"], plain["order_sha256"]);
    }
    assert!(of(&["--label", "next_trade_side", "--balanced"])["samples"].as_u64() > Some(0));
    let refused = lob(&[&load[..], &["--label", "forward_2"]].concat());
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(said.contains("has no label `forward_2`: its labels are `reversal`"), "{said}");
    // A settings file says the same as the flag.
    let settings = folder.path().join("convert.toml");
    fs::write(
        &settings,
        "horizons = [1, \"10b\"]\nforward-classes = \"fixed=0\"\nticks-per-bin = 5\n",
    )
    .unwrap();
    let again = folder.path().join("again");
    let convert = ["convert", shown(&input), "--out", shown(&again), "--config", shown(&settings)];
    lob_ok(&[&convert[..], &windows, &["--quiet"]].concat());
    let name = |root: &Path| {
        let store = lob_store::Store::open(root).unwrap();
        fs::read(store.files()[0].path()).unwrap()
    };
    assert_eq!(name(&store), name(&again));
}
