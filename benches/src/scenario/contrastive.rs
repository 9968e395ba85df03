//! A few contrastive training steps, on depth images and on sequences of tick bins, and the
//! embeddings they give.

mod hardware;
mod model;
mod shape;

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use lob_contrastive::{
    BIN_CHANNELS, BinSeries, EncoderConfig, ImageSpec, ImageWindows, Prefetch, RunOptions,
    SeriesSpec, SeriesWindows, TrainConfig, TrainOutcome, WindowScratch, WindowSource,
};
use lob_dataloader::{Dataset, Scratch, WindowSpec};
use lob_depth::RenderSpec;
use lob_metrics::{Artifact, Direction, Measurement, Role, Severity, Summary, Unit};
use lob_store::{BinFile, Store};

use super::Bench;
use super::recorder::{Limit, on_threads};
pub(super) use hardware::hardware;
pub(super) use model::{model, scaling};

/// Bins of a training window: short, because the two windows of a pair must not overlap.
const WINDOW: usize = 64;

/// Bins from one window to the next.
const STRIDE: usize = 4;

/// Price rows and bins averaged into one input, so that an MLP can take an image.
const POOL: (usize, usize) = (6, 4);

/// Most windows embedded for the scatter.
const EMBEDDED: usize = 1000;

/// Trains on depth images, rendered from the store as the loader does.
pub(super) fn train(bench: &mut Bench<'_>) -> Result<()> {
    let store = Store::open(bench.store()?)?;
    let file = store.files().iter().max_by_key(|f| f.len()).context("the store is empty")?;
    let mids = mids(file)?;
    let window = WindowSpec { n_bins: WINDOW, stride: STRIDE };
    let spec = RenderSpec { n_bins: WINDOW, ..RenderSpec::default() };
    let dataset = Dataset::open(file.path(), window, spec)?;
    let image = ImageSpec { row_pool: POOL.0, bin_pool: POOL.1, max_gap: WINDOW / STRIDE };
    let source = ImageWindows::new(dataset.clone(), image)?;
    // The scale is fitted on the first 70 %, as an evaluation in time order needs it.
    let fit = 0..(source.len() * 7 / 10).max(1);
    let source = Arc::new(source.standardised(fit)?);
    bench.rec.config("symbol", file.meta().symbol.clone());
    bench
        .rec
        .config("input", format!("depth images, 402 x {WINDOW}, averaged {} x {}", POOL.0, POOL.1));
    let (mut scratch, mut buffer) = (Scratch::default(), vec![0.0; dataset.sample_len()]);
    let first_row = |idx: usize| {
        let meta = dataset.get(idx as u64, &mut scratch, &mut buffer).ok()?;
        usize::try_from(meta.row).ok()
    };
    run(bench, "train", source, &mids, first_row)
}

/// The mid of every row in price steps; NaN where a side is absent.
fn mids(file: &Arc<BinFile>) -> Result<Vec<f64>> {
    let mut mids = vec![f64::NAN; usize::try_from(file.len())?];
    for row in BinSeries::read(std::slice::from_ref(file))?.rows {
        mids[usize::try_from(row.row)?] = row.mid_steps;
    }
    Ok(mids)
}

/// Trains on sequences of bin features, no image in between.
pub(super) fn series(bench: &mut Bench<'_>) -> Result<()> {
    let (source, mid_steps) = series_windows(bench)?;
    let starts: Vec<Option<usize>> = (0..source.len()).map(|idx| source.start_row(idx)).collect();
    run(bench, "series", Arc::new(source), &mid_steps, |idx| starts[idx])
}

/// Windows of bin features of the busiest instrument, and its mids by row.
fn series_windows(bench: &mut Bench<'_>) -> Result<(SeriesWindows, Vec<f64>)> {
    let store = Store::open(bench.store()?)?;
    let file = store.files().iter().max_by_key(|f| f.len()).context("the store is empty")?;
    let bins = {
        let _scope = lob_scope::scope("read_bins");
        BinSeries::read(std::slice::from_ref(file))?
    };
    let spec = SeriesSpec { window: WINDOW, stride: STRIDE, max_gap: WINDOW };
    // The scale is fitted on the first 70 %, as an evaluation in time order needs it.
    let fit_rows = 0..bins.segments.len() * 7 / 10;
    let n_channels = BIN_CHANNELS.len();
    let source = SeriesWindows::new(bins.values, n_channels, &bins.segments, fit_rows, spec)?;
    bench.rec.config("symbol", file.meta().symbol.clone());
    bench.rec.config("input", format!("bin features, {WINDOW} bins x {n_channels} channels"));
    Ok((source, bins.rows.iter().map(|row| row.mid_steps).collect()))
}

