//! `lob signals`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use lob_convert::RecordStream;
use lob_depth::{PRICE_SCALE, UNDEF_PRICE};
use lob_metrics::{Summary, Unit};
use lob_signals::{
    FEATURE_NAMES, FeatureConfig, FeatureExtractor, GateConfig, LogisticModel, Model, N_FEATURES,
    Quote, Signal, SignalGate, Stance,
};

use crate::interrupt;

/// Features, probabilities and positions for every book update, as CSV
///
/// The model is a fixed rule on queue pressure until somebody fits one: it shows the pipeline, it
/// promises no profit.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob signals day.mbo.dbn.zst --out signals.csv
  lob signals day.mbp-10.dbn.zst --symbol ESM4 | head

An empty cell is null: the indicator is still warming up, or a side of the book is absent.")]
pub(crate) struct Args {
    /// DBN file
    source: PathBuf,
    /// Only this symbol or instrument id; all by default
    #[arg(long)]
    symbol: Option<String>,
    /// Where to write; stdout by default
    #[arg(long)]
    out: Option<PathBuf>,
    /// Probability of a rise from which to go long, and one minus it to go short
    #[arg(long, default_value_t = GateConfig::default().enter)]
    enter: f32,
    /// Probability below which a long is left, and one minus it for a short
    #[arg(long, default_value_t = GateConfig::default().exit)]
    exit: f32,
    /// Largest position, either way
    #[arg(long, default_value_t = GateConfig::default().max_position)]
    max_position: u16,
}

/// One instrument's pipeline.
struct Line {
    symbol: String,
    is_wanted: bool,
    features: FeatureExtractor,
    gate: SignalGate,
}

impl Line {
    /// Features, model and gate for one quote.
    fn update(
        &mut self,
        model: &mut LogisticModel,
        quote: Quote,
    ) -> Result<([f32; N_FEATURES], Signal)> {
        let row = self.features.update(quote);
        let mut probability = [f32::NAN];
        if row.iter().all(|x| x.is_finite()) {
            model.predict(&row, &mut probability).map_err(anyhow::Error::from_boxed)?;
        }
        Ok((row, self.gate.update(&row, probability[0])))
    }
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    interrupt::watch()?;
    let latencies = match &args.out {
        None => write_signals(args, BufWriter::new(io::stdout().lock()))?,
        Some(path) => {
            let temporary = path.with_extension("csv.tmp");
            let outcome = to_file(args, &temporary, path);
            if outcome.is_err() {
                // The error matters more than a temporary file that cannot be removed either.
                let _ = std::fs::remove_file(&temporary);
            }
            outcome?
        }
    };
    if let Some(summary) = Summary::of(&latencies).filter(|_| !quiet) {
        eprintln!(
            "{} updates; features, model and signal: p50 {}, p99 {}",
            summary.n,
            Unit::Seconds.format(summary.median),
            Unit::Seconds.format(summary.p99)
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn to_file(args: &Args, temporary: &Path, path: &Path) -> Result<Vec<f64>> {
    let file = File::create(temporary)
        .with_context(|| format!("cannot write `{}`", temporary.display()))?;
    let latencies = write_signals(args, BufWriter::new(&file))?;
    file.sync_all()
        .and_then(|()| std::fs::rename(temporary, path))
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(latencies)
}

/// Streams the file once; returns the seconds each update took inside the pipeline.
fn write_signals(args: &Args, mut out: impl Write) -> Result<Vec<f64>> {
    /// Latencies kept: enough for a steady p99, bounded whatever the file.
    const MOST: usize = 1_000_000;
    let mut stream = RecordStream::open_unhashed(&args.source)?;
    let mut lines: BTreeMap<u32, Line> = BTreeMap::new();
    let mut model = LogisticModel::queue_pressure();
    let mut latencies = Vec::new();
    let mut n_written = 0u64;
    writeln!(
        out,
        "ts_event,instrument_id,symbol,bid_px,ask_px,{},probability,stance,trade,position",
        FEATURE_NAMES.join(",")
    )?;
    while let Some(update) = stream.next()? {
        let (id, ts_event, best) =
            (update.hd.instrument_id, update.hd.ts_event, update.levels[0].clone());
        ensure!(!interrupt::requested(), "interrupted after {n_written} updates");
        let line = match lines.entry(id) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let symbol =
                    stream.symbol(id, ts_event).map_or_else(|| id.to_string(), str::to_owned);
                entry.insert(new_line(args, id, symbol)?)
            }
        };
        if !line.is_wanted {
            continue;
        }
        let quote = Quote {
            bid_px: price(best.bid_px),
            ask_px: price(best.ask_px),
            bid_sz: f64::from(best.bid_sz),
            ask_sz: f64::from(best.ask_sz),
        };
        let begun = Instant::now();
        let (row, signal) = line.update(&mut model, quote)?;
        if latencies.len() < MOST {
            latencies.push(begun.elapsed().as_secs_f64());
        }
        write!(out, "{ts_event},{id},{}", line.symbol)?;
        write_row(&mut out, quote, &row, signal)?;
        n_written += 1;
    }
    out.flush()?;
    let path = args.source.display();
    match &args.symbol {
        Some(name) => ensure!(n_written > 0, "`{path}` holds no book update of `{name}`"),
        None => ensure!(n_written > 0, "`{path}` holds no book update"),
    }
    Ok(latencies)
}

fn new_line(args: &Args, id: u32, symbol: String) -> Result<Line> {
    let gate = GateConfig {
        enter: args.enter,
        exit: args.exit,
        max_position: args.max_position,
        ..GateConfig::default()
    };
    let is_wanted =
        args.symbol.as_ref().is_none_or(|name| *name == symbol || *name == id.to_string());
    Ok(Line {
        symbol,
        is_wanted,
        features: FeatureExtractor::new(FeatureConfig::default())?,
        gate: SignalGate::new(gate)?,
    })
}

fn write_row(out: &mut impl Write, quote: Quote, row: &[f32], signal: Signal) -> io::Result<()> {
    cell(out, quote.bid_px)?;
    cell(out, quote.ask_px)?;
    for x in row {
        cell(out, f64::from(*x))?;
    }
    cell(out, f64::from(signal.probability))?;
    let stance = match signal.stance {
        Stance::Flat => "flat",
        Stance::Long => "long",
        Stance::Short => "short",
    };
    writeln!(out, ",{stance},{},{}", signal.trade, signal.position)
}

/// A price as a number; NaN where there is none.
fn price(px: i64) -> f64 {
    if px == UNDEF_PRICE { f64::NAN } else { px as f64 / PRICE_SCALE as f64 }
}

/// A cell of its own; empty for null.
fn cell(out: &mut impl Write, value: f64) -> io::Result<()> {
    if value.is_finite() { write!(out, ",{value}") } else { write!(out, ",") }
}
