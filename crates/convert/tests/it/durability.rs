//! Failures, repeated runs and runs at the same time.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use lob_convert::{ConvertError, Progress, convert};

use crate::{market, several, small, tree};

/// Three inputs, the second of which is cut.
fn inputs(folder: &Path) -> Vec<PathBuf> {
    let paths: Vec<_> =
        (0..3).map(|n| market(folder, &format!("{n}.mbp-10.dbn.zst"), 2_000 + n, 1, 1)).collect();
    let bytes = std::fs::read(&paths[1]).unwrap();
    std::fs::write(&paths[1], &bytes[..bytes.len() / 2]).unwrap();
    paths
}

fn files(out: &Path) -> Vec<String> {
    tree(out).into_iter().filter(|name| name.ends_with(".parquet")).collect()
}

#[test]
fn one_bad_input_takes_everything_back() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = inputs(folder.path());
    let config = several(folder.path().join("out"));
    for jobs in [1, 3] {
        let config = lob_convert::ConvertConfig { jobs, ..config.clone() };
        let error = convert(&inputs, &config, &()).unwrap_err();
        assert!(matches!(error, ConvertError::Truncated { .. }), "{error}");
        assert!(!config.out.exists(), "{:?}", tree(&config.out));
    }
    // A folder that was there before stays, without our files.
    std::fs::create_dir(&config.out).unwrap();
    std::fs::write(config.out.join("notes.txt"), "mine").unwrap();
    assert!(convert(&inputs, &config, &()).is_err());
    assert_eq!(tree(&config.out), ["notes.txt"]);
}

#[test]
fn keep_going_converts_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = inputs(folder.path());
    let mut config = several(folder.path().join("out"));
    config.keep_going = true;
    let error = convert(&inputs, &config, &()).unwrap_err();
    let text = error.to_string();
    let ConvertError::SomeFailed { total, failures, done } = error else { panic!("{text}") };
    assert_eq!((total, failures.len(), done.inputs.len()), (3, 1, 2));
    assert!(text.contains("1 of 3 inputs failed") && text.contains("1.mbp-10.dbn.zst"), "{text}");
    assert_eq!(files(&config.out).len(), 2);
}

#[test]
fn resume_takes_over_what_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let paths = inputs(folder.path());
    let mut config = several(folder.path().join("out"));
    config.resume = true;
    assert!(convert(&paths, &config, &()).is_err());
    assert_eq!(files(&config.out).len(), 1, "finished inputs are kept for the next run");

    // Repaired, and one of the finished files gone.
    market(folder.path(), "1.mbp-10.dbn.zst", 2_001, 1, 1);
    let summary = convert(&paths, &config, &()).unwrap();
    let resumed: Vec<_> = summary.inputs.iter().map(|input| input.resumed).collect();
    assert_eq!(resumed, [true, false, false]);
    assert_eq!(summary.outputs.len(), 3);
    assert!(summary.outputs.iter().all(|output| output.path.exists()));
    std::fs::remove_file(&summary.outputs[2].path).unwrap();
    let again = convert(&paths, &config, &()).unwrap();
    let resumed: Vec<_> = again.inputs.iter().map(|input| input.resumed).collect();
    assert_eq!(resumed, [true, true, false]);
    let key = |summary: &lob_convert::ConvertSummary| {
        let outputs = summary.outputs.iter();
        (summary.rows, summary.samples, outputs.map(|o| o.sha256.clone()).collect::<Vec<_>>())
    };
    assert_eq!(key(&again), key(&summary));
}

