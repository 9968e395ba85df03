//! `lob synth`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::ValueEnum;
use lob_metrics::shown;
use lob_synth::{Mess, MessyFile, Schema, SynthConfig};

use crate::interrupt;

/// Write a synthetic market as DBN
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob synth --records 1000000 --out market.mbp-10.dbn.zst
  lob synth --records 5000000 --instruments 4 --sessions 5 --schema mbo --out days/
      (a folder gets one file a trading day; so does a name without an extension, of several)
  lob synth --messy=live --sessions 2 --schema mbo --out capture.dbn

A messy market has what real feeds have: snapshots with old event times at the start and in the
middle of each session, ids that mean another symbol from session to session, a quiet instrument of
an odd tick with five one-sided quotes a session, flagged, undefined and impossible times, status and
other records beside the books, and in a folder an uncompressed copy of the first day. With `live`
the header names no symbols: mapping records do, and ids change their meaning at noon too.")]
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
    /// Write what real feeds have: snapshots, ids dealt anew, bad times, copies (see below)
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "daily")]
    messy: Option<MessArg>,
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

#[derive(Clone, Copy, ValueEnum)]
enum MessArg {
    /// The header maps ids to symbols, day by day
    Daily,
    /// Mapping records in the stream do
    Live,
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
    let mess = args.messy.map(|mess| match mess {
        MessArg::Daily => Mess::daily(),
        MessArg::Live => Mess::live(),
    });
    let written = write(&config, mess.as_ref(), args)?;
    for (path, records) in written.iter().filter(|_| !quiet) {
        eprintln!("wrote {records} records to {}", shown(path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the market; its files and their records.
fn write(config: &SynthConfig, mess: Option<&Mess>, args: &Args) -> Result<Vec<(PathBuf, u64)>> {
    let out: &Path = &args.out;
    let stop = interrupt::requested;
    let messy = |file: MessyFile| (file.path, file.summary.records);
    if !is_folder(args) {
        return Ok(vec![match mess {
            Some(mess) => messy(lob_synth::write_messy_file(config, mess, out, &stop)?),
            None => (out.to_owned(), lob_synth::write_file_until(config, out, &stop)?.records),
        }]);
    }
    std::fs::create_dir_all(out)
        .with_context(|| format!("cannot make `{}`", shown(out.display())))?;
    Ok(match mess {
        Some(mess) => {
            let files = lob_synth::write_messy_sessions(config, mess, out, &stop)?;
            files.into_iter().map(messy).collect()
        }
        None => {
            let files = lob_synth::write_sessions_until(config, out, &stop)?;
            files.into_iter().map(|file| (file.path, file.summary.records)).collect()
        }
    })
}

/// An existing folder, or a name that says it is one: of several days, any that is not that of a
/// file.
fn is_folder(args: &Args) -> bool {
    let path: &Path = &args.out;
    let is_bare = path.extension().is_none() && !path.exists();
    path.is_dir()
        || path.as_os_str().to_string_lossy().ends_with(std::path::MAIN_SEPARATOR)
        || (is_bare && args.sessions > 1)
}
