//! Any text as a configuration file: of `lob convert --config`, of the profiler, or the targets of
//! the suite. An error that says why, or settings that work: a conversion with them ends in a store
//! or in nothing, a profiler never looks without a pause, and targets can be held against a run.

use std::path::Path;

use lob_metrics::{Target, judge_all};
use lob_watch::ProfilerConfig;

/// The caller brings the command and the reader of targets: as crates they would bring all of
/// training to the fuzz targets. `convert` takes a settings file and a place for the store, and says
/// whether it succeeded.
pub(crate) fn check(
    bytes: &[u8],
    convert: impl Fn(&Path, &Path) -> bool,
    read_targets: impl Fn(&Path) -> Option<Vec<Target>>,
) {
    let Some((&which, text)) = bytes.split_first() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("config.toml");
    std::fs::write(&path, text).expect("room for the text");
    match which % 3 {
        0 => {
            let out = folder.path().join("store");
            let is_good = convert(&path, &out);
            assert!(is_good || !out.exists(), "a failed conversion left a folder");
        }
        1 => {
            let Ok(config) = ProfilerConfig::from_file(&path) else { return };
            assert!(!config.memory_interval().is_zero() && !config.system_interval().is_zero());
            drop(config.alert_rules());
        }
        _ => {
            let Some(targets) = read_targets(&path) else { return };
            assert_eq!(judge_all(&targets, &lob_fixtures::sample_run()).len(), targets.len());
        }
    }
}