fn settings(bench: &Bench<'_>) -> TrainConfig {
    TrainConfig {
        seed: bench.options.seed,
        steps: if bench.options.quick { 200 } else { 1000 },
        batch_size: bench.options.batch_sizes.first().copied().unwrap_or(32),
        encoder: EncoderConfig::medium(),
        device: bench.options.device,
        ignore_radius: WINDOW as u64,
        ..TrainConfig::default()
    }
}

/// The samples without the first steps, which warm caches and pools up.
fn warm(samples: &[f64]) -> Vec<f64> {
    samples[(samples.len() / 6).min(10)..].to_vec()
}

/// Trains, reports under `name`, embeds and draws. `mids` are in price steps, by row;
/// `first_row` tells where a window begins among them.
fn run(
    bench: &mut Bench<'_>,
    name: &str,
    source: Arc<dyn WindowSource>,
    mids: &[f64],
    first_row: impl FnMut(usize) -> Option<usize>,
) -> Result<()> {
    let config = settings(bench);
    bench.rec.config("encoder", "medium");
    bench.rec.config("batch_size", config.batch_size);
    bench.rec.config("workers", bench.options.workers);
    bench.rec.config("windows", source.len());
    let outcome = {
        let _scope = lob_scope::scope("train");
        let prefetch = Prefetch { workers: bench.options.workers, ..Prefetch::for_training() };
        let options = RunOptions { prefetch, ..RunOptions::default() };
        lob_contrastive::train_with(Arc::clone(&source), &config, options)?
    };
    let n_inputs = source.n_inputs();
    report(bench, name, &outcome, &config, n_inputs);
    embed(bench, name, &outcome, &*source, mids, first_row)
}

