//! The loader over batch sizes, workers, features, orders and sizes of the data set.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use lob_dataloader::{Dataset, Loader, LoaderConfig, Sampler, Shuffle};
use lob_depth::Dtype;
use lob_metrics::{Axis, Direction, Measurement, Severity, Summary, Unit};

use super::{BLOCK, SERIES, config, open, serve};
use crate::scenario::Bench;

/// Sizes of the data set, in bytes of the images had they been stored (seed 000).
const SIZES: [(&str, u64); 4] = [
    ("100MB", 100_000_000),
    ("500MB", 500_000_000),
    ("2GB", 2_000_000_000),
    ("10GB", 10_000_000_000),
];
/// Turns of one worker and two, of a loader and of a bare fill: neighbours in time are compared.
const TURNS: usize = 5;

pub(in crate::scenario) fn sweep(bench: &mut Bench<'_>) -> Result<()> {
    let dataset = open(bench, 1)?;
    for batch_size in [16, 32, 64, 128] {
        let metric = format!("load.samples_per_s_batch_{batch_size}");
        let rates = rates(bench, &dataset, LoaderConfig { batch_size, ..config(bench) })?;
        let place = (SERIES, Axis::Batch, batch_size);
        bench.rec.rate_over(&metric, Unit::SamplesPerSecond, &rates, place);
    }
    let four = rates(bench, &dataset, LoaderConfig { workers: 4, ..config(bench) })?;
    let workers = |n| (SERIES, Axis::Workers, n);
    let unit = Unit::SamplesPerSecond;
    bench.rec.rate_over("load.samples_per_s_workers_4", unit, &four, workers(4));
    scaling(bench, &dataset)?;
    for (name, shuffle) in [
        ("sequential", Shuffle::Sequential),
        ("block_shuffle", Shuffle::Blocks(64)),
        ("random", Shuffle::Full),
    ] {
        let metric = format!("load.samples_per_s_{name}");
        run(bench, &metric, &dataset, LoaderConfig { shuffle, ..config(bench) })?;
    }
    for dtype in [Dtype::F16, Dtype::Bf16, Dtype::U8] {
        let metric = format!("load.samples_per_s_{dtype}");
        run(bench, &metric, &dataset, LoaderConfig { dtype, ..config(bench) })?;
    }
    sizes(bench, &dataset)
}

/// Batches of one setting; gives the median rate.
fn run(
    bench: &mut Bench<'_>,
    metric: &str,
    dataset: &Arc<Dataset>,
    config: LoaderConfig,
) -> Result<f64> {
    let rates = rates(bench, dataset, config)?;
    bench.rec.rate(metric, Unit::SamplesPerSecond, &rates, None);
    Ok(Summary::of(&rates).context("the loader gave no batch")?.median)
}

/// Samples a second of each batch of one setting.
fn rates(bench: &Bench<'_>, dataset: &Arc<Dataset>, config: LoaderConfig) -> Result<Vec<f64>> {
    let batches = if bench.options.quick { 20 } else { 100 };
    let loader = Loader::new(Arc::clone(dataset), config)?;
    Ok(serve(&loader, batches, Instant::now())?.rates)
}

