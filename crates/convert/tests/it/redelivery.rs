//! Sources that come again with other content, and what inputs are known by.

use std::path::Path;

use lob_convert::{ConvertConfig, ConvertError, InputHash, convert};

use crate::{
    made::{DAY_1, books, updates},
    market, several, small, tree,
};

fn files(out: &Path) -> Vec<String> {
    tree(out).into_iter().filter(|name| name.ends_with(".parquet")).collect()
}

#[test]
fn a_source_delivered_again_replaces_what_was_made_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let deliver = |steps| {
        let mut records = updates(17, DAY_1, 60, steps);
        records.extend(updates(18, DAY_1, 60, steps));
        books(folder.path(), "a.dbn", &[], &records)
    };
    let input = deliver(100);
    let other = market(folder.path(), "b.mbp-10.dbn.zst", 2_000, 1, 1);
    let config = small(folder.path().join("out"));
    convert(&[input.clone(), other.clone()], &config, &()).unwrap();
    let first = files(&config.out);
    assert_eq!(first.len(), 3);

    // The same days and one instrument fewer; what came of other sources stays.
    books(folder.path(), "a.dbn", &[], &updates(17, DAY_1, 60, 200));
    let cut = folder.path().join("c.dbn");
    std::fs::write(&cut, b"DBN").unwrap();
    let error = convert(&[input.clone(), cut], &config, &()).unwrap_err();
    assert!(matches!(error, ConvertError::Truncated { .. }), "{error}");
    assert_eq!(files(&config.out), first, "a run that fails leaves the store as it was");

    for resume in [true, true, false] {
        let config = ConvertConfig { resume, ..config.clone() };
        let summary = convert(&[input.clone(), other.clone()], &config, &()).unwrap();
        assert_eq!((summary.outputs.len(), files(&config.out).len()), (2, 2));
        for output in &summary.outputs {
            assert!(output.path.exists());
        }
        let n_stale = summary.warnings.iter().filter(|w| w.contains("has changed since")).count();
        assert!(n_stale == 0 || summary.inputs.iter().any(|input| !input.resumed));
    }
    assert!(!config.out.join("day=2024-04-01/instrument_id=18").exists(), "no empty folder");

    // The first delivery again: its files are made anew, the second's go.
    deliver(100);
    let config = ConvertConfig { resume: true, ..config };
    convert(&[input, other], &config, &()).unwrap();
    assert_eq!(files(&config.out), first);
}

#[test]
fn files_left_by_a_kill_between_two_deliveries_go_with_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let input = books(folder.path(), "a.dbn", &[], &updates(17, DAY_1, 60, 100));
    let config = ConvertConfig { resume: true, ..small(folder.path().join("out")) };
    let old = convert(std::slice::from_ref(&input), &config, &()).unwrap().outputs[0].clone();
    let kept = std::fs::read(&old.path).unwrap();
    books(folder.path(), "a.dbn", &[], &updates(17, DAY_1, 60, 300));
    let new = convert(std::slice::from_ref(&input), &config, &()).unwrap().outputs[0].clone();
    assert!(!old.path.exists() && new.path.exists());
    // As if the run had been killed between the journal and the removal.
    std::fs::write(&old.path, kept).unwrap();
    let summary = convert(&[input], &config, &()).unwrap();
    assert!(summary.inputs[0].resumed);
    assert!(!old.path.exists() && new.path.exists());
}

#[test]
fn sources_that_change_places_keep_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name, steps| books(folder.path(), name, &[], &updates(17, DAY_1, 60, steps));
    let inputs = [write("a.dbn", 100), write("b.dbn", 200)];
    for resume in [false, true] {
        let out = folder.path().join(format!("{resume}"));
        let config = ConvertConfig { resume, ..several(out) };
        write("a.dbn", 100);
        write("b.dbn", 200);
        convert(&inputs, &config, &()).unwrap();
        let before = files(&config.out);
        assert_eq!(before.len(), 2);
        write("a.dbn", 200);
        write("b.dbn", 100);
        let summary = convert(&inputs, &config, &()).unwrap();
        assert_eq!(files(&config.out), before, "resume {resume}");
        assert!(!summary.warnings.iter().any(|warning| warning.contains("is removed")));
    }
}

#[test]
fn inputs_are_known_by_the_hash_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let batch = folder.path().join("batch");
    std::fs::create_dir(&batch).unwrap();
    let input = market(&batch, "a.mbp-10.dbn", 2_000, 1, 1);
    let out = |name: &str| small(folder.path().join(name));
    let xxh3 = ConvertConfig { input_hash: InputHash::Xxh3, resume: true, ..out("xxh3") };
    let first = convert(std::slice::from_ref(&input), &xxh3, &()).unwrap();
    assert!(first.inputs[0].sha256.is_none());
    assert_eq!(first.inputs[0].xxh3.as_ref().unwrap().len(), 32);
    assert!(convert(std::slice::from_ref(&input), &xxh3, &()).unwrap().inputs[0].resumed);
    market(&batch, "a.mbp-10.dbn", 2_001, 1, 1);
    let again = convert(std::slice::from_ref(&input), &xxh3, &()).unwrap();
    assert!(!again.inputs[0].resumed && files(&xxh3.out).len() == 1);

    let none = ConvertConfig { input_hash: InputHash::None, ..out("none") };
    let summary = convert(std::slice::from_ref(&input), &none, &()).unwrap();
    assert!(summary.inputs[0].sha256.is_none() && summary.inputs[0].xxh3.is_none());
    let resumed = ConvertConfig { resume: true, ..none };
    let error = convert(std::slice::from_ref(&input), &resumed, &()).unwrap_err();
    assert!(matches!(error, ConvertError::Config { setting: "resume", .. }), "{error}");

    // A manifest is compared whatever was asked for.
    let bytes = std::fs::metadata(&input).unwrap().len();
    let manifest = format!(
        r#"{{"files":[{{"filename":"a.mbp-10.dbn","size":{bytes},"hash":"sha256:{}"}}]}}"#,
        "0".repeat(64)
    );
    std::fs::write(batch.join("manifest.json"), manifest).unwrap();
    let listed = ConvertConfig { input_hash: InputHash::Xxh3, ..out("listed") };
    let error = convert(&[input], &listed, &()).unwrap_err();
    assert!(matches!(error, ConvertError::Manifest { .. }), "{error}");
}
