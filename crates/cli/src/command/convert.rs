//! `lob convert`.

mod bar;
mod edges;
mod file;
mod settings;
mod steps;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::ValueEnum;
use lob_convert::{
    ConvertError, ConvertSummary, DayStart, ForwardClasses, InputHash, Layout, Shard,
};
use lob_depth::SizeAggregate;
use lob_metrics::{Unit, shown};

use self::steps::StepArg;
use crate::trace::TraceArgs;
use crate::{interrupt, output};

/// Convert DBN files to a store of labelled tick bins
#[derive(Clone, clap::Args)]
#[command(after_help = "\
Examples:
  lob convert day.mbp-10.dbn.zst --out store
  lob convert data/ --out store --jobs 2 --resume
  lob convert eur/*.dbn.zst --preset EURUSD --out store --json
  lob convert es.mbo.dbn.zst --price-step 0.25 --ticks-per-bin 50 --out store
  lob convert cme/ --price-step ZTM4=0.00390625 --day-start 22:00 --out store
  lob convert day.mbp-10.dbn.zst --layout ticks --out table
  lob convert data/ --config convert.toml --out store
  lob convert new/ --label-edges store --out store-new
  lob convert day.mbp-10.dbn.zst --horizons 1,10,500u,5s --forward-classes spread --out store
  lob convert market.mbp-10.dbn.zst --truth truth.parquet --out store
  lob convert data/ --fit-edges --fit-days 5 --out edges
  lob convert data/ --label-edges edges --out store --jobs 2

Settings: an explicit flag wins over --config, that over --preset. A config file has the flags'
names as keys: `ticks-per-bin = 50`, `symbols = [\"ESH4\"]`, `label-volatility = [-1.0, 1.0]`.

Labels: each bin has these, by name; `lob load --label NAME` serves one, `lob inspect` lists them.
  forward_N        the mid N bins later less the mid now, in half price steps; forward_500u and
                   forward_5s the mid so many updates or seconds after the bin's last update
  volatility_N     realised volatility of the next N bins, for N from 2 on: root of the sum of the
                   squared changes of the mid from bin to bin, in price steps
  next_change      nanoseconds to the next other mid; its class says where it goes, 0 down, 1 up
  next_trade_side  who takes liquidity in the next trade: 0 a seller, 1 a buyer
  reversal         the mean mid after the bin less the mean BEFORE it (--lookback, --offset,
                   --lookforward), kept for comparison with other work; columns price_movement and
                   classification_label. It is no forecast: on a driftless random walk 43 % of its
                   variance is known at the row (5000, 500, 5000), and a predictor without skill has
                   a balanced accuracy of 56 % on its thirds
  true_regime, true_pressure   with --truth, the hidden state of a synthetic market at the bin
A label is null where the segment ends before it is known. --horizons none leaves reversal alone.

Class edges of reversal: by default each file has its own, so a class is another movement in each, which is
warned of. --fit-edges fits them once on the first days of each instrument and writes an edges file
for each into --out; conversions with --label-edges only read them, so that order, --jobs and
--shard change no byte.

The same data twice: inputs are compared by what they hold, with each other and with those of
earlier runs into the store. A copy or a part of another input is left out and named
(`duplicates` in the JSON); so is mbo beside mbp-10 of the same instruments and time, or mbp-10
where it covers less. Inputs that overlap with other records are an error.

A truncated or damaged input is an error and leaves nothing behind.")]
pub(crate) struct Args {
    /// DBN files, folders of them, or globs; with --fit-edges a store too
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Folder of the store, or of the edges files with --fit-edges
    #[arg(long)]
    out: PathBuf,
    /// TOML file of settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// bins: a row for each bin, for training; ticks: every update with all its fields
    /// [default: bins]
    #[arg(long, value_name = "bins|ticks")]
    layout: Option<Layout>,
    /// What fills a bin [default: ticks]
    #[arg(long, value_enum)]
    bin_by: Option<BinBy>,
    /// Book updates a bin, for --bin-by ticks [default: 100]
    #[arg(long)]
    ticks_per_bin: Option<u32>,
    /// Length of a bin in nanoseconds, for --bin-by time
    #[arg(long)]
    bin_ns: Option<u64>,
    /// Traded volume of a bin, for --bin-by volume
    #[arg(long)]
    bin_volume: Option<u64>,
    /// median, mean or last size of a bin [default: median]
    #[arg(long)]
    size_aggregate: Option<SizeAggregate>,
    /// Price of one row of an image, or auto; SYMBOL=X for one instrument, by symbol or id, as often
    /// as needed [default: auto]
    #[arg(long, visible_alias = "micro-pip", value_name = "auto|X|SYMBOL=X")]
    price_step: Vec<StepArg>,
    /// Comma-separated symbols; all by default
    #[arg(long, value_delimiter = ',')]
    symbols: Vec<String>,
    /// Comma-separated instrument ids; all by default
    #[arg(long, value_delimiter = ',')]
    instrument_ids: Vec<u32>,
    /// A pause longer than this many seconds parts segments, which no bin or label crosses
    /// [default: 1800]
    #[arg(long, value_name = "SECONDS")]
    gap: Option<f64>,
    /// No pause parts segments
    #[arg(long, conflicts_with = "gap")]
    no_gap: bool,
    /// When the day of a folder begins, at a fixed distance from UTC (no daylight saving): HH:MM,
    /// HH:MMZ, HH:MM+HH:MM or HH:MM-HH:MM. A session that begins at noon or later has the next
    /// date, as exchanges date it. 22:00 fits the CME all year: in winter its sessions begin at
    /// 23:00, after a break [default: 00:00Z]
    #[arg(long, value_name = "HH:MM[ZONE]")]
    day_start: Option<DayStart>,
    /// Files converted at the same time, each on one thread [default: 1]
    #[arg(long)]
    jobs: Option<usize>,
    /// Convert only this share of the inputs, counted from 0; shares are even in bytes, and several
    /// may run at the same time
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Name of this run's journal, for many tasks that write one store at the same time
    #[arg(long, value_name = "NAME")]
    journal: Option<String>,
    /// Skip inputs that an earlier run finished
    #[arg(long)]
    resume: bool,
    /// Convert the other inputs when one fails; exit code 2 all the same
    #[arg(long)]
    keep_going: bool,
    /// Convert all inputs, also those that hold the same instruments at the same time
    #[arg(long)]
    keep_duplicates: bool,
    /// Classes of `reversal` [default: 13]
    #[arg(long)]
    label_classes: Option<u32>,
    /// Updates before the bin's last one that `reversal` compares with [default: 5000]
    #[arg(long)]
    lookback: Option<u32>,
    /// Updates after it that `reversal` compares [default: 5000]
    #[arg(long)]
    lookforward: Option<u32>,
    /// Updates between the bin's last one and these [default: 500]
    #[arg(long)]
    offset: Option<u32>,
    /// Comma-separated horizons of labels that look forward: bins (10), updates (500u), seconds (5s),
    /// or the word none (see below) [default: 1,3,10,50; none with --layout ticks]
    #[arg(long, value_delimiter = ',', value_name = "N,...|none")]
    horizons: Vec<String>,
    /// Classes of the labels forward_N, down, flat, up: below -t, within, above t. t is X price steps,
    /// the spread at the row, or K times what the mid moves in N bins by its volatility so far (K 0.5
    /// without a number) [default: fixed=0]
    #[arg(long, value_name = "none|fixed=X|spread|volatility=K")]
    forward_classes: Option<ForwardClasses>,
    /// The truth file that `lob synth --truth` wrote with this market: labels `true_regime` and
    /// `true_pressure`, the hidden state at the last update of each bin. 9 MiB of memory a job
    #[arg(long, value_name = "FILE.parquet", conflicts_with = "fit_edges")]
    truth: Option<PathBuf>,
    /// Comma-separated ascending movements between classes, as fractions, in place of quantiles
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true, value_name = "X,...")]
    label_thresholds: Vec<f64>,
    /// The same as multiples of the instrument's standard deviation of movements
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true, value_name = "X,...")]
    #[arg(conflicts_with = "label_thresholds")]
    label_volatility: Vec<f64>,
    /// The same as pips, 1e-4 of the price, on both sides of no movement: 1,3 makes 5 classes; or
    /// the word reference, for the table that goes with the classes
    #[arg(long, value_name = "X,...|reference")]
    #[arg(conflicts_with_all = ["label_thresholds", "label_volatility"])]
    label_pips: Option<String>,
    /// The class edges of a folder of edges files (see --fit-edges), of another store, of one of
    /// its files, or of a JSON file: an object of ascending numbers by symbol, `*` for all others
    #[arg(long, visible_alias = "edges", value_name = "EDGES|STORE|FILE")]
    #[arg(conflicts_with_all = ["label_thresholds", "label_volatility", "label_pips"])]
    label_edges: Option<PathBuf>,
    /// Fit class edges on the first days of each instrument, of DBN files or of a store of bins, and
    /// write an edges file for each into --out, a new folder
    #[arg(long)]
    #[arg(conflicts_with_all = ["label_edges", "label_thresholds", "label_pips", "fit_part", "shard"])]
    #[arg(conflicts_with_all = ["journal", "resume", "keep_going", "keep_duplicates"])]
    fit_edges: bool,
    /// Days by date that --fit-edges looks at
    #[arg(long, default_value_t = 5, value_name = "N", requires = "fit_edges")]
    fit_days: usize,
    /// Part of the movements, from the first on, that class edges are fitted on [default: the
    /// first half, or all where that has fewer than 10 for each class]
    #[arg(long, value_name = "0..1")]
    fit_part: Option<f64>,
    /// Files of definition records: their price increments are the price steps. Those in folders
    /// among the inputs are used without being named
    #[arg(long, value_delimiter = ',', value_name = "FILE,...")]
    definitions: Vec<PathBuf>,
    /// What the content of an input is known by: sha256, xxh3 (a tenth of the cost on files that
    /// are not compressed; the summary then has no sha256), or none (no --resume) [default: sha256]
    #[arg(long, value_name = "sha256|xxh3|none")]
    input_hash: Option<InputHash>,
    /// Convert a single input on one thread, as each of several is
    #[arg(long)]
    no_read_ahead: bool,
    /// Currency settings: AUDUSD, EURUSD, GBPUSD, USDJPY, EURJPY; explicit flags win
    #[arg(long)]
    preset: Option<String>,
    #[command(flatten)]
    pub(crate) trace: TraceArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BinBy {
    Ticks,
    Time,
    Volume,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    if args.fit_edges {
        return edges::run(args, quiet);
    }
    let config = settings::config(&file::merged(args)?)?;
    interrupt::watch();
    let progress = bar::Bar::new(quiet || args.json);
    let outcome = lob_convert::convert(&args.inputs, &config, &progress);
    progress.finish();
    match outcome {
        Ok(summary) => {
            print(args, quiet, &summary)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(ConvertError::SomeFailed { total, failures, done }) => {
            print(args, quiet, &done)?;
            for failure in &failures {
                eprintln!("error: {}", output::in_lines(&failure.to_string()));
            }
            eprintln!("{} of {total} inputs failed", failures.len());
            Ok(ExitCode::from(2))
        }
        Err(ConvertError::Interrupted) => bail!(
            "stopped before the end; finished inputs are kept with --resume or --keep-going only"
        ),
        Err(error) => Err(error.into()),
    }
}

fn print(args: &Args, quiet: bool, summary: &ConvertSummary) -> Result<()> {
    for warning in &summary.warnings {
        eprintln!("warning: {}", shown(warning));
    }
    if args.json {
        return output::print_json(summary);
    }
    if quiet {
        return Ok(());
    }
    for output in &summary.outputs {
        output::print_line(&shown(output.path.display()).to_string())?;
    }
    let rate = summary.records as f64 / summary.elapsed_s;
    eprintln!(
        "{} records, {} rows, {} labelled, in {} ({})",
        summary.records,
        summary.rows,
        summary.samples,
        Unit::Seconds.format(summary.elapsed_s),
        Unit::RecordsPerSecond.format(rate)
    );
    if !summary.duplicates.is_empty() {
        eprintln!("left out {}: inputs that others hold", summary.duplicates.len());
    }
    if let Some(classes) = &summary.classes {
        eprintln!("{classes}");
    }
    if let Some(truth) = &summary.truth {
        eprintln!("{} bins have a truth, {} have none", truth.joined, truth.missing);
    }
    for (reason, n) in &summary.skipped {
        eprintln!("skipped {n}: {}", shown(reason));
    }
    for (reason, n) in &summary.oddities {
        eprintln!("set right {n}: {reason}");
    }
    Ok(())
}