/// One worker against two, beside one thread and two that fill the same buffers with a constant:
/// what memory does not allow no loader can.
fn scaling(bench: &mut Bench<'_>, dataset: &Arc<Dataset>) -> Result<()> {
    let batches = if bench.options.quick { 20 } else { 60 };
    let config = config(bench);
    let n_buffers = config.prefetch_batches(dataset.sample_len()) + 1;
    let mut buffers = vec![
        vec![0.0_f32; config.batch_size * dataset.sample_len()];
        n_buffers.next_multiple_of(2)
    ];
    // The first use of a buffer is the system's work: it hands out its pages one by one.
    let warm_blocks = n_buffers.div_ceil(BLOCK);
    let mut rates = [const { Vec::new() }; 4];
    let [one, two, fill_one, fill_two] = &mut rates;
    for _ in 0..TURNS {
        for (workers, rates) in [(1, &mut *one), (2, &mut *two)] {
            let config = LoaderConfig { workers, ..config.clone() };
            let loader = Loader::new(Arc::clone(dataset), config)?;
            let served = serve(&loader, batches + warm_blocks * BLOCK, Instant::now())?;
            let warm = served.rates.get(warm_blocks..).context("the loader gave no batch")?;
            rates.push(Summary::of(warm).context("the loader gave no batch")?.median);
        }
        for (threads, rates) in [(1, &mut *fill_one), (2, &mut *fill_two)] {
            rates.push(fill(&mut buffers, threads, batches, config.batch_size));
        }
    }
    let median = |rates: &[f64]| Summary::of(rates).map_or(f64::NAN, |s| s.median);
    let (scaling, of_fill) = (median(two) / median(one), median(fill_two) / median(fill_one));
    let filled = "load.filled_per_s";
    for (metric, rates, place) in [
        ("load.samples_per_s_workers_1", one, (SERIES, Axis::Workers, 1)),
        ("load.samples_per_s_workers_2", two, (SERIES, Axis::Workers, 2)),
        ("load.filled_per_s_threads_1", fill_one, (filled, Axis::Threads, 1)),
        ("load.filled_per_s_threads_2", fill_two, (filled, Axis::Threads, 2)),
    ] {
        bench.rec.rate_over(metric, Unit::SamplesPerSecond, rates, place);
    }
    for (metric, value) in [
        ("load.worker_scaling", scaling),
        ("load.fill_scaling", of_fill),
        ("load.parallel_efficiency", scaling / 2.0),
        ("load.share_of_fill", median(two) / median(fill_two)),
    ] {
        bench.rec.add(Measurement::measured(
            metric,
            Unit::Fraction,
            Direction::HigherIsBetter,
            &[value],
        ));
    }
    let text = format!(
        "two workers load {scaling:.2} times as fast as one; two threads that only fill the same \
         buffers with a constant are {of_fill:.2} times as fast as one, and the loader reaches \
         {:.0} % of their speed",
        median(two) / median(fill_two) * 100.0
    );
    bench.rec.finding(Severity::Info, text);
    Ok(())
}

/// Samples filled a second by threads that share the buffers out between them.
fn fill(buffers: &mut [Vec<f32>], threads: usize, batches: usize, batch_size: usize) -> f64 {
    let share = buffers.len() / threads;
    let each = batches.div_ceil(threads);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for part in buffers.chunks_mut(share.max(1)) {
            scope.spawn(move || {
                for turn in 0..each {
                    let at = turn % part.len();
                    black_box(&mut part[at][..]).fill(black_box(0.5));
                }
            });
        }
    });
    (each * threads * batch_size) as f64 / begun.elapsed().as_secs_f64()
}

/// Data sets of several sizes: the first windows, and as many of them as the size asks for.
fn sizes(bench: &mut Bench<'_>, dataset: &Arc<Dataset>) -> Result<()> {
    let sample_bytes = (dataset.sample_len() * size_of::<f32>()) as u64;
    for (name, bytes) in SIZES {
        let n = bytes.div_ceil(sample_bytes);
        let have = n.min(dataset.len());
        if have < n {
            let text = format!(
                "the store's images are {} in all: the size {name} was measured with these",
                Unit::Bytes.format((dataset.len() * sample_bytes) as f64)
            );
            bench.rec.finding(Severity::Info, text);
        }
        let windows: Arc<[u64]> = (0..have).collect();
        let begun = Instant::now();
        let config = LoaderConfig { sampler: Sampler::Subset(windows), ..config(bench) };
        let rate = run(bench, &format!("load.samples_per_s_size_{name}"), dataset, config)?;
        // What an epoch over all of it takes at this rate, and the memory held meanwhile.
        bench.rec.latency_value(&format!("load.epoch_size_{name}"), have as f64 / rate);
        if let Ok(rss) = lob_scope::rss_bytes() {
            let metric = format!("load.rss_size_{name}");
            let (unit, direction) = (Unit::Bytes, Direction::LowerIsBetter);
            bench.rec.add(Measurement::measured(&metric, unit, direction, &[rss as f64]));
        }
        tracing::debug!(name, elapsed_s = begun.elapsed().as_secs_f64(), "size served");
    }
    Ok(())
}
