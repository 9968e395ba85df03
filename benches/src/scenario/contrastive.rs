//! A few contrastive training steps on windows of tick bins, and the embeddings they give.

use std::time::Instant;

use anyhow::{Context, Result};
use lob_contrastive::{
    Device, EncoderConfig, SeriesSpec, SeriesWindows, TrainConfig, TrainOutcome, WindowSource,
};
use lob_depth::{BinColumns, LEVELS, NO_PRICE, SLOTS};
use lob_metrics::{Artifact, Direction, Measurement, Severity, Summary, Unit};
use lob_store::{BinFile, Store};

use super::Bench;
use super::recorder::Limit;

/// Bins of a training window.
const WINDOW: usize = 64;

/// Values of a bin that the encoder sees.
const CHANNELS: usize = 8;

/// Most windows embedded for the scatter.
const EMBEDDED: usize = 1000;

pub(super) fn train(bench: &mut Bench<'_>) -> Result<()> {
    let store = Store::open(bench.store()?)?;
    let file = store.files().iter().max_by_key(|f| f.len()).context("the store is empty")?;
    let bins = {
        let _scope = lob_profiler::scope("read_bins");
        Bins::read(file)?
    };
    let spec = SeriesSpec { window: WINDOW, stride: 4, max_gap: WINDOW };
    let rows = bins.segments.len();
    // The scale is fitted on the first 70 %, as an evaluation in time order needs it.
    let mut source =
        SeriesWindows::new(bins.channels.clone(), CHANNELS, &bins.segments, 0..rows * 7 / 10, spec)?;
    let config = TrainConfig {
        seed: bench.options.seed,
        steps: if bench.options.quick { 60 } else { 400 },
        batch_size: bench.options.batch_sizes.first().copied().unwrap_or(32),
        encoder: EncoderConfig::medium(),
        device: device(bench),
        ignore_radius: WINDOW as u64,
        ..TrainConfig::default()
    };
    bench.rec.config("symbol", file.meta().symbol.clone());
    bench.rec.config("encoder", "medium");
    bench.rec.config("batch_size", config.batch_size);
    bench.rec.config("window", format!("{WINDOW} bins x {CHANNELS} channels"));
    bench.rec.config("windows", source.len());
    let outcome = {
        let _scope = lob_profiler::scope("train");
        lob_contrastive::train(&mut source, &config)?
    };
    report(bench, &outcome, &config, source.n_inputs());
    embed(bench, &outcome, &mut source, &bins)
}

fn device(bench: &Bench<'_>) -> Device {
    match bench.options.device {
        crate::Device::Auto => Device::Auto,
        crate::Device::Cpu => Device::Cpu,
        crate::Device::Cuda => Device::Cuda,
    }
}

