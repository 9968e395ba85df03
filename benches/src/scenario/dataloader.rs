//! Shuffled batches of depth images, read lazily from the store.

mod large;
mod sweep;

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use lob_dataloader::{Dataset, Loader, LoaderConfig, Scratch, Shuffle, WindowSpec};
use lob_depth::{Feature, RenderSpec};
use lob_metrics::{Axis, Direction, Measurement, Summary, Unit};

pub(super) use self::{large::large, sweep::sweep};

use super::Bench;
use super::recorder::{Limit, on_threads};

/// Samples a second, by the number of features, batch size or workers.
const SERIES: &str = "load.samples_per_s";
/// Features of a sweep step, from one to all three.
const FEATURES: [Feature; 3] = [Feature::Volume, Feature::Variance, Feature::TradeCounts];

pub(super) fn images(bench: &mut Bench<'_>) -> Result<()> {
    let batches = if bench.options.quick { 60 } else { 300 };
    let batch_size = headline_batch(bench);
    bench.rec.config("batch_size", batch_size);
    bench.rec.config("workers", bench.options.workers);
    bench.rec.config("shuffle", true);

    let mut per_sample = Vec::new();
    for n_features in 1..=FEATURES.len() {
        let opened = Instant::now();
        let dataset = open(bench, n_features)?;
        if n_features == 1 {
            single_samples(bench, &dataset)?;
            single_batches(bench, &dataset, batch_size)?;
        }
        let loader = loader(bench, &dataset, batch_size, bench.options.workers)?;
        let served = serve(&loader, batches, opened)?;
        let rate = Summary::of(&served.rates).context("the loader gave no batch")?.median;
        per_sample.push(1.0 / rate);
        if n_features == 1 {
            headline(bench, &loader, &dataset, &served, rate);
        } else {
            let metric = format!("load.samples_per_s_{n_features}_features");
            let place = (SERIES, Axis::Features, n_features);
            bench.rec.rate_over(&metric, Unit::SamplesPerSecond, &served.rates, place);
        }
    }
    let extra = (per_sample[per_sample.len() - 1] - per_sample[0]) / (per_sample.len() - 1) as f64;
    bench.rec.latency_value("load.extra_feature", if extra < 0.0 { 0.0 } else { extra });
    Ok(())
}

fn headline_batch(bench: &Bench<'_>) -> usize {
    bench.options.batch_sizes.first().copied().unwrap_or(32)
}

fn open(bench: &Bench<'_>, n_features: usize) -> Result<Arc<Dataset>> {
    let fit = bench.fit()?;
    let window = WindowSpec { n_bins: fit.n_bins, stride: 1 };
    let features = FEATURES[..n_features].to_vec();
    let spec = RenderSpec { features, n_bins: fit.n_bins, ..RenderSpec::default() };
    Ok(Arc::new(Dataset::open(bench.store()?, window, spec)?))
}

/// A full shuffle on two workers, batches of 32.
fn config(bench: &Bench<'_>) -> LoaderConfig {
    LoaderConfig { shuffle: Shuffle::Full, seed: bench.options.seed, ..LoaderConfig::default() }
}

fn loader(
    bench: &Bench<'_>,
    dataset: &Arc<Dataset>,
    batch_size: usize,
    workers: usize,
) -> Result<Loader> {
    let config = LoaderConfig { batch_size, workers, ..config(bench) };
    Ok(Loader::new(Arc::clone(dataset), config)?)
}

fn headline(bench: &mut Bench<'_>, loader: &Loader, dataset: &Dataset, served: &Served, rate: f64) {
    let bytes = rate * (dataset.sample_len() * size_of::<f32>()) as f64;
    // A batch is tens of megabytes: it is written to memory, not to a cache.
    let roof = &bench.state.roof;
    let workers = bench.options.workers.max(1).min(super::cores());
    let all = "fill_all_cores_bytes_per_s";
    let limit = on_threads(roof, roof.fill_bytes_per_s, all, workers);
    let name = format!("memory fill on {workers} cores");
    let limit = Limit::of(bytes, limit, &name, Unit::BytesPerSecond);
    let (metric, unit) = (SERIES, Unit::SamplesPerSecond);
    let measured = Measurement::measured(metric, unit, Direction::HigherIsBetter, &served.rates);
    let measured = measured.over(SERIES, Axis::Features, 1);
    bench.rec.add(match &limit {
        Some(limit) => limit.on(measured),
        None => measured,
    });
    bench.rec.latency_value("load.first_batch", served.first_batch_s);
    if let Some(intervals) = Summary::of(&served.intervals_s) {
        bench.rec.latency_value("load.batch_interval_p99", intervals.p99);
    }
    bench.rec.count("load.windows", dataset.len() as f64);
    let stats = loader.stats();
    let lookups = stats.cache_hits + stats.cache_misses;
    if lookups > 0 {
        let hits = stats.cache_hits as f64 / lookups as f64;
        bench.rec.add(Measurement::measured(
            "load.cache_hits",
            Unit::Fraction,
            Direction::HigherIsBetter,
            &[hits],
        ));
    }
}

