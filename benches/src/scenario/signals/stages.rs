//! The pipeline over stored quotes: three stages, several batch sizes, two models.

use std::time::Instant;

use anyhow::Result;
use lob_contrastive::{SignalModelConfig, fit_signal_model};
use lob_metrics::{Axis, Direction, Measurement, Severity, Summary, Unit};
use lob_signals::{
    FeatureConfig, FeatureMatrix, GateConfig, LogisticModel, Model, N_FEATURES, Quotes, Signal,
    SignalPipeline, Stance,
};

use super::super::Bench;
use super::super::recorder::{Limit, repeat};
use super::bytes;

/// Quotes handed to the pipeline at once.
const BATCHES: [usize; 6] = [32, 64, 128, 256, 512, 1024];

pub(super) fn pipeline<M: Model>(model: M) -> Result<SignalPipeline<M>> {
    Ok(SignalPipeline::new(FeatureConfig::default(), model, GateConfig::default())?)
}

/// The three stages over the whole series, timed apart, with the memory each adds.
pub(super) fn whole_series(bench: &mut Bench<'_>, quotes: Quotes<'_>) -> Result<Vec<String>> {
    let mut pipeline = pipeline(LogisticModel::queue_pressure())?;
    let mut features = FeatureMatrix::default();
    let (mut probabilities, mut signals) = (Vec::new(), Vec::new());
    let before = resident();
    pipeline.calculate_features(quotes, &mut features);
    let after_features = resident();
    pipeline.infer(&features, &mut probabilities)?;
    let after_model = resident();
    bytes(bench, "signals.features_memory", grown(&before, &after_features));
    bytes(bench, "signals.model_memory", grown(&after_features, &after_model));
    let budget_s = if bench.options.quick { 0.3 } else { 2.0 };
    let samples = repeat(budget_s, 3, || {
        pipeline.reset();
        {
            let _scope = lob_scope::scope("feature_calculation");
            pipeline.calculate_features(quotes, &mut features);
        }
        {
            let _scope = lob_scope::scope("model_inference");
            pipeline.infer(&features, &mut probabilities)?;
        }
        let _scope = lob_scope::scope("signal_generation");
        pipeline.generate_signals(&features, &probabilities, &mut signals)
    })?;
    let rates: Vec<f64> = samples.iter().map(|s| features.len() as f64 / s).collect();
    let median = Summary::of(&rates).map_or(f64::NAN, |s| s.median);
    // Four f64 of a quote in; the features, a probability and a signal out, all through memory.
    let bytes = 4 * size_of::<f64>() + (N_FEATURES + 1) * size_of::<f32>() + size_of::<Signal>();
    let demand = median * bytes as f64 / 2.0;
    let copy = bench.state.roof.copy_bytes_per_s;
    let limit = Limit::of(demand, copy, "copy bandwidth", Unit::BytesPerSecond);
    bench.rec.rate("signals.samples_per_s", Unit::SamplesPerSecond, &rates, limit.clone());
    let features: Vec<f64> = rates.iter().map(|rate| rate * N_FEATURES as f64).collect();
    bench.rec.rate("signals.pipeline_features_per_s", Unit::ValuesPerSecond, &features, limit);
    bench.rec.rate("signals.signals_per_s", Unit::ValuesPerSecond, &rates, None);
    let positions = |stance| signals.iter().filter(|s| s.stance == stance).count() as f64;
    bench.rec.count("signals.long", positions(Stance::Long));
    bench.rec.count("signals.flat", positions(Stance::Flat));
    bench.rec.count("signals.short", positions(Stance::Short));
    bench.rec.count("signals.trades", signals.iter().filter(|s| s.trade != 0).count() as f64);
    let promised = ["samples_per_s", "pipeline_features_per_s", "signals_per_s"];
    let memory = ["features_memory", "model_memory"];
    Ok(promised.iter().chain(&memory).map(|name| format!("signals.{name}")).collect())
}

/// Pieces of several sizes until a million samples (fewer in a quick run): throughput, and the
/// latency of one piece.
pub(super) fn batches(bench: &mut Bench<'_>, quotes: Quotes<'_>) -> Result<Vec<String>> {
    let wanted = if bench.options.quick { 100_000 } else { 1_000_000 };
    let mut promised = Vec::new();
    for size in BATCHES {
        let mut pipeline = pipeline(LogisticModel::queue_pressure())?;
        let (seconds, n) = pieces(&mut pipeline, quotes, size, wanted)?;
        report_pieces(bench, "", size, &seconds, n, &mut promised);
    }
    Ok(promised)
}

