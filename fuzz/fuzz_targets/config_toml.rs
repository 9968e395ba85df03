//! Any text as a configuration file: of `lob convert --config`, of the profiler, or the targets of
//! the suite. An error that says why, or settings that work: a conversion with them ends in a store
//! or in nothing, a profiler never looks without a pause, and targets can be held against a run.
//!
//! The sources of the command and of the suite are compiled in: as crates they would bring all of
//! training. Settings of `lob train` need it, and have a table of hostile values in lob-cli instead.
#![no_main]

use std::path::Path;

use clap::Parser;

#[path = "../readers/config_toml.rs"]
mod reader;

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
    pub(crate) fn in_lines(text: &str) -> String {
        text.to_owned()
    }
    pub(crate) fn print_json(_: &impl serde::Serialize) -> anyhow::Result<()> {
        Ok(())
    }
    pub(crate) fn print_line(_: &str) -> anyhow::Result<()> {
        Ok(())
    }
}

/// libFuzzer has the signals.
mod interrupt {
    pub(crate) fn watch() {}
    pub(crate) fn requested() -> bool {
        false
    }
}

/// Traces are written around the command, which only takes their flags.
mod trace {
    #[derive(Clone, clap::Args)]
    pub(crate) struct TraceArgs {}
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: command::convert::Args,
}

const INPUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/seeds/record_stream/mbo.dbn");

fn convert(config: &Path, out: &Path) -> bool {
    let words = ["convert".as_ref(), INPUT.as_ref(), "--out".as_ref(), out.as_os_str()];
    let config = ["--config".as_ref(), config.as_os_str()];
    let cli = Cli::try_parse_from(words.into_iter().chain(config)).expect("sound flags");
    command::convert::run(&cli.args, true).is_ok()
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    reader::check(bytes, convert, |path| bench::targets::read_targets(path).ok());
});