fn report(bench: &mut Bench<'_>, outcome: &TrainOutcome, config: &TrainConfig, n_inputs: usize) {
    // The first steps warm caches and pools up; they are no samples.
    let warm = |samples: &[f64]| samples[(samples.len() / 6).min(10)..].to_vec();
    let step_s = warm(&outcome.step_s);
    bench.rec.latency("train.step", &step_s);
    bench.rec.latency("train.batch_preparation", &warm(&outcome.batch_s));
    bench.rec.latency("train.forward", &warm(&outcome.forward_s));
    bench.rec.latency("train.info_nce", &warm(&outcome.loss_s));
    bench.rec.latency("train.backward", &warm(&outcome.backward_s));
    bench.rec.latency("train.optimiser", &warm(&outcome.optimiser_s));
    let rates: Vec<f64> = step_s.iter().map(|s| config.batch_size as f64 / s).collect();
    // Two views forward, and twice that backward: three passes over 2 x batch windows.
    let step_flops = 3.0 * 2.0 * config.batch_size as f64 * config.encoder.forward_flops(n_inputs) as f64;
    let median_step = Summary::of(&step_s).map_or(f64::NAN, |s| s.median);
    let gemm = bench.state.roof.gemm_flop_per_s;
    let cores = super::cores();
    let limit = Limit::of(
        step_flops / median_step,
        gemm.map(|g| g * cores as f64),
        &format!("matrix product on {cores} cores"),
        Unit::FlopPerSecond,
    );
    bench.rec.rate("train.pairs_per_s", Unit::SamplesPerSecond, &rates, limit);
    let total = |samples: &[f64]| samples.iter().sum::<f64>();
    let wait = total(&outcome.batch_s) / total(&outcome.step_s);
    bench.rec.add(Measurement::measured("train.data_wait_share", Unit::Fraction, Direction::LowerIsBetter, &[wait]));
    bench.rec.count("train.parameters", config.encoder.n_params(n_inputs) as f64);
    let plain = |metric: &str, value: f64, direction| {
        Measurement::measured(metric, Unit::Dimensionless, direction, &[value])
    };
    let losses = &outcome.losses;
    let tail = &losses[losses.len() - (losses.len() / 6).clamp(1, 10)..];
    let last = f64::from(tail.iter().sum::<f32>()) / tail.len() as f64;
    bench.rec.add(plain("train.first_loss", f64::from(losses[0]), Direction::Neutral));
    bench.rec.add(plain("train.last_loss", last, Direction::LowerIsBetter));
    bench.rec.add(plain("train.top1", outcome.metrics.top1, Direction::HigherIsBetter));
    bench.rec.add(plain("train.effective_rank", outcome.metrics.effective_rank, Direction::HigherIsBetter));
    bench.rec.config("device", format!("{:?}", outcome.device.device).to_lowercase());
    if let Some(fallback) = &outcome.device.fallback {
        bench.rec.finding(Severity::Info, fallback.clone());
    }
    match &outcome.metrics.collapse {
        Some(why) => bench.rec.finding(Severity::Warning, format!("the embeddings look collapsed: {why}")),
        None => bench.rec.finding(
            Severity::Info,
            format!("loss {:.3} after the first step, {last:.3} at the end; no sign of collapse", losses[0]),
        ),
    }
    bench.rec.artifacts.push(Artifact::Line {
        title: "Training loss".to_owned(),
        x_label: "step".to_owned(),
        y_label: "InfoNCE loss, nat".to_owned(),
        x: (1..=losses.len()).map(|i| i as f64).collect(),
        y: losses.iter().map(|l| f64::from(*l)).collect(),
    });
}

/// Embeds windows over the whole series and draws them on their first two principal components.
fn embed(
    bench: &mut Bench<'_>,
    outcome: &TrainOutcome,
    source: &mut SeriesWindows,
    bins: &Bins,
) -> Result<()> {
    let n_inputs = source.n_inputs();
    let every = source.len().div_ceil(EMBEDDED).max(1);
    let chosen: Vec<usize> = (0..source.len()).step_by(every).collect();
    let mut windows = vec![0.0; chosen.len() * n_inputs];
    for (idx, window) in chosen.iter().zip(windows.chunks_exact_mut(n_inputs)) {
        source.window(*idx, window)?;
    }
    let begun = Instant::now();
    let embeddings = {
        let _scope = lob_profiler::scope("embed");
        lob_contrastive::embed(&outcome.model, &windows)?
    };
    let rate = chosen.len() as f64 / begun.elapsed().as_secs_f64();
    let flops = rate * outcome.model.encoder.forward_flops(n_inputs) as f64;
    let gemm = bench.state.roof.gemm_flop_per_s;
    let cores = super::cores();
    let name = format!("matrix product on {cores} cores");
    let limit = Limit::of(flops, gemm.map(|g| g * cores as f64), &name, Unit::FlopPerSecond);
    bench.rec.rate("embed.windows_per_s", Unit::SamplesPerSecond, &[rate], limit);
    let pca = lob_contrastive::pca_2d(&embeddings, outcome.model.embedding_dim())?;
    let class = activity(bins, source, &chosen);
    bench.rec.artifacts.push(Artifact::Scatter {
        title: "Embeddings, coloured by how much the price moved inside the window".to_owned(),
        x_label: format!("first component, {:.0} % of the variance", pca.explained[0] * 100.0),
        y_label: format!("second component, {:.0} %", pca.explained[1] * 100.0),
        x: pca.points.iter().map(|p| f64::from(p[0])).collect(),
        y: pca.points.iter().map(|p| f64::from(p[1])).collect(),
        class,
        class_names: ["calm third", "middle third", "moving third"].map(str::to_owned).to_vec(),
    });
    Ok(())
}