/// The same through the medium encoder and a linear head.
pub(super) fn embedding(bench: &mut Bench<'_>, quotes: Quotes<'_>) -> Result<Vec<String>> {
    let Some(model) = fitted(bench, quotes)? else { return Ok(Vec::new()) };
    let mut pipeline = pipeline(model)?;
    let (wanted, sizes): (usize, &[usize]) =
        if bench.options.quick { (4_096, &[256, 1024]) } else { (32_768, &BATCHES) };
    let mut promised = Vec::new();
    for &size in sizes {
        let (seconds, n) = pieces(&mut pipeline, quotes, size, wanted)?;
        report_pieces(bench, "embedding_", size, &seconds, n, &mut promised);
    }
    Ok(promised)
}

/// The medium encoder fitted to the first quotes; `None`, with a finding, where there are too few.
pub(super) fn fitted(bench: &mut Bench<'_>, quotes: Quotes<'_>) -> Result<Option<Box<dyn Model>>> {
    let first = quotes.first(10_000);
    let mut features = FeatureMatrix::default();
    pipeline(LogisticModel::queue_pressure())?.calculate_features(first, &mut features);
    let mids: Vec<f64> = first.iter().map(|quote| quote.mid()).collect();
    let steps = if bench.options.quick { 5 } else { 50 };
    let config =
        SignalModelConfig { steps, seed: bench.options.seed, ..SignalModelConfig::default() };
    bench.rec.config("embedding", format!("medium encoder over {} rows", config.window));
    let _scope = lob_scope::scope("fit_model");
    match fit_signal_model(&features, &mids, &config) {
        Ok(model) => Ok(Some(model)),
        Err(error) => {
            bench.rec.finding(Severity::Warning, format!("no embedding model: {error}"));
            Ok(None)
        }
    }
}

/// Runs pieces of `size` quotes, the series again and again, until `wanted` are through. Returns
/// the seconds of each piece and the number of samples.
fn pieces<M: Model>(
    pipeline: &mut SignalPipeline<M>,
    quotes: Quotes<'_>,
    size: usize,
    wanted: usize,
) -> Result<(Vec<f64>, usize)> {
    let mut features = FeatureMatrix::default();
    let (mut probabilities, mut signals) = (Vec::new(), Vec::new());
    let (mut seconds, mut done, mut at) = (Vec::new(), 0, 0);
    while done < wanted {
        if at >= quotes.len() {
            at = 0;
            pipeline.reset();
        }
        let piece = quotes.slice(at..(at + size).min(quotes.len()));
        let begun = Instant::now();
        pipeline.calculate_features(piece, &mut features);
        pipeline.infer(&features, &mut probabilities)?;
        pipeline.generate_signals(&features, &probabilities, &mut signals)?;
        // A short last piece has its share in the throughput; as a latency it would flatter.
        seconds.push(begun.elapsed().as_secs_f64());
        done += piece.len();
        at += size;
    }
    Ok((seconds, done))
}

fn report_pieces(
    bench: &mut Bench<'_>,
    prefix: &str,
    size: usize,
    seconds: &[f64],
    n: usize,
    promised: &mut Vec<String>,
) {
    let rate = n as f64 / seconds.iter().sum::<f64>();
    let metric = format!("signals.{prefix}samples_per_s_batch_{size}");
    let series = |of: &str| format!("signals.{prefix}{of}");
    let place = (&*series("samples_per_s"), Axis::Batch, size);
    bench.rec.rate_over(&metric, Unit::SamplesPerSecond, &[rate], place);
    promised.push(metric);
    let metric = format!("signals.{prefix}batch_{size}");
    // Thinned: a report needs the distribution, not half a million of them.
    let step = seconds.len().div_ceil(1_000).max(1);
    let samples: Vec<f64> = seconds.iter().copied().step_by(step).collect();
    let n = u32::try_from(size).unwrap_or(u32::MAX);
    let lower = Direction::LowerIsBetter;
    let latency = Measurement::measured(&metric, Unit::Seconds, lower, &samples);
    bench.rec.add(latency.over(series("batch"), Axis::Batch, n));
    promised.push(metric);
}

/// What the process holds at the end, and the most it held: the seeds' steady state and peak.
pub(super) fn memory_at_end(bench: &mut Bench<'_>) {
    bytes(bench, "signals.steady_memory", resident());
    let peak = lob_scope::peak_rss_bytes().map(|b| b as f64).map_err(|why| why.to_string());
    bytes(bench, "signals.peak_memory", peak);
}

fn resident() -> Result<f64, String> {
    lob_scope::rss_bytes().map(|bytes| bytes as f64).map_err(|why| why.to_string())
}

/// Growth of the resident memory; memory given back meanwhile makes it 0 at least.
fn grown(before: &Result<f64, String>, after: &Result<f64, String>) -> Result<f64, String> {
    let (before, after) = (before.clone()?, after.clone()?);
    Ok((after - before).max(0.0))
}