fn report(
    bench: &mut Bench<'_>,
    name: &str,
    outcome: &TrainOutcome,
    config: &TrainConfig,
    n_inputs: usize,
) {
    let metric = |of: &str| format!("{name}.{of}");
    let step_s = warm(&outcome.step_s);
    bench.rec.latency(&metric("step"), &step_s);
    bench.rec.latency(&metric("batch_preparation"), &warm(&outcome.batch_s));
    bench.rec.latency(&metric("forward"), &warm(&outcome.forward_s));
    bench.rec.latency(&metric("info_nce"), &warm(&outcome.loss_s));
    bench.rec.latency(&metric("backward"), &warm(&outcome.backward_s));
    bench.rec.latency(&metric("optimiser"), &warm(&outcome.optimiser_s));
    let rates: Vec<f64> = step_s.iter().map(|s| config.batch_size as f64 / s).collect();
    let step_flops = config.encoder.step_flops(config.batch_size, n_inputs) as f64;
    let median_step = Summary::of(&step_s).map_or(f64::NAN, |s| s.median);
    let limit = gemm_limit(bench, step_flops / median_step);
    bench.rec.rate(&metric("pairs_per_s"), Unit::SamplesPerSecond, &rates, limit);
    let total = |samples: &[f64]| samples.iter().sum::<f64>();
    let wait = total(&outcome.wait_s) / total(&outcome.step_s);
    let wait = Measurement::measured(
        &metric("data_wait_share"),
        Unit::Fraction,
        Direction::LowerIsBetter,
        &[wait],
    );
    bench.rec.add(wait.with_role(Role::DataWait));
    bench.rec.count(&metric("parameters"), config.encoder.n_params(n_inputs) as f64);
    let plain = |of: &str, value: f64, direction| {
        Measurement::measured(of, Unit::Dimensionless, direction, &[value])
    };
    let losses = &outcome.losses;
    let tail = &losses[losses.len() - (losses.len() / 6).clamp(1, 10)..];
    let last = f64::from(tail.iter().sum::<f32>()) / tail.len() as f64;
    bench.rec.add(plain(&metric("first_loss"), f64::from(losses[0]), Direction::Neutral));
    bench.rec.add(plain(&metric("last_loss"), last, Direction::LowerIsBetter));
    bench.rec.add(plain(&metric("top1"), outcome.metrics.top1, Direction::HigherIsBetter));
    bench.rec.add(plain(
        &metric("effective_rank"),
        outcome.metrics.effective_rank,
        Direction::HigherIsBetter,
    ));
    bench.rec.config("device", format!("{:?}", outcome.device.device).to_lowercase());
    if let Some(fallback) = &outcome.device.fallback {
        bench.rec.finding(Severity::Info, fallback.clone());
    }
    match &outcome.metrics.collapse {
        Some(why) => {
            bench.rec.finding(Severity::Warning, format!("the embeddings look collapsed: {why}"))
        }
        None => bench.rec.finding(
            Severity::Info,
            format!(
                "loss {:.3} after the first step, {last:.3} at the end; no sign of collapse",
                losses[0]
            ),
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
    name: &str,
    outcome: &TrainOutcome,
    source: &dyn WindowSource,
    mids: &[f64],
    mut first_row: impl FnMut(usize) -> Option<usize>,
) -> Result<()> {
    let n_inputs = source.n_inputs();
    let every = source.len().div_ceil(EMBEDDED).max(1);
    let chosen: Vec<usize> = (0..source.len()).step_by(every).collect();
    let mut windows = vec![0.0; chosen.len() * n_inputs];
    let mut scratch = WindowScratch::default();
    for (idx, window) in chosen.iter().zip(windows.chunks_exact_mut(n_inputs)) {
        source.window(*idx, &mut scratch, window)?;
    }
    let begun = Instant::now();
    let embeddings = {
        let _scope = lob_scope::scope("embed");
        lob_contrastive::embed(&outcome.model, &windows)?
    };
    let rate = chosen.len() as f64 / begun.elapsed().as_secs_f64();
    let flops = rate * outcome.model.encoder.forward_flops(n_inputs) as f64;
    let limit = gemm_limit(bench, flops);
    bench.rec.rate(
        &format!("{name}.embedded_windows_per_s"),
        Unit::SamplesPerSecond,
        &[rate],
        limit,
    );
    let pca = lob_contrastive::pca_2d(&embeddings, outcome.model.embedding_dim())?;
    let moved = chosen.iter().map(|&idx| {
        let rows = first_row(idx).and_then(|from| mids.get(from..from + WINDOW));
        rows.map_or(f64::NAN, |rows| rows.windows(2).map(|m| (m[1] - m[0]).abs()).sum())
    });
    let class = thirds(&moved.collect::<Vec<f64>>());
    bench.rec.artifacts.push(Artifact::Scatter {
        title: "Embeddings, coloured by how much the price moved inside the window".to_owned(),
        x_label: format!("first component, {:.0} % of the variance", pca.explained[0] * 100.0),
        y_label: format!("second component, {:.0} %", pca.explained[1] * 100.0),
        x: pca.points.iter().map(|p| f64::from(p[0])).collect(),
        y: pca.points.iter().map(|p| f64::from(p[1])).collect(),
        class,
        class_names: ["calm third", "middle third", "moving third", "not known"]
            .map(str::to_owned)
            .to_vec(),
    });
    Ok(())
}

/// Which third a value belongs to, lowest first; 3 where it is not known.
fn thirds(values: &[f64]) -> Vec<u32> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let cut = |k: usize| sorted.get(sorted.len() * k / 3).copied().unwrap_or(f64::NAN);
    let (low, high) = (cut(1), cut(2));
    values
        .iter()
        .map(|v| if v.is_finite() { u32::from(*v >= low) + u32::from(*v >= high) } else { 3 })
        .collect()
}

/// FLOP per second against what all cores could do in a matrix product.
fn gemm_limit(bench: &Bench<'_>, flops: f64) -> Option<Limit> {
    let cores = super::cores();
    let name = format!("matrix product on {cores} cores");
    let roof = &bench.state.roof;
    let gemm = on_threads(roof, roof.gemm_flop_per_s, "gemm_all_cores_flop_per_s", cores);
    Limit::of(flops, gemm, &name, Unit::FlopPerSecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirds_by_value() {
        assert_eq!(thirds(&[3.0, 1.0, 2.0]), [2, 0, 1]);
        assert_eq!(thirds(&[1.0, f64::NAN]), [2, 3]);
        assert_eq!(thirds(&[]), [0_u32; 0]);
    }
}
