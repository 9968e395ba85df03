//! Indicators over whole series, the pipeline in batches, and the live path one event at a time.

mod batch;
mod live;
mod sizes;
mod stages;

pub(super) use live::live;

use anyhow::{Result, bail, ensure};
use lob_metrics::{Artifact, Direction, Measurement, Unit};
use lob_signals::Quotes;

use super::{Bench, quotes};

/// Points of a series drawn in the report.
const DRAWN: usize = 600;

pub(super) fn indicators(bench: &mut Bench<'_>) -> Result<()> {
    let (instrument_id, symbol) = quotes::busiest(bench)?;
    let mids = {
        let _scope = lob_scope::scope("decode_quotes");
        quotes::of_instrument(bench, instrument_id)?.mids()
    };
    ensure!(!mids.is_empty(), "`{symbol}` has no update with both sides");
    bench.rec.config("symbol", symbol.clone());
    bench.rec.config("mids", mids.len());
    // Otherwise glibc gives pages back after some sizes and not after others, and a series costs up
    // to five times as much: the same indicator would seem slow at one length alone.
    bench.rec.config("keeps_freed_memory", lob_scope::keep_freed_memory());
    let mut promised = sizes::run(bench, &mids)?;
    for (name, series) in sizes::drawn(&mids)? {
        bench.rec.artifacts.push(line(&symbol, name, &series));
    }
    bench.rec.artifacts.push(line(&symbol, "mid price", &mids));
    promised.extend(batch::run(bench, &mids)?);
    all_measured(bench, &promised)
}

fn line(symbol: &str, name: &str, series: &[f64]) -> Artifact {
    let step = series.len().div_ceil(DRAWN).max(1);
    let drawn = series.iter().enumerate().step_by(step).filter(|(_, v)| v.is_finite());
    let (x, y) = drawn.map(|(i, v)| (i as f64, *v)).unzip();
    Artifact::Line {
        title: format!("{symbol}: {name}"),
        x_label: "book update".to_owned(),
        y_label: name.to_owned(),
        x,
        y,
    }
}

pub(super) fn pipeline(bench: &mut Bench<'_>) -> Result<()> {
    let (instrument_id, symbol) = quotes::busiest(bench)?;
    let columns = quotes::of_instrument(bench, instrument_id)?;
    ensure!(!columns.bid_px.is_empty(), "`{symbol}` has no update with both sides");
    bench.rec.config("symbol", symbol);
    bench.rec.config("model", "logistic on 10 features, fixed weights");
    let all = Quotes::new(&columns.bid_px, &columns.ask_px, &columns.bid_sz, &columns.ask_sz)?;
    let mut promised = stages::whole_series(bench, all)?;
    promised.extend(stages::batches(bench, all)?);
    promised.extend(stages::embedding(bench, all)?);
    stages::memory_at_end(bench);
    promised.extend(["signals.steady_memory", "signals.peak_memory"].map(str::to_owned));
    all_measured(bench, &promised)
}

/// A missing value fails: an absent latency or memory counts as infinite, an absent throughput as 0.
fn all_measured(bench: &Bench<'_>, promised: &[String]) -> Result<()> {
    let has = |name: &str| {
        let mut found = bench.rec.measurements.iter().filter(|m| m.metric == name);
        found.any(|m| m.value().is_some_and(f64::is_finite))
    };
    let missing: Vec<&str> = promised.iter().map(String::as_str).filter(|m| !has(m)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("no value for {}; a missing value fails", missing.join(", "))
}

/// A size in bytes, or why there is none.
fn bytes(bench: &mut Bench<'_>, metric: &str, value: Result<f64, String>) {
    let direction = Direction::LowerIsBetter;
    bench.rec.add(match value {
        Ok(value) => Measurement::measured(metric, Unit::Bytes, direction, &[value]),
        Err(why) => Measurement::unavailable(metric, Unit::Bytes, direction, &why),
    });
}
