//! `lob signals`.

mod columns;
mod line;
mod outcome;
mod records;
mod sheet;
mod table;
mod trained;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use lob_convert::DayStart;
use lob_metrics::shown;
use lob_signals::{GateConfig, Study};
use lob_store::{Column, ColumnKind};
use serde_json::{Value, json};

use crate::output::print_json;

/// Indicators, probabilities and positions for every book update, as CSV or Parquet
///
/// With `--model FILE` of `lob train` there is a row for every bin: SOURCE is a store, or a DBN file
/// whose records become bins by the rule and the price steps of the model's store, and the columns are
/// the probabilities of the head's classes, that of a rise given a move, stance, trade and position.
///
/// Otherwise SOURCE is a DBN file with order-book records, or a `.csv` table with any of the columns price,
/// high, low, volume, signed_volume, bid_px, ask_px, bid_sz, ask_sz, bid_depth_sz, ask_depth_sz; a
/// table gets the indicators only. `--model` says what turns features into the probability of a
/// rise; all but `queue-pressure` are fitted to the first updates of each instrument and are silent
/// until then. None promises a profit.
///
/// Indicators and positions begin again where a conversion would end a segment: at another day, a
/// cleared book, a gap of more than 30 minutes, and where an id gets another symbol, which makes it
/// another instrument.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob signals day.mbo.dbn.zst --out signals.parquet
  lob signals day.mbp-10.dbn.zst --symbol ESM4 | head
  lob signals day.mbp-10.dbn.zst --indicators rsi:14,macd,order_flow_imbalance --out s.csv
  lob signals day.mbp-10.dbn.zst --model embedding --out s.parquet --json
  lob signals store --model runs/a/model.safetensors --out s.parquet
  lob signals day.mbp-10.dbn.zst --model runs/a --fee-ticks 0.1 --out s.parquet --json
  lob signals prices.csv --indicators rsi:14,bollinger:20:2 --repeat 20 --out out.csv --json

Indicators: rsi:14 momentum:10 rate_of_change:10 volatility:20 ewma_volatility:0.94 sma:20 ema:20
macd:12:26:9 bollinger:20:2 atr:14 vwap:20 kyle_lambda:50 spread microprice queue_imbalance
book_imbalance order_flow_imbalance; the settings shown are those a name alone takes. From DBN
records, prices are mids, a bar is one update, volumes are trades.

Positions are around the base rate: with p the probability of a rise given that the mid moves and b
the share of rises in what the model was fitted to, thresholds are of p(1-b) / (p(1-b) + (1-p)b). A
run ends with the numbers of long, flat and short rows, and with what trades bring: the sign of the
change of position times the mid's change to the horizon, in price steps, against half a spread at
the trade and --fee-ticks.

An empty cell (CSV) or a null (Parquet): the indicator is still warming up, or a side of the book is
absent.")]
pub(crate) struct Args {
    /// DBN file, or a .csv table
    source: PathBuf,
    /// Only this symbol, instrument id or SYMBOL@ID; all by default
    #[arg(long)]
    symbol: Option<String>,
    /// .csv or .parquet file to write; CSV on stdout by default
    #[arg(long)]
    out: Option<PathBuf>,
    /// Indicators to write in place of the model's ten features, as NAME or NAME:SETTING...
    #[arg(long, value_delimiter = ',', value_parser = parse_study)]
    indicators: Vec<Study>,
    /// When a day begins, with which indicators and positions begin again: HH:MM, HH:MMZ,
    /// HH:MM+HH:MM or HH:MM-HH:MM, as for `lob convert` [default: 00:00Z]
    #[arg(long, value_name = "HH:MM[ZONE]")]
    day_start: Option<DayStart>,
    /// What gives probabilities: queue-pressure (a fixed rule: the book leans the way its queues and
    /// its order flow do), logistic (regression on the ten features), embedding (medium contrastive
    /// encoder over 100 rows of features, and a linear head), or a model of `lob train` with its head
    #[arg(long, value_name = "NAME|FILE", default_value = "queue-pressure", value_parser = parse_model)]
    model: ModelChoice,
    /// Updates of each instrument that a fitted model learns from, and is silent for
    #[arg(long, default_value_t = 20_000)]
    fit_rows: usize,
    /// Contrastive training steps of the `embedding` model
    #[arg(long, default_value_t = 50)]
    fit_steps: usize,
    /// Probability of a rise from which to go long, and one minus it to go short: given that the mid
    /// moves, and around the share of rises that the model has learned from
    #[arg(long, default_value_t = GateConfig::default().enter)]
    enter: f32,
    /// Probability below which a long is left, and one minus it for a short
    #[arg(long, default_value_t = GateConfig::default().exit)]
    exit: f32,
    /// Largest position, either way
    #[arg(long, default_value_t = GateConfig::default().max_position)]
    max_position: u16,
    /// Fee of a trade in price steps, for the line on what trades bring
    #[arg(long, value_name = "X", default_value_t = 0.0, value_parser = parse_fee)]
    fee_ticks: f64,
    /// Calculate the indicators of a table this often and report the time of each
    #[arg(long, default_value_t = 1)]
    repeat: usize,
    /// One JSON document on stdout: rows, stage latencies, time of each indicator
    #[arg(long)]
    json: bool,
}

