//! Files of every version of each public format, as they were written at the time, read with the
//! real binary. docs/FORMATS.md says what each holds; `fixtures/formats` has the files.

use std::path::{Path, PathBuf};

use super::{json, lob_fails, lob_ok, shown, workspace};

fn formats(name: &str) -> PathBuf {
    workspace().join("fixtures/formats").join(name)
}

/// The f32 values of an `.npy` file.
fn npy(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[header..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

#[test]
fn a_model_of_every_version_gives_its_embeddings() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("e.npy");
    for name in ["model-v1.safetensors", "model-v2.safetensors"] {
        let (model, store) = (formats(name), formats("store-v1/bins"));
        lob_ok(&["embed", shown(&model), shown(&store), "--out", shown(&out), "--quiet"]);
        let (found, expected) = (npy(&out), npy(&formats("embeddings-v1.npy")));
        assert_eq!((found.len(), expected.len()), (47 * 4, 47 * 4));
        for (a, b) in found.iter().zip(&expected) {
            // Another processor adds up in another order.
            assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "{name}: {a} {b}");
        }
    }
}

/// Version 3 says what it was trained on and has a head; its store is made again from its source.
#[test]
fn a_model_of_version_3_keeps_its_cuts_and_its_head() {
    let folder = tempfile::tempdir().unwrap();
    let (store, out) = (folder.path().join("store"), folder.path().join("e.npy"));
    let (source, model) = (formats("source.mbp-10.dbn.zst"), formats("model-v3.safetensors"));
    let args =
        ["convert", shown(&source), "--out", shown(&store), "--ticks-per-bin", "3", "--quiet"];
    let labels = ["--lookback", "6", "--lookforward", "6", "--offset", "1", "--horizons", "1,5"];
    lob_ok(&[&args[..], &labels].concat());
    lob_ok(&["embed", shown(&model), shown(&store), "--out", shown(&out), "--quiet"]);
    let (found, expected) = (npy(&out), npy(&formats("embeddings-v2.npy")));
    assert_eq!((found.len(), expected.len()), (151 * 4, 151 * 4));
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-4 * (1.0 + b.abs())));
    let said = json(&lob_ok(&["inspect", shown(&model), "--json"]));
    assert_eq!((&said["kind"], &said["model"]["version"]), (&"model".into(), &3.into()));
    assert_eq!(said["model"]["training"]["cuts"]["embargo"], 7);
    assert_eq!(said["model"]["head"]["classes"], serde_json::json!(["down", "up"]));
    let csv = folder.path().join("s.csv");
    let args = ["signals", shown(&store), "--model", shown(&model), "--out", shown(&csv), "--json"];
    assert_eq!(json(&lob_ok(&args))["rows"], 168);
    let table = json(&lob_ok(&["inspect", shown(&formats("embeddings-v2.parquet")), "--json"]));
    assert_eq!(
        (&table["rows"], &table["described"]["loblab:embeddings"]),
        (&151.into(), &"2".into())
    );
    // Version 1 did not say its version.
    let old = json(&lob_ok(&["inspect", shown(&formats("embeddings-v1.parquet")), "--json"]));
    assert_eq!((&old["kind"], &old["rows"]), (&"embeddings".into(), &47.into()));
}

#[test]
fn checkpoints_of_versions_2_and_3_are_resumed() {
    for version in ["checkpoint-v2", "checkpoint-v3"] {
        let folder = tempfile::tempdir().unwrap();
        let name = "step-00000002.safetensors";
        std::fs::copy(formats(version).join(name), folder.path().join(name)).unwrap();
        let (store, settings) = (formats("store-v1/bins"), formats("settings-v1/train.toml"));
        let args = ["train", shown(&store), "--config", shown(&settings), "--checkpoint"];
        let args = [&args[..], &[shown(folder.path()), "--resume", "--json"]].concat();
        let found = json(&lob_ok(&args));
        assert_eq!(found["steps"], 3, "{version}: {found}");
        let loss = found["loss_last"].as_f64().unwrap();
        assert!((loss - 1.234_85).abs() < 1e-3, "{version}: not the unbroken run's: {loss}");
    }
}

