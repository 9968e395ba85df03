//! `lob synth`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use lob_metrics::shown;
use lob_store::{Truth, TruthKey, TruthWriter};
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
  lob synth --records 1000000 --truth truth.parquet --out market.mbp-10.dbn.zst
      (the same market, and the hidden state behind each record; `lob convert --truth` joins it)

A messy market has what real feeds have: snapshots with old event times at the start and in the
middle of each session, ids that mean another symbol from session to session, a quiet instrument of
an odd tick with five one-sided quotes a session, flagged, undefined and impossible times, status and
other records beside the books, and in a folder an uncompressed copy of the first day. With `live`
the header names no symbols: mapping records do, and ids change their meaning at noon too.

--truth writes a row for each record, in their order: instrument_id, symbol, ts_event, ts_recv,
sequence, regime (0 calm, 1 normal, 2 busy, 3 stressed: of the whole market) and pressure (of the
instrument, per cent from -40 to 40, above 0 buyers are at work). A messy market has none: its
snapshots and the quotes of its quiet instrument come from no such state, and its times are spoilt.")]
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
    /// Write the hidden regime and pressure behind each record to this Parquet file
    #[arg(long, value_name = "FILE.parquet")]
    truth: Option<PathBuf>,
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
    check_truth(args)?;
    let written = write(&config, mess.as_ref(), args)?;
    for (path, records) in written.iter().filter(|_| !quiet) {
        eprintln!("wrote {records} records to {}", shown(path.display()));
    }
    if let Some(truth) = args.truth.as_deref().filter(|_| !quiet) {
        eprintln!("wrote the truth to {}", shown(truth.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses a truth that cannot be written, before anything is.
fn check_truth(args: &Args) -> Result<()> {
    let Some(truth) = &args.truth else { return Ok(()) };
    if args.messy.is_some() {
        bail!(
            "a messy market has no truth: its snapshots and the quotes of its quiet instrument come \
             from no hidden state, and records with spoilt times cannot be found again\nhint: leave \
             out --truth or --messy"
        );
    }
    if truth.is_dir() {
        bail!("`{}` is a folder\nhint: name a file for --truth", shown(truth.display()));
    }
    // Where a file lies, or will.
    let place = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let real = folder.canonicalize().or_else(|_| std::path::absolute(folder));
        real.unwrap_or_default().join(path.file_name().unwrap_or_default())
    };
    if place(truth) == place(&args.out) {
        bail!("`--truth` and `--out` are one file\nhint: name two");
    }
    Ok(())
}

/// Writes the market; its files and their records.
fn write(config: &SynthConfig, mess: Option<&Mess>, args: &Args) -> Result<Vec<(PathBuf, u64)>> {
    let out: &Path = &args.out;
    let stop = interrupt::requested;
    let messy = |file: MessyFile| (file.path, file.summary.records);
    if !is_folder(args) {
        return Ok(vec![match mess {
            Some(mess) => messy(lob_synth::write_messy_file(config, mess, out, &stop)?),
            None => write_one(config, args)?,
        }]);
    }
    std::fs::create_dir_all(out)
        .with_context(|| format!("cannot make `{}`", shown(out.display())))?;
    if let Some(mess) = mess {
        let files = lob_synth::write_messy_sessions(config, mess, out, &stop)?;
        return Ok(files.into_iter().map(messy).collect());
    }
    let mut truth = TruthSink::create(args.truth.as_deref())?;
    let sink = &mut |of: &lob_synth::Truth<'_>| truth.push(of);
    let files = lob_synth::write_sessions_with_truth(config, out, &stop, sink)?;
    truth.finish()?;
    Ok(files.into_iter().map(|file| (file.path, file.summary.records)).collect())
}

/// One file of all sessions, and the truth behind it if that is asked for.
fn write_one(config: &SynthConfig, args: &Args) -> Result<(PathBuf, u64)> {
    let mut truth = TruthSink::create(args.truth.as_deref())?;
    let (out, stop) = (&args.out, &interrupt::requested);
    let sink = &mut |of: &lob_synth::Truth<'_>| truth.push(of);
    let summary = lob_synth::write_file_with_truth(config, out, stop, sink)?;
    truth.finish()?;
    Ok((out.clone(), summary.records))
}

/// Where the truth goes: a file that appears when it is whole, or nowhere.
struct TruthSink(Option<TruthWriter>);

impl TruthSink {
    fn create(path: Option<&Path>) -> Result<Self> {
        Ok(Self(path.map(TruthWriter::create).transpose()?))
    }

    fn push(&mut self, of: &lob_synth::Truth<'_>) -> io::Result<()> {
        let Some(writer) = &mut self.0 else { return Ok(()) };
        let key = TruthKey {
            instrument_id: of.instrument_id,
            sequence: of.sequence,
            ts_event: of.ts_event,
            ts_recv: of.ts_recv,
        };
        let truth = Truth { regime: of.regime, pressure: of.pressure_percent.into() };
        writer.push(of.symbol, key, truth).map_err(io::Error::other)
    }

    fn finish(self) -> Result<()> {
        self.0.map(TruthWriter::finish).transpose()?;
        Ok(())
    }
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
