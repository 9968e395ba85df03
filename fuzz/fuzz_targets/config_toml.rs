//! Any text as a configuration file: of `lob convert --config`, of the profiler, or the targets of
//! the suite. An error that says why, or settings that work: a conversion with them ends in a store
//! or in nothing, a profiler never looks without a pause, and targets can be held against a run.
//!
//! The sources of the command and of the suite are compiled in: as crates they would bring all of
//! training. Settings of `lob train` need it, and have a table of hostile values in lob-cli instead.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::Parser;
use libfuzzer_sys::fuzz_target;
use lob_metrics::{Run, judge_all};
use lob_profiler::ProfilerConfig;

#[path = "../../crates/cli/src/command"]
mod command {
    #[allow(dead_code, reason = "a command without its tool")]
    pub(crate) mod convert;
}
#[path = "../../benches/src"]
mod bench {
    #[allow(dead_code, reason = "a module without its crate")]
    pub(crate) mod targets;
}

/// What the command prints is none of this target's business.
mod output {
    pub(crate) fn print_json(_: &impl serde::Serialize) -> anyhow::Result<()> {
        Ok(())
    }
    pub(crate) fn print_line(_: &str) -> anyhow::Result<()> {
        Ok(())
    }
}

/// libFuzzer has the signals.
mod interrupt {
    pub(crate) fn watch() -> anyhow::Result<()> {
        Ok(())
    }
    pub(crate) fn requested() -> bool {
        false
    }
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: command::convert::Args,
}

static INPUT: LazyLock<PathBuf> =
    LazyLock::new(|| concat!(env!("CARGO_MANIFEST_DIR"), "/seeds/record_stream/mbo.dbn").into());
static RUN: LazyLock<Run> = LazyLock::new(Run::sample);

fuzz_target!(|bytes: &[u8]| {
    let Some((&which, text)) = bytes.split_first() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("config.toml");
    std::fs::write(&path, text).expect("room for the text");
    match which % 3 {
        0 => {
            let out = folder.path().join("store");
            let words = ["convert".as_ref(), INPUT.as_os_str(), "--out".as_ref(), out.as_os_str()];
            let config = ["--config".as_ref(), path.as_os_str()];
            let cli = Cli::try_parse_from(words.into_iter().chain(config)).expect("sound flags");
            if command::convert::run(&cli.args, true).is_err() {
                assert!(!out.exists(), "a failed conversion left a folder");
            }
        }
        1 => {
            let Ok(config) = ProfilerConfig::from_file(&path) else { return };
            assert!(!config.memory_interval().is_zero() && !config.system_interval().is_zero());
            drop(config.alert_rules());
        }
        _ => {
            let Ok(targets) = bench::targets::read_targets(&path) else { return };
            assert_eq!(judge_all(&targets, &RUN).len(), targets.len());
        }
    }
});
