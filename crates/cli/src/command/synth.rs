//! `lob synth`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::ValueEnum;
use lob_synth::{Schema, SynthConfig};

use crate::interrupt;

/// Write a synthetic market as DBN
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob synth --records 1000000 --out market.mbp-10.dbn.zst
  lob synth --records 5000000 --instruments 4 --sessions 5 --schema mbo --out days/
      (a folder gets one file a trading day)")]
pub(crate) struct Args {
    /// Records to write, over all instruments and sessions
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Instruments: a currency future, an index future, a calendar spread with negative prices, ...
    #[arg(long, default_value_t = 1)]
    instruments: u32,
    /// Trading days
    #[arg(long, default_value_t = 1)]
    sessions: u32,
    /// Seed of every random draw
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Record type
    #[arg(long, value_enum, default_value = "mbp-10")]
    schema: SchemaArg,
    /// A file (`.dbn` plain, anything else zstd-compressed) or a folder
    #[arg(long)]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum SchemaArg {
    #[value(name = "mbp-10")]
    Mbp10,
    #[value(name = "mbo")]
    Mbo,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    interrupt::watch();
    let config = SynthConfig {
        records: args.records,
        instruments: args.instruments,
        sessions: args.sessions,
        seed: args.seed,
        schema: match args.schema {
            SchemaArg::Mbp10 => Schema::Mbp10,
            SchemaArg::Mbo => Schema::Mbo,
        },
    };
    let written: Vec<(PathBuf, u64)> = if is_folder(&args.out) {
        std::fs::create_dir_all(&args.out)
            .with_context(|| format!("cannot make `{}`", args.out.display()))?;
        let files = lob_synth::write_sessions_until(&config, &args.out, &interrupt::requested)?;
        files.into_iter().map(|file| (file.path, file.summary.records)).collect()
    } else {
        let summary = lob_synth::write_file_until(&config, &args.out, &interrupt::requested)?;
        vec![(args.out.clone(), summary.records)]
    };
    for (path, records) in written.iter().filter(|_| !quiet) {
        eprintln!("wrote {records} records to {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// An existing folder, or a name that says it is one.
fn is_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().to_string_lossy().ends_with(std::path::MAIN_SEPARATOR)
}