#[test]
fn a_half_written_journal_line_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 2_000, 1, 1);
    let mut config = several(folder.path().join("out"));
    config.resume = true;
    convert(std::slice::from_ref(&input), &config, &()).unwrap();
    let journal = config.out.join(".loblab-journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    // As if killed while noting a second input, with a temporary folder left over.
    std::fs::write(&journal, format!("{text}{}", &text[..text.len() / 2])).unwrap();
    std::fs::create_dir_all(config.out.join(".loblab-tmp-1/0/day=x")).unwrap();
    let other = market(folder.path(), "b.mbp-10.dbn.zst", 2_500, 1, 1);
    let summary = convert(&[input, other], &config, &()).unwrap();
    assert_eq!(summary.inputs.iter().filter(|input| input.resumed).count(), 1);
    assert_eq!(std::fs::read_to_string(&journal).unwrap().lines().count(), 2);
    assert!(!config.out.join(".loblab-tmp-1").exists());
    assert!(!config.out.join(".loblab-lock").exists());
}

#[test]
fn running_twice_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 2_000, 2, 1);
    let config = small(folder.path().join("out"));
    let first = convert(std::slice::from_ref(&input), &config, &()).unwrap();
    let second = convert(&[input], &config, &()).unwrap();
    assert_eq!(first.outputs, second.outputs);
    assert_eq!(files(&config.out).len(), 2);
}

#[test]
fn other_settings_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 2_000, 1, 1);
    let mut config = small(folder.path().join("out"));
    convert(std::slice::from_ref(&input), &config, &()).unwrap();
    let before = tree(&config.out);
    config.label.classes = 3;
    let error = convert(&[input], &config, &()).unwrap_err();
    assert!(matches!(error, ConvertError::OtherSettings { .. }), "{error}");
    assert_eq!(tree(&config.out), before);
}

/// Starts a second run from inside the first one, or stops the run.
struct Meddler<'a> {
    out: &'a Path,
    input: &'a Path,
    refused: AtomicU64,
    stops: bool,
}

impl Progress for Meddler<'_> {
    fn advanced(&self, _: &Path, _: u64, _: u64) {
        let second = convert(&[self.input.to_owned()], &small(self.out.to_owned()), &());
        if matches!(second, Err(ConvertError::Locked { .. })) {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.stops && self.refused.load(Ordering::Relaxed) > 0
    }
}

#[test]
fn two_runs_on_one_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 2_000, 1, 1);
    let config = small(folder.path().join("out"));
    let meddler = |stops| Meddler { out: &config.out, input: &input, refused: 0.into(), stops };
    let patient = meddler(false);
    convert(std::slice::from_ref(&input), &config, &patient).unwrap();
    assert!(patient.refused.into_inner() > 0);
    assert_eq!(files(&config.out).len(), 1);
    std::fs::remove_dir_all(&config.out).unwrap();
    // A stopped run leaves nothing.
    let error = convert(std::slice::from_ref(&input), &config, &meddler(true)).unwrap_err();
    assert!(matches!(error, ConvertError::Interrupted), "{error}");
    assert!(!config.out.exists());
}

#[test]
fn a_manifest_with_another_hash_stops_the_conversion() {
    let folder = tempfile::tempdir().unwrap();
    let batch = folder.path().join("batch");
    std::fs::create_dir(&batch).unwrap();
    let input = market(&batch, "a.mbp-10.dbn.zst", 1_000, 1, 1);
    let bytes = std::fs::metadata(&input).unwrap().len();
    let manifest = |hash: &str| {
        let text = format!(
            r#"{{"files":[{{"filename":"a.mbp-10.dbn.zst","size":{bytes},"hash":"sha256:{hash}"}}]}}"#
        );
        std::fs::write(batch.join("manifest.json"), text).unwrap();
    };
    let config = small(folder.path().join("out"));
    manifest(&"0".repeat(64));
    let error = convert(std::slice::from_ref(&batch), &config, &()).unwrap_err();
    assert!(matches!(error, ConvertError::Manifest { .. }), "{error}");
    assert!(!config.out.exists());
    let sound = lob_convert::verify(&input).unwrap().sha256;
    manifest(&sound);
    assert_eq!(convert(&[batch], &config, &()).unwrap().inputs[0].sha256, Some(sound));
}
