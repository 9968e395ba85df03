//! Stores that somebody else has prepared: nothing in them leads out of them or removes a file that
//! the conversion did not write.
#![cfg(unix)]

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use lob_convert::{ConvertConfig, ConvertError, convert};

use crate::{market, small, tree};

/// A store of one input, which is then delivered again.
struct Store {
    folder: tempfile::TempDir,
    input: PathBuf,
    config: ConvertConfig,
}

impl Store {
    fn new(resume: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let input = market(folder.path(), "a.mbp-10.dbn", 2_000, 1, 1);
        let config = ConvertConfig { resume, ..small(folder.path().join("store")) };
        let store = Self { folder, input, config };
        store.convert().unwrap();
        store
    }

    fn convert(&self) -> Result<lob_convert::ConvertSummary, ConvertError> {
        convert(std::slice::from_ref(&self.input), &self.config, &())
    }

    fn deliver_again(&self) {
        market(self.folder.path(), "a.mbp-10.dbn", 2_500, 1, 1);
    }

    fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.config.out.join(name)
    }

    fn journal(&self) -> PathBuf {
        self.at(".loblab-journal.jsonl")
    }

    /// Changes the journal's only line.
    fn forge(&self, change: impl Fn(&mut serde_json::Value)) {
        let text = std::fs::read_to_string(self.journal()).unwrap();
        let mut line: serde_json::Value = serde_json::from_str(&text).unwrap();
        change(&mut line);
        std::fs::write(self.journal(), format!("{line}\n")).unwrap();
    }

    fn output(&self) -> PathBuf {
        let text = std::fs::read_to_string(self.journal()).unwrap();
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        line["outcome"]["outputs"][0]["path"].as_str().unwrap().into()
    }
}

#[test]
fn a_journal_that_names_paths_elsewhere_is_refused_and_nothing_is_touched() {
    for resume in [false, true] {
        let store = Store::new(resume);
        let precious = store.folder.path().join("precious/x.parquet");
        std::fs::create_dir_all(precious.parent().unwrap()).unwrap();
        std::fs::write(&precious, "precious").unwrap();
        std::fs::write(store.at("note.parquet"), "mine").unwrap();
        let line = std::fs::read_to_string(store.journal()).unwrap();
        store.deliver_again();
        let before = tree(store.folder.path());
        let own = store.output();
        let (parent, name) = (own.parent().unwrap(), own.file_name().unwrap().to_str().unwrap());
        let parent = parent.to_str().unwrap();
        let absolute = precious.to_str().unwrap().to_owned();
        for path in [
            &absolute,
            "../precious/x.parquet",
            "day=2024-04-01/../../precious/x.parquet",
            "note.parquet",
            ".loblab-journal.jsonl",
            "",
            ".",
            "/",
            parent,
            &format!("{parent}/"),
            &format!("./{parent}/{name}"),
            &format!("{parent}/./{name}"),
            &format!("{parent}//{name}"),
            &format!("{parent}/x/{name}"),
            &format!("{parent}/{name}/"),
            &format!("{parent}/.{name}"),
            &format!("{parent}/.parquet"),
            &format!("{parent}/a\0b.parquet"),
            &format!("{parent}/a\nb.parquet"),
            &format!("{parent}/..\\..\\b.parquet"),
            &format!("day=2024-04-02/instrument_id=1/{name}"),
        ] {
            std::fs::write(store.journal(), &line).unwrap();
            store.forge(|line| {
                let output = &mut line["outcome"]["outputs"][0];
                output["path"] = path.into();
                output["bytes"] = 8.into();
            });
            let forged = std::fs::read(store.journal()).unwrap();
            let error = store.convert().unwrap_err();
            assert!(matches!(error, ConvertError::Sidecar { .. }), "{path:?}: {error}");
            let shown = error.to_string();
            assert!(shown.contains("line 1: the output") && shown.contains("hint:"), "{shown}");
            assert!(!shown.contains('\0'), "{shown:?}");
            assert_eq!(tree(store.folder.path()), before, "{path:?}");
            assert_eq!(std::fs::read(store.journal()).unwrap(), forged);
        }
        // A day and an instrument that are paths themselves.
        std::fs::write(store.journal(), &line).unwrap();
        store.forge(|line| {
            let output = &mut line["outcome"]["outputs"][0];
            output["day"] = "/../..".into();
            output["path"] = format!("day=/../../{}/{name}", "instrument_id=1").into();
        });
        assert!(store.convert().is_err());
        assert_eq!(tree(store.folder.path()), before);
    }
}

/// The name is one of ours, what stands there is not.
#[test]
fn a_file_with_other_content_than_noted_stays() {
    for resume in [false, true] {
        let store = Store::new(resume);
        let own = store.at(store.output());
        let mut changed = std::fs::read(&own).unwrap();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        std::fs::write(&own, &changed).unwrap();
        store.deliver_again();
        let summary = store.convert().unwrap();
        let stays = |w: &String| w.contains("not its content, and stays");
        assert!(summary.warnings.iter().any(stays), "{:?}", summary.warnings);
        assert_eq!(std::fs::read(&own).unwrap(), changed);
        // Shorter too.
        std::fs::write(&own, "mine").unwrap();
        let summary = store.convert().unwrap();
        assert!(summary.warnings.iter().any(stays), "{:?}", summary.warnings);
        assert_eq!(std::fs::read(&own).unwrap(), b"mine");
    }
}

