//! Several processes that write one store.

use std::{collections::BTreeSet, path::PathBuf};

use lob_convert::{ConvertConfig, ConvertError, Inspection, Progress, Shard, convert, inspect};

use crate::{market, several, small, tree};

fn files(config: &ConvertConfig) -> Vec<(String, Vec<u8>)> {
    let names = tree(&config.out).into_iter().filter(|name| name.ends_with(".parquet"));
    names.map(|name| (name.clone(), std::fs::read(config.out.join(name)).unwrap())).collect()
}

fn inputs(folder: &std::path::Path) -> Vec<PathBuf> {
    (0..7)
        .map(|n| market(folder, &format!("{n}.mbp-10.dbn.zst"), 1_500 + 300 * (n % 3) + n, 1, 1))
        .collect()
}

fn shard(config: &ConvertConfig, index: usize, count: usize) -> ConvertConfig {
    ConvertConfig { shard: Some(Shard { index, count }), resume: true, ..config.clone() }
}

#[test]
fn shards_at_the_same_time_make_the_store_of_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let paths = inputs(folder.path());
    let alone = several(folder.path().join("alone"));
    convert(&paths, &alone, &()).unwrap();
    let shared = several(folder.path().join("shared"));
    let summaries: Vec<_> = std::thread::scope(|scope| {
        let run = |index| {
            let (paths, config) = (&paths, shard(&shared, index, 3));
            scope.spawn(move || convert(paths, &config, &()).unwrap())
        };
        (0..3).map(run).collect::<Vec<_>>().into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(files(&alone), files(&shared), "byte for byte");
    let done: Vec<_> = summaries.iter().flat_map(|s| s.inputs.iter().map(|i| &i.path)).collect();
    assert_eq!(done.len(), paths.len());
    assert_eq!(done.iter().collect::<BTreeSet<_>>().len(), paths.len());

    // `inspect` reads the journals together, and no temporary file is left.
    let Inspection::Store(found) = inspect(&shared.out).unwrap() else { panic!("a store") };
    assert_eq!(found.journals.len(), 3);
    assert_eq!(found.journals.iter().map(|j| j.inputs).sum::<u64>(), 7);
    assert_eq!(found.journals.iter().map(|j| j.rows).sum::<u64>(), found.rows);
    // Each file was labelled by itself, which is all there is to say.
    assert_eq!(found.health.len(), 1, "{:?}", found.health);
    assert!(found.health[0].contains("sets of class edges"), "{:?}", found.health);
    assert!(tree(&shared.out).iter().all(|name| !name.contains("tmp")));

    // Another split, and a run alone, know what is done.
    for config in [shard(&shared, 1, 2), ConvertConfig { resume: true, ..shared.clone() }] {
        let again = convert(&paths, &config, &()).unwrap();
        assert!(again.inputs.iter().all(|input| input.resumed));
    }
}

#[test]
fn more_shards_than_files_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 2_000, 1, 1);
    let config = small(folder.path().join("out"));
    let run = |index| convert(std::slice::from_ref(&input), &shard(&config, index, 3), &());
    let summaries: Vec<_> = (0..3).map(|index| run(index).unwrap()).collect();
    assert_eq!(summaries.iter().map(|s| s.inputs.len()).sum::<usize>(), 1);
    let empty = summaries.iter().find(|s| s.inputs.is_empty()).unwrap();
    assert!(empty.warnings[0].contains("no input falls to this shard"), "{:?}", empty.warnings);
}

/// Starts other runs while one is at work.
struct Meddler<'a>(&'a (dyn Fn() + Sync));

impl Progress for Meddler<'_> {
    fn started(&self, _: usize, _: u64) {}

    fn is_cancelled(&self) -> bool {
        (self.0)();
        true
    }
}

#[test]
fn a_name_locks_itself_and_a_run_alone_locks_all() {
    let folder = tempfile::tempdir().unwrap();
    let input = [market(folder.path(), "a.mbp-10.dbn.zst", 2_000, 1, 1)];
    let alone = small(folder.path().join("out"));
    let named = |name: &str| ConvertConfig { journal: Some(name.to_owned()), ..alone.clone() };
    let locked = |config: &ConvertConfig| {
        matches!(convert(&input, config, &()), Err(ConvertError::Locked { .. }))
    };
    let inside = |config: &ConvertConfig, check: &(dyn Fn() + Sync)| {
        let result = convert(&input, config, &Meddler(check));
        assert!(matches!(result, Err(ConvertError::Interrupted)), "{result:?}");
    };
    inside(&named("a"), &|| {
        assert!(locked(&named("a")) && locked(&alone));
        assert!(convert(&input, &named("b"), &()).is_ok());
    });
    inside(&alone, &|| assert!(locked(&alone) && locked(&named("a"))));
    assert!(convert(&input, &alone, &()).is_ok(), "all locks are given back");
    let result = convert(&input, &named("../x"), &());
    assert!(matches!(result, Err(ConvertError::Config { setting: "journal", .. })));
}
