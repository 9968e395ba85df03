//! Shuffled batches of depth images, read lazily from the store.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use lob_dataloader::{Dataset, Loader, LoaderConfig, Scratch, Shuffle, WindowSpec};
use lob_depth::{Feature, RenderSpec};
use lob_metrics::{Direction, Measurement, Summary, Unit};

use super::Bench;
use super::recorder::Limit;

/// Features of a sweep step, from one to all three.
const FEATURES: [Feature; 3] = [Feature::Volume, Feature::Variance, Feature::TradeCounts];

pub(super) fn images(bench: &mut Bench<'_>) -> Result<()> {
    let fit = bench.fit()?;
    let path = bench.store()?;
    let window = WindowSpec { n_bins: fit.n_bins, stride: 1 };
    let batches = if bench.options.quick { 40 } else { 200 };
    let batch_size = bench.options.batch_sizes.first().copied().unwrap_or(32);
    bench.rec.config("batch_size", batch_size);
    bench.rec.config("workers", bench.options.workers);
    bench.rec.config("shuffle", true);

    let mut per_sample = Vec::new();
    for n_features in 1..=FEATURES.len() {
        let features = FEATURES[..n_features].to_vec();
        let spec = RenderSpec { features, n_bins: fit.n_bins, ..RenderSpec::default() };
        let opened = Instant::now();
        let dataset = Arc::new(Dataset::open(&path, window, spec)?);
        let config = LoaderConfig {
            batch_size,
            workers: bench.options.workers,
            shuffle: Shuffle::Full,
            seed: bench.options.seed,
            ..LoaderConfig::default()
        };
        if n_features == 1 {
            single_samples(bench, &dataset)?;
        }
        let loader = Loader::new(Arc::clone(&dataset), config)?;
        let served = serve(&loader, batches, opened)?;
        let rate = Summary::of(&served.rates).context("the loader gave no batch")?.median;
        per_sample.push(1.0 / rate);
        if n_features == 1 {
            headline(bench, &loader, &dataset, &served, rate);
        } else {
            let metric = format!("load.samples_per_s_{n_features}_features");
            bench.rec.rate(&metric, Unit::SamplesPerSecond, &served.rates, None);
        }
    }
    let extra = (per_sample[per_sample.len() - 1] - per_sample[0]) / (per_sample.len() - 1) as f64;
    bench.rec.latency_value("load.extra_feature", extra.max(0.0));
    Ok(())
}

fn headline(bench: &mut Bench<'_>, loader: &Loader, dataset: &Dataset, served: &Served, rate: f64) {
    let bytes = rate * (dataset.sample_len() * size_of::<f32>()) as f64;
    // A batch is tens of megabytes: it is written to memory, not to a cache.
    let fill = bench.state.roof.fill_bytes_per_s;
    let workers = bench.options.workers.max(1).min(super::cores());
    let limit = fill.map(|f| f * workers as f64);
    let name = format!("memory fill on {workers} cores");
    let limit = Limit::of(bytes, limit, &name, Unit::BytesPerSecond);
    bench.rec.rate("load.samples_per_s", Unit::SamplesPerSecond, &served.rates, limit);
    bench.rec.latency("load.batch", &served.batch_s);
    let summary = Summary::of(&served.batch_s);
    bench.rec.latency_value("load.batch_p50", summary.map_or(f64::NAN, |s| s.median));
    bench.rec.latency_value("load.batch_p99", summary.map_or(f64::NAN, |s| s.p99));
    bench.rec.latency_value("load.first_batch", served.first_batch_s);
    let stats = loader.stats();
    let wait = stats.wait_s / served.elapsed_s;
    bench.rec.add(Measurement::measured(
        "load.wait_share",
        Unit::Fraction,
        Direction::Neutral,
        &[wait.min(1.0)],
    ));
    bench.rec.count("load.windows", dataset.len() as f64);
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
    batch_s: Vec<f64>,
    first_batch_s: f64,
    elapsed_s: f64,
}

/// Takes `batches` batches over as many epochs as that needs. Rates are over blocks of batches, so
/// that the prefetched ones do not pass for instant.
fn serve(loader: &Loader, batches: usize, opened: Instant) -> Result<Served> {
    const BLOCK: usize = 5;
    let mut batch_s = Vec::new();
    let mut rates = Vec::new();
    let mut first_batch_s = None;
    let (mut block_samples, mut block_batches) = (0, 0);
    let begun = Instant::now();
    let (mut last, mut block_begun) = (begun, begun);
    'epochs: for epoch in 0.. {
        for batch in loader.epoch(epoch) {
            let n = {
                let _scope = lob_profiler::scope("next_batch");
                batch?.n
            };
            let now = Instant::now();
            if first_batch_s.is_none() {
                first_batch_s = Some((now - opened).as_secs_f64());
            } else {
                batch_s.push((now - last).as_secs_f64());
            }
            last = now;
            block_samples += n;
            block_batches += 1;
            if block_batches == BLOCK {
                rates.push(block_samples as f64 / (now - block_begun).as_secs_f64());
                (block_samples, block_batches, block_begun) = (0, 0, now);
            }
            if batch_s.len() >= batches {
                break 'epochs;
            }
        }
    }
    Ok(Served {
        rates,
        batch_s,
        first_batch_s: first_batch_s.context("the loader gave no batch")?,
        elapsed_s: begun.elapsed().as_secs_f64(),
    })
}

/// Single samples in a scattered order, on the calling thread.
fn single_samples(bench: &mut Bench<'_>, dataset: &Dataset) -> Result<()> {
    let reads = if bench.options.quick { 200 } else { 2000 };
    // A stride coprime to most lengths visits windows far apart from each other.
    const STRIDE: u64 = 7_919;
    let mut scratch = Scratch::default();
    let mut out = vec![0.0; dataset.sample_len()];
    let mut samples = Vec::new();
    for i in 0..reads {
        let index = (i * STRIDE) % dataset.len();
        let begun = Instant::now();
        let _scope = lob_profiler::scope("single_sample");
        dataset.get(index, &mut scratch, &mut out)?;
        samples.push(begun.elapsed().as_secs_f64());
    }
    bench.rec.latency("load.sample", &samples);
    let summary = Summary::of(&samples);
    bench.rec.latency_value("load.sample_p50", summary.map_or(f64::NAN, |s| s.median));
    bench.rec.latency_value("load.sample_p99", summary.map_or(f64::NAN, |s| s.p99));
    Ok(())
}
