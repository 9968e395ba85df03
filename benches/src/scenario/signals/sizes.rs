//! Each indicator over series of several sizes: time, time of one value, memory.

use anyhow::Result;
use lob_metrics::{Direction, Measurement, Summary, Unit};
use lob_scope::thread_alloc_stats;
use lob_signals::SignalError;

use super::super::Bench;
use super::super::recorder::{Limit, repeat};
use super::bytes;

/// Bytes read and written for one indicator value: an f64 in, an f64 out.
const BYTES_PER_VALUE: f64 = 16.0;

/// Series up to here, with their result, stay in a cache of the core.
const CACHED: usize = 100_000;

type Indicator = fn(&[f64]) -> Result<Vec<f64>, SignalError>;

/// The three of the seed documents, then the others of one price column.
const ALL: [(&str, Indicator); 8] = [
    ("rsi", |p| lob_signals::rsi(p, 14)),
    ("momentum", |p| lob_signals::momentum(p, 10)),
    ("volatility", |p| lob_signals::volatility(p, 20)),
    ("rate_of_change", |p| lob_signals::rate_of_change(p, 10)),
    ("sma", |p| lob_signals::sma(p, 20)),
    ("ema", |p| lob_signals::ema(p, 20)),
    ("ewma_volatility", |p| lob_signals::ewma_volatility(p, 0.94)),
    ("macd_line", |p| Ok(lob_signals::macd(p, 12, 26, 9)?.iter().map(|v| v.line).collect())),
];

/// The indicators that the seeds' rate of features is about.
const OF_SEEDS: usize = 3;

/// Series for the report.
pub(super) fn drawn(mids: &[f64]) -> Result<Vec<(&'static str, Vec<f64>)>> {
    ALL[..OF_SEEDS].iter().map(|(name, f)| Ok((*name, f(mids)?))).collect()
}

/// Measures all at every size and returns the names of what must have a value.
pub(super) fn run(bench: &mut Bench<'_>, mids: &[f64]) -> Result<Vec<String>> {
    let quick = bench.options.quick;
    let sizes: &[usize] = if quick {
        &[1_000, 10_000, 100_000, 1_000_000]
    } else {
        &[1_000, 10_000, 100_000, 10_000_000]
    };
    let mut promised = vec!["signals.features_per_s".to_owned()];
    let mut slowest = f64::INFINITY;
    for &size in sizes {
        // Shorter recordings are played again until the series is long enough.
        let prices: Vec<f64> = mids.iter().copied().cycle().take(size).collect();
        for (i, (name, indicator)) in ALL.iter().enumerate() {
            let rate = one(bench, name, *indicator, &prices)?;
            if i < OF_SEEDS && size == CACHED {
                slowest = slowest.min(rate);
            }
            let key = format!("signals.{name}_{size}");
            promised.extend([format!("{key}.time"), format!("{key}.memory")]);
            promised.push(format!("{key}.value_time"));
        }
    }
    bench.rec.rate("signals.features_per_s", Unit::ValuesPerSecond, &[slowest], None);
    promised.extend(ALL.iter().map(|(name, _)| format!("signals.{name}_values_per_s")));
    Ok(promised)
}

/// One indicator over one series: `{feature}_{size}` with time, memory and time of a value. Returns
/// its values per second.
fn one(
    bench: &mut Bench<'_>,
    name: &'static str,
    indicator: Indicator,
    prices: &[f64],
) -> Result<f64> {
    let size = prices.len();
    let budget_s = if bench.options.quick { 0.02 } else { 0.3 };
    let seconds = repeat(budget_s, 5, || {
        let _scope = lob_scope::scope(name);
        indicator(prices).map(drop)
    })?;
    let key = format!("signals.{name}_{size}");
    bench.rec.latency(&format!("{key}.time"), &seconds);
    let per_value: Vec<f64> = seconds.iter().map(|s| s / size as f64).collect();
    let rates: Vec<f64> = seconds.iter().map(|s| size as f64 / s).collect();
    let median = Summary::of(&rates).map_or(f64::NAN, |s| s.median);
    let limit = limit(bench, size, median);
    let value_time = Measurement::measured(
        &format!("{key}.value_time"),
        Unit::Seconds,
        Direction::LowerIsBetter,
        &per_value,
    );
    bench.rec.add(match &limit {
        Some(limit) => limit.on(value_time),
        None => value_time,
    });
    let before = thread_alloc_stats().allocated_bytes;
    drop(indicator(prices)?);
    let allocated = thread_alloc_stats().allocated_bytes - before;
    let counted = if allocated > 0 { Ok(allocated as f64) } else { Err("not counted".to_owned()) };
    bytes(bench, &format!("{key}.memory"), counted);
    if size == CACHED {
        let metric = format!("signals.{name}_values_per_s");
        bench.rec.rate(&metric, Unit::ValuesPerSecond, &rates, limit);
    }
    Ok(median)
}

/// A copy reads and writes each byte it counts, an indicator reads 8 and writes 8: held against a
/// copy from cache or from memory, wherever the series lies. Between the two, in a large last-level
/// cache, no roof is measured.
fn limit(bench: &Bench<'_>, size: usize, values_per_s: f64) -> Option<Limit> {
    let demand = values_per_s * BYTES_PER_VALUE / 2.0;
    let roof = &bench.state.roof;
    if size <= CACHED {
        let copy = roof.more.get("copy_804kB_bytes_per_s").copied();
        Limit::of(demand, copy, "cached copy", Unit::BytesPerSecond)
    } else if size as f64 * BYTES_PER_VALUE
        < 2.0 * lob_profiler::machine::last_level_cache_bytes() as f64
    {
        None
    } else {
        Limit::of(demand, roof.copy_bytes_per_s, "copy bandwidth", Unit::BytesPerSecond)
    }
}