struct Served {
    rates: Vec<f64>,
    /// From one batch in hand to the next, seconds.
    intervals_s: Vec<f64>,
    first_batch_s: f64,
}

/// Batches whose rate is one sample: workers finish in bursts.
const BLOCK: usize = 5;

/// Takes `batches` batches over as many epochs as that needs and does nothing with them, so the
/// rate is the loader's own.
fn serve(loader: &Loader, batches: usize, opened: Instant) -> Result<Served> {
    let (mut rates, mut intervals_s) = (Vec::new(), Vec::new());
    let mut first_batch_s = None;
    let mut last: Option<Instant> = None;
    let (mut block_samples, mut block_batches, mut taken) = (0, 0, 0);
    let mut block_begun = Instant::now();
    'epochs: for epoch in 0.. {
        for batch in loader.epoch(epoch) {
            block_samples += batch?.n;
            let now = Instant::now();
            intervals_s.extend(last.replace(now).map(|last| (now - last).as_secs_f64()));
            first_batch_s.get_or_insert_with(|| (now - opened).as_secs_f64());
            taken += 1;
            block_batches += 1;
            if block_batches == BLOCK {
                rates.push(block_samples as f64 / (now - block_begun).as_secs_f64());
                (block_samples, block_batches, block_begun) = (0, 0, now);
            }
            if taken >= batches {
                break 'epochs;
            }
        }
    }
    let first_batch_s = first_batch_s.context("the loader gave no batch")?;
    Ok(Served { rates, intervals_s, first_batch_s })
}

/// The time to make a batch, on the calling thread: nothing prefetched passes for instant.
fn single_batches(bench: &mut Bench<'_>, dataset: &Arc<Dataset>, batch_size: usize) -> Result<()> {
    let wanted = if bench.options.quick { 40 } else { 200 };
    let loader = loader(bench, dataset, batch_size, 0)?;
    let mut samples = Vec::new();
    'epochs: for epoch in 0.. {
        let mut batches = loader.epoch(epoch);
        loop {
            let begun = Instant::now();
            let Some(batch) = batches.next() else { break };
            batch?;
            samples.push(begun.elapsed().as_secs_f64());
            if samples.len() >= wanted {
                break 'epochs;
            }
        }
    }
    bench.rec.latency("load.batch", &samples);
    let summary = Summary::of(&samples).context("the loader gave no batch")?;
    bench.rec.latency_value("load.batch_p50", summary.median);
    bench.rec.latency_value("load.batch_p99", summary.p99);
    Ok(())
}

/// Single samples in a scattered order, on the calling thread, nothing decoded beforehand.
fn single_samples(bench: &mut Bench<'_>, dataset: &Dataset) -> Result<()> {
    let reads = if bench.options.quick { 200 } else { 2000 };
    // A stride coprime to most lengths visits windows far apart from each other.
    const STRIDE: u64 = 7_919;
    let dataset = dataset.clone().with_cache_bytes(0);
    let mut scratch = Scratch::default();
    let mut out = vec![0.0; dataset.sample_len()];
    let mut samples = Vec::new();
    for i in 0..reads {
        let index = (i * STRIDE) % dataset.len();
        let begun = Instant::now();
        let _scope = lob_scope::scope("single_sample");
        dataset.get(index, &mut scratch, &mut out)?;
        samples.push(begun.elapsed().as_secs_f64());
    }
    bench.rec.latency("load.sample", &samples);
    let summary = Summary::of(&samples);
    bench.rec.latency_value("load.sample_p50", summary.map_or(f64::NAN, |s| s.median));
    bench.rec.latency_value("load.sample_p99", summary.map_or(f64::NAN, |s| s.p99));
    Ok(())
}