/// What `--model` says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ModelChoice {
    Named(ModelName),
    /// A file, or the folder of its run.
    File(PathBuf),
}

fn parse_model(text: &str) -> Result<ModelChoice> {
    if let Ok(name) = ModelName::from_str(text, false) {
        return Ok(ModelChoice::Named(name));
    }
    let path = PathBuf::from(text);
    ensure!(
        has_extension(&path, "safetensors") || path.exists(),
        "`{text}` is no model: expected queue-pressure, logistic, embedding or a file that `lob train` \
         wrote"
    );
    Ok(ModelChoice::File(path))
}

/// Models that learn on the spot, if at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModelName {
    /// A fixed rule: the book leans the way its queues and its order flow do
    QueuePressure,
    /// Logistic regression on the ten features
    Logistic,
    /// Medium contrastive encoder over 100 rows of features, and a linear head
    Embedding,
}

fn parse_fee(text: &str) -> Result<f64> {
    let fee = text.parse::<f64>().ok().filter(|fee| fee.is_finite() && *fee >= 0.0);
    fee.with_context(|| format!("`{text}` is no number of price steps from 0 on"))
}

fn parse_study(text: &str) -> Result<Study, lob_signals::SignalError> {
    text.parse()
}

/// What a source gave.
struct Written {
    rows: u64,
    file: Option<sheet::OutputFile>,
    /// What the source adds to the JSON document.
    facts: Value,
    /// The same for people.
    words: String,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    ensure!(
        !(args.json && args.out.is_none()),
        "`--json` and the signals both want stdout\nhint: give `--out FILE`"
    );
    let begun = std::time::Instant::now();
    crate::interrupt::watch();
    let written = if has_extension(&args.source, "csv") {
        table::run(args)?
    } else {
        match &args.model {
            ModelChoice::Named(name) => records::run(args, *name)?,
            ModelChoice::File(path) => trained::run(args, path)?,
        }
    };
    if args.json {
        let mut document = json!({
            "source": args.source.display().to_string(),
            "rows": written.rows,
            "elapsed_s": begun.elapsed().as_secs_f64(),
            "output": written.file.as_ref().map(|file| json!({
                "path": file.path.display().to_string(),
                "bytes": file.bytes,
                "sha256": file.sha256,
            })),
        });
        if let (Value::Object(all), Value::Object(facts)) = (&mut document, written.facts) {
            all.extend(facts);
        }
        print_json(&document)?;
    } else if !quiet {
        eprintln!("{} rows; {}", written.rows, written.words);
    }
    Ok(ExitCode::SUCCESS)
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

/// What each row of signals says: when, of what, at which quotes, what the model was given or said,
/// and the signal.
fn signal_columns(of_model: Vec<Column>) -> Vec<Column> {
    let mut columns = vec![
        Column::new("ts_event", ColumnKind::Timestamp),
        Column::new("instrument_id", ColumnKind::U64),
        Column::new("symbol", ColumnKind::Utf8),
        Column::new("bid_px", ColumnKind::F64),
        Column::new("ask_px", ColumnKind::F64),
    ];
    columns.extend(of_model);
    columns.extend([
        Column::new("probability", ColumnKind::F32),
        Column::new("stance", ColumnKind::Utf8),
        Column::new("trade", ColumnKind::I64),
        Column::new("position", ColumnKind::I64),
    ]);
    columns
}

/// Opens the output: by the extension of `--out`, CSV on stdout without it.
fn open_sheet(args: &Args, columns: Vec<Column>) -> Result<sheet::Sheet> {
    match &args.out {
        None => Ok(sheet::Sheet::to_stdout(columns)),
        Some(path) if has_extension(path, "csv") => sheet::Sheet::to_csv(path, columns),
        Some(path) if has_extension(path, "parquet") => sheet::Sheet::to_parquet(path, columns),
        Some(path) => Err(anyhow::anyhow!(
            "`{}` is neither `.csv` nor `.parquet`\nhint: the extension decides the format",
            shown(path.display())
        )),
    }
    .context("cannot open the output")
}
