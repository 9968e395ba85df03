//! Indicators over whole series, and the live path one quote at a time.

use std::time::Instant;

use anyhow::{Result, ensure};
use lob_metrics::{Artifact, Summary, Unit};
use lob_signals::{
    FeatureConfig, FeatureMatrix, GateConfig, LogisticModel, N_FEATURES, Quote, Quotes, Signal,
    SignalPipeline, Stance,
};

use super::recorder::{Limit, repeat};
use super::{Bench, quotes};

/// Points of a series drawn in the report.
const DRAWN: usize = 600;

/// Bytes read and written for one indicator value: an f64 in, an f64 out.
const BYTES_PER_VALUE: f64 = 16.0;

pub(super) fn indicators(bench: &mut Bench<'_>) -> Result<()> {
    let (instrument_id, symbol) = quotes::busiest(bench)?;
    let mids = {
        let _scope = lob_profiler::scope("decode_quotes");
        quotes::of_instrument(bench, instrument_id)?.mids()
    };
    ensure!(!mids.is_empty(), "`{symbol}` has no update with both sides");
    bench.rec.config("symbol", symbol.clone());
    bench.rec.config("values", mids.len());
    let budget_s = if bench.options.quick { 0.2 } else { 1.0 };
    type Indicator = fn(&[f64]) -> Result<Vec<f64>, lob_signals::SignalError>;
    let all: [(&'static str, Indicator); 3] = [
        ("rsi", |p| lob_signals::rsi(p, 14)),
        ("momentum", |p| lob_signals::momentum(p, 10)),
        ("volatility", |p| lob_signals::volatility(p, 20)),
    ];
    let mut slowest = f64::INFINITY;
    for (name, indicator) in all {
        let mut series = Vec::new();
        let samples = repeat(budget_s, 5, || {
            let _scope = lob_profiler::scope(name);
            series = indicator(&mids)?;
            Ok::<(), lob_signals::SignalError>(())
        })?;
        let rates: Vec<f64> = samples.iter().map(|s| mids.len() as f64 / s).collect();
        let median = Summary::of(&rates).map_or(f64::NAN, |s| s.median);
        slowest = slowest.min(median);
        // The series fit a last-level cache, so the cached copy is the limit.
        let copy = bench.state.roof.more.get("copy_804kB_bytes_per_s").copied();
        // A copy reads and writes each byte it counts, an indicator reads 8 and writes 8.
        let demand = median * BYTES_PER_VALUE / 2.0;
        let limit = Limit::of(demand, copy, "cached copy", Unit::BytesPerSecond);
        bench.rec.rate(
            &format!("signals.{name}_values_per_s"),
            Unit::ValuesPerSecond,
            &rates,
            limit,
        );
        bench.rec.artifacts.push(line(&symbol, name, &series));
    }
    bench.rec.rate("signals.features_per_s", Unit::ValuesPerSecond, &[slowest], None);
    bench.rec.artifacts.push(line(&symbol, "mid price", &mids));
    Ok(())
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
    let new = || {
        let model = LogisticModel::queue_pressure();
        SignalPipeline::new(FeatureConfig::default(), model, GateConfig::default())
    };
    stages(bench, &mut new()?, all)?;
    live(bench, &mut new()?, all)
}

/// The three stages over the whole series, timed apart.
fn stages(
    bench: &mut Bench<'_>,
    pipeline: &mut SignalPipeline<LogisticModel>,
    quotes: Quotes<'_>,
) -> Result<()> {
    let mut features = FeatureMatrix::default();
    let (mut probabilities, mut signals) = (Vec::new(), Vec::new());
    let budget_s = if bench.options.quick { 0.3 } else { 2.0 };
    let samples = repeat(budget_s, 3, || {
        pipeline.reset();
        {
            let _scope = lob_profiler::scope("feature_calculation");
            pipeline.calculate_features(quotes, &mut features);
        }
        {
            let _scope = lob_profiler::scope("model_inference");
            pipeline.infer(&features, &mut probabilities)?;
        }
        let _scope = lob_profiler::scope("signal_generation");
        pipeline.generate_signals(&features, &probabilities, &mut signals)
    })?;
    let rates: Vec<f64> = samples.iter().map(|s| features.len() as f64 / s).collect();
    let median = Summary::of(&rates).map_or(f64::NAN, |s| s.median);
    // Four f64 of a quote in; the features, a probability and a signal out, all through memory.
    let bytes = 4 * size_of::<f64>() + (N_FEATURES + 1) * size_of::<f32>() + size_of::<Signal>();
    let demand = median * bytes as f64 / 2.0;
    let copy = bench.state.roof.copy_bytes_per_s;
    let limit = Limit::of(demand, copy, "copy bandwidth", Unit::BytesPerSecond);
    bench.rec.rate("signals.samples_per_s", Unit::SamplesPerSecond, &rates, limit);
    let positions = |stance| signals.iter().filter(|s| s.stance == stance).count() as f64;
    bench.rec.count("signals.long", positions(Stance::Long));
    bench.rec.count("signals.flat", positions(Stance::Flat));
    bench.rec.count("signals.short", positions(Stance::Short));
    bench.rec.count("signals.trades", signals.iter().filter(|s| s.trade != 0).count() as f64);
    Ok(())
}

/// One quote at a time, as a live feed brings them, each stage timed; service time, not response
/// time: the next quote is taken when this one is done.
fn live(
    bench: &mut Bench<'_>,
    pipeline: &mut SignalPipeline<LogisticModel>,
    quotes: Quotes<'_>,
) -> Result<()> {
    const MOST: usize = 100_000;
    let mut features = FeatureMatrix::default();
    let (mut probabilities, mut signals) = (Vec::new(), Vec::new());
    let mut seconds: [Vec<f64>; 4] = Default::default();
    for Quote { bid_px, ask_px, bid_sz, ask_sz } in quotes.iter().take(MOST) {
        let one = Quotes::new(
            std::slice::from_ref(&bid_px),
            std::slice::from_ref(&ask_px),
            std::slice::from_ref(&bid_sz),
            std::slice::from_ref(&ask_sz),
        )?;
        let begun = Instant::now();
        pipeline.calculate_features(one, &mut features);
        let after_features = Instant::now();
        pipeline.infer(&features, &mut probabilities)?;
        let after_model = Instant::now();
        pipeline.generate_signals(&features, &probabilities, &mut signals)?;
        let done = Instant::now();
        let marks = [
            after_features - begun,
            after_model - after_features,
            done - after_model,
            done - begun,
        ];
        for (samples, mark) in seconds.iter_mut().zip(marks) {
            samples.push(mark.as_secs_f64());
        }
    }
    let names = ["feature_calculation", "model_inference", "signal_generation", "total"];
    for (name, samples) in names.iter().zip(&seconds) {
        let Some(summary) = Summary::of(samples) else { continue };
        bench.rec.latency_value(&format!("signals.{name}_p50"), summary.median);
        bench.rec.latency_value(&format!("signals.{name}_p99"), summary.p99);
    }
    Ok(())
}