/// As `lob-cluster` makes one for a file that lies in a bucket.
#[test]
fn a_stand_in_of_zeros_goes_as_its_file_would() {
    let store = Store::new(false);
    let own = store.at(store.output());
    let len = std::fs::metadata(&own).unwrap().len();
    std::fs::File::create(&own).unwrap().set_len(len).unwrap();
    store.deliver_again();
    store.convert().unwrap();
    assert!(!own.exists());
}

#[test]
fn links_in_the_place_of_folders_and_files_lead_nowhere() {
    // The folder of the partition, of the day, and the file itself.
    for depth in 0..3 {
        for resume in [false, true] {
            let store = Store::new(resume);
            let own = store.output();
            let linked = own.ancestors().nth(depth).unwrap();
            let elsewhere = store.folder.path().join("elsewhere");
            std::fs::rename(store.at(linked), &elsewhere).unwrap();
            symlink(&elsewhere, store.at(linked)).unwrap();
            let names = || if elsewhere.is_dir() { tree(&elsewhere) } else { Vec::new() };
            let before = names();
            let content = |path: &Path| {
                let inner = own.strip_prefix(linked).unwrap();
                let is_file = inner.as_os_str().is_empty();
                std::fs::read(if is_file { path.to_owned() } else { path.join(inner) }).unwrap()
            };
            let held = content(&elsewhere);
            store.deliver_again();
            let result = store.convert();
            if depth == 0 {
                // A link beside new files: it is left alone, and said so.
                let warnings = result.unwrap().warnings;
                let said = |w: &String| w.contains("symbolic link, which is not followed");
                assert!(warnings.iter().any(said), "{warnings:?}");
            } else {
                let error = result.unwrap_err().to_string();
                assert!(error.contains("symbolic link, which is not followed"), "{error}");
            }
            assert!(std::fs::symlink_metadata(store.at(linked)).unwrap().is_symlink());
            assert_eq!((names(), content(&elsewhere)), (before, held));
        }
    }
}

#[test]
fn a_journal_a_lock_or_their_folder_that_is_a_link_is_refused() {
    let store = Store::new(true);
    let elsewhere = store.folder.path().join("elsewhere");
    let journal = store.journal();
    let shard = ConvertConfig { journal: Some("task".to_owned()), ..store.config.clone() };
    let convert_as =
        |config: &ConvertConfig| convert(std::slice::from_ref(&store.input), config, &());
    store.deliver_again();

    std::fs::rename(&journal, &elsewhere).unwrap();
    symlink(&elsewhere, &journal).unwrap();
    let held = std::fs::read(&elsewhere).unwrap();
    for config in [&store.config, &shard] {
        let error = convert_as(config).unwrap_err().to_string();
        assert!(error.contains("symbolic link, which is not followed"), "{error}");
    }
    assert_eq!(std::fs::read(&elsewhere).unwrap(), held);
    std::fs::remove_file(&journal).unwrap();
    std::fs::rename(&elsewhere, &journal).unwrap();
    // Shards leave the lock that they share, and the folder of their journals.
    std::fs::remove_file(store.at(".loblab-lock")).unwrap();
    std::fs::remove_dir(store.at(".loblab-journals")).unwrap();

    symlink(&elsewhere, store.at(".loblab-lock")).unwrap();
    assert!(convert_as(&store.config).is_err());
    assert!(!elsewhere.exists(), "no file is made at the end of a link");
    std::fs::remove_file(store.at(".loblab-lock")).unwrap();

    std::fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, store.at(".loblab-journals")).unwrap();
    for config in [&store.config, &shard] {
        let error = convert_as(config).unwrap_err().to_string();
        assert!(error.contains("expected the folder of the journals"), "{error}");
    }
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn only_our_own_temporary_folders_are_cleared_and_foreign_files_in_them_stay() {
    let store = Store::new(true);
    let elsewhere = store.folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("spool"), "precious").unwrap();
    let make = |name: &str| {
        let path = store.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "mine").unwrap();
    };
    // Names like ours, that are not.
    let foreign = [
        ".loblab-tmp-notes/a",
        ".loblab-tmp-notes.txt",
        ".loblab-tmp-/a",
        ".loblab-tmp-12/notes.txt",
        ".loblab-tmp-12/0/day=2024-04-01/instrument_id=3/notes.txt",
    ];
    let ours = [
        ".loblab-tmp-11/0/spool",
        ".loblab-tmp-11/1/day=2024-04-01/instrument_id=3/bins-1-a.parquet",
        ".loblab-tmp-shard-0-of-2.11/0/day=2024-04-01/instrument_id=3/.x.loblab-tmp",
        ".loblab-tmp-12/1/spool",
    ];
    foreign.iter().chain(&ours).for_each(|name| make(name));
    symlink(&elsewhere, store.at(".loblab-tmp-13")).unwrap();
    symlink(&elsewhere, store.at(".loblab-tmp-12/2")).unwrap();
    let summary = store.convert().unwrap();
    foreign.iter().for_each(|name| assert!(store.at(name).exists(), "{name}"));
    ours.iter().for_each(|name| assert!(!store.at(name).exists(), "{name}"));
    assert!(!store.at(".loblab-tmp-11").exists() && store.at(".loblab-tmp-13").exists());
    assert_eq!(std::fs::read(elsewhere.join("spool")).unwrap(), b"precious");
    let said = summary.warnings.iter().filter(|w| w.contains("is not a file of loblab")).count();
    assert_eq!(said, 4, "{:?}", summary.warnings);
}