/// Version 1 was written before windows could be left out of the negatives.
#[test]
fn a_checkpoint_of_version_1_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let name = "step-00000002.safetensors";
    let bytes = std::fs::read(formats("checkpoint-v2").join(name)).unwrap();
    // The header is JSON whose length the first eight bytes say; one digit changes.
    let wanted = b"\\\"version\\\":2";
    let at = bytes.windows(wanted.len()).position(|part| part == wanted).unwrap();
    let mut older = bytes.clone();
    older[at + wanted.len() - 1] = b'1';
    std::fs::write(folder.path().join(name), older).unwrap();
    let (store, settings) = (formats("store-v1/bins"), formats("settings-v1/train.toml"));
    let args = ["train", shown(&store), "--config", shown(&settings), "--checkpoint"];
    let said = lob_fails(&[&args[..], &[shown(folder.path()), "--resume"]].concat());
    assert!(said.contains("version `1`") && said.contains(name), "{said}");
}

#[test]
fn runs_and_a_history_of_version_1_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let run = formats("run-v1/run.json");
    let out = folder.path().join("report");
    lob_ok(&["report", shown(&run), "--out", shown(&out), "--format", "md,html", "--quiet"]);
    assert!(std::fs::read_to_string(out.join("report.md")).unwrap().contains("20261121T041500Z"));
    lob_ok(&["compare", shown(&run), shown(&run), "--force"]);
    // What version 2 says in keys, version 1 said in names.
    let read = |name: &str| {
        let text = std::fs::read_to_string(formats(name)).unwrap();
        lob_metrics::Run::from_json(&text).unwrap()
    };
    let (old, new) = (read("run-v1/run.json"), read("run-v2/run.json"));
    assert_eq!(old.schema_version, 2);
    let places = |run: &lob_metrics::Run| {
        let over = run.measurements().filter_map(|(_, m)| m.over.clone());
        over.collect::<Vec<_>>()
    };
    assert_eq!(places(&old), places(&new));
    assert_eq!(places(&new).len(), 2);
    for ((_, old), (_, new)) in old.measurements().zip(new.measurements()) {
        assert_eq!((&old.metric, &old.reading), (&new.metric, &new.reading));
        assert_eq!(old.demand.map(|d| d.of), new.demand.map(|d| d.of), "{}", old.metric);
        assert_eq!(old.by.is_some(), new.by.is_some(), "{}", old.metric);
    }
    let history = std::fs::read_to_string(formats("run-v1/history.jsonl")).unwrap();
    let entries = lob_metrics::read_history(&history).unwrap();
    assert_eq!((entries.len(), entries[0].history_version), (10, 1));
    assert_eq!(entries[0].run, "20261121T041500Z-sample");
}

#[test]
fn settings_of_version_1_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("store");
    let (input, settings) = (formats("source.mbp-10.dbn.zst"), formats("settings-v1"));
    let convert = settings.join("convert.toml");
    let places = ["convert", shown(&input), "--out", shown(&out), "--config", shown(&convert)];
    let found = json(&lob_ok(&[&places[..], &["--json"]].concat()));
    // The flags say the same; what the records come to is for other tests.
    let flags =
        ["--ticks-per-bin", "10", "--lookback", "40", "--lookforward", "30", "--offset", "5"];
    let again = folder.path().join("again");
    let places =
        ["convert", shown(&input), "--out", shown(&again), "--label-classes", "5", "--json"];
    let expected = json(&lob_ok(&[&places[..], &flags].concat()));
    assert!(found["samples"].as_u64().unwrap() > 20, "{found}");
    for key in ["rows", "samples"] {
        assert_eq!(found[key], expected[key], "{key}");
    }
    let config = lob_watch::ProfilerConfig::from_file(&settings.join("profiler.toml")).unwrap();
    assert_eq!(config.memory_interval().as_secs_f64(), 0.05);
    let targets = lob_bench::read_targets(&settings.join("targets.toml")).unwrap();
    assert_eq!((targets.len(), targets[0].hard_limit), (5, Some(500.0)));
}
