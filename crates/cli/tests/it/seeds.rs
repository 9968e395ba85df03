//! The seeds of the fuzz target for settings, replayed with the real binary.

use std::path::Path;

use super::{evidence, lob, shown, workspace};

#[path = "../../../../fuzz/readers/config_toml.rs"]
mod config_toml;

#[test]
fn seeds_of_config_toml_are_read_or_refused() {
    let input = workspace().join("fuzz/seeds/record_stream/mbo.dbn");
    let convert = |config: &Path, out: &Path| {
        let places = ["convert", shown(&input), "--out", shown(out), "--config", shown(config)];
        let output = lob(&places);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("panicked"), "{stderr}");
        assert!(matches!(output.status.code(), Some(0 | 2)), "{stderr}");
        output.status.success()
    };
    let read_targets = |path: &Path| lob_bench::read_targets(path).ok();
    evidence::replay_seeds("config_toml", |seed| {
        config_toml::check(seed, convert, read_targets);
    });
}