/// Which third of the windows a window belongs to by the sum of its absolute mid changes.
fn activity(bins: &Bins, source: &SeriesWindows, chosen: &[usize]) -> Vec<u32> {
    let moved: Vec<f64> = chosen
        .iter()
        .map(|&idx| {
            let rows = source.start_row(idx).and_then(|from| bins.mid_steps.get(from..from + WINDOW));
            rows.map_or(f64::NAN, |rows| rows.windows(2).map(|m| (m[1] - m[0]).abs()).sum())
        })
        .collect();
    let mut sorted = moved.clone();
    sorted.sort_by(f64::total_cmp);
    let cut = |k: usize| sorted[(sorted.len() * k / 3).min(sorted.len() - 1)];
    let (low, high) = (cut(1), cut(2));
    moved.iter().map(|m| u32::from(*m >= low) + u32::from(*m >= high)).collect()
}

/// A store file as training input.
struct Bins {
    /// Rows x [`CHANNELS`].
    channels: Vec<f32>,
    segments: Vec<u32>,
    /// Mid of each row in price steps.
    mid_steps: Vec<f64>,
}

impl Bins {
    /// Reads the bins that have both sides; a one-sided one ends a segment, so that no window
    /// runs over it.
    fn read(file: &BinFile) -> Result<Self> {
        let mut columns = BinColumns::default();
        file.read(0..file.len(), &mut columns)?;
        let stored = file.labels(0..file.len())?.segment;
        let mut bins = Self { channels: Vec::new(), segments: Vec::new(), mid_steps: Vec::new() };
        let (mut breaks, mut previous): (u32, Option<(u32, f64)>) = (0, None);
        for (row, &segment) in stored.iter().enumerate() {
            let (bid, ask) = (columns.last_bid[row], columns.last_ask[row]);
            if bid == NO_PRICE || ask == NO_PRICE {
                previous = None;
                continue;
            }
            let mid = (f64::from(bid) + f64::from(ask)) / 2.0;
            let before = previous.filter(|(s, _)| *s == segment).map(|(_, mid)| mid);
            if before.is_none() {
                breaks += 1;
            }
            let change = mid - before.unwrap_or(mid);
            bins.channels.extend(channels(&columns, row, f64::from(ask) - f64::from(bid), change));
            bins.segments.push(breaks);
            bins.mid_steps.push(mid);
            previous = Some((segment, mid));
        }
        Ok(bins)
    }
}

/// Level sizes are compared as logarithms, so that one scale serves thin and deep books.
#[expect(clippy::cast_possible_truncation, reason = "features are f32")]
fn channels(columns: &BinColumns, row: usize, spread: f64, change: f64) -> [f32; CHANNELS] {
    let sizes = &columns.size[row * SLOTS..(row + 1) * SLOTS];
    let counts = &columns.count[row * SLOTS..(row + 1) * SLOTS];
    let variances = &columns.variance[row * SLOTS..(row + 1) * SLOTS];
    let (bids, asks) = sizes.split_at(LEVELS);
    let (near_bid, near_ask) = (bids[0], asks[0]);
    let (deep_bid, deep_ask): (f64, f64) = (bids.iter().sum(), asks.iter().sum());
    let lean = |bid: f64, ask: f64| (bid - ask) / (bid + ask).max(1.0);
    [
        change,
        spread,
        lean(near_bid, near_ask),
        lean(deep_bid, deep_ask),
        (near_bid + near_ask).ln_1p(),
        (deep_bid + deep_ask).ln_1p(),
        counts.iter().sum::<f64>().ln_1p(),
        variances.iter().sum::<f64>().ln_1p(),
    ]
    .map(|v| v as f32)
}
