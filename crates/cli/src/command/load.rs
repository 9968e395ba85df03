//! `lob load`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use lob_dataloader::{Dataset, Loader, LoaderConfig, Shuffle, WindowSpec};
use lob_depth::{Feature, RenderSpec};
use lob_metrics::{Summary, Unit};

use crate::{interrupt, output};

/// Serve a store in batches and measure it
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob load store --batch-size 32 --workers 2 --shuffle --batches 100
  lob load store --features volume,variance,trade_counts --json")]
pub(crate) struct Args {
    /// A store, or one of its files
    store: PathBuf,
    /// Samples in a batch
    #[arg(long, default_value_t = 32)]
    batch_size: usize,
    /// Worker threads; 0 loads on the calling thread
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Limit of finished batches waiting, in bytes
    #[arg(long, default_value_t = 256 << 20)]
    prefetch_bytes: usize,
    /// Comma-separated: volume, variance, trade_counts
    #[arg(long, value_delimiter = ',', default_value = "volume")]
    features: Vec<Feature>,
    /// A new permutation each epoch
    #[arg(long)]
    shuffle: bool,
    /// Seed of the permutation
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Epoch to serve first
    #[arg(long, default_value_t = 0)]
    epoch: u64,
    /// Batches to serve, over as many epochs as that takes; one epoch by default
    #[arg(long)]
    batches: Option<u64>,
    /// Part of the samples to use, in (0, 1]
    #[arg(long, default_value_t = 1.0)]
    sample_fraction: f64,
    /// Leave out a last batch that is not full
    #[arg(long)]
    drop_last: bool,
    /// Number of this process among those that train together
    #[arg(long, default_value_t = 0)]
    rank: u64,
    /// Number of such processes
    #[arg(long, default_value_t = 1)]
    world_size: u64,
    /// Bins of an image
    #[arg(long, default_value_t = 500)]
    bins: usize,
    /// Bins from one window to the next
    #[arg(long, default_value_t = 1)]
    stride: usize,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    let stop = interrupt::watch()?;
    let window = WindowSpec { n_bins: args.bins, stride: args.stride };
    let spec =
        RenderSpec { features: args.features.clone(), n_bins: args.bins, ..RenderSpec::default() };
    let dataset = Arc::new(Dataset::open(&args.store, window, spec)?);
    let config = LoaderConfig {
        batch_size: args.batch_size,
        workers: args.workers,
        prefetch_bytes: args.prefetch_bytes,
        shuffle: if args.shuffle { Shuffle::Full } else { Shuffle::Sequential },
        seed: args.seed,
        drop_last: args.drop_last,
        sample_fraction: args.sample_fraction,
        rank: args.rank,
        world_size: args.world_size,
        ..LoaderConfig::default()
    };
    let loader = Loader::new(Arc::clone(&dataset), config)?;
    let wanted = args.batches.unwrap_or_else(|| loader.n_batches());
    if loader.n_batches() == 0 {
        bail!("no full batch of {} samples\nhint: leave out --drop-last", args.batch_size);
    }
    let begun = Instant::now();
    let (mut batch_s, mut samples, mut last) = (Vec::new(), 0u64, begun);
    'epochs: for epoch in args.epoch.. {
        for batch in loader.epoch(epoch) {
            samples += batch?.n as u64;
            batch_s.push(last.elapsed().as_secs_f64());
            last = Instant::now();
            if batch_s.len() as u64 >= wanted {
                break 'epochs;
            }
            if stop.load(std::sync::atomic::Ordering::Relaxed) {
                bail!("interrupted after {} batches", batch_s.len());
            }
        }
    }
    let elapsed_s = begun.elapsed().as_secs_f64();
    let summary = Summary::of(&batch_s).context("the loader gave no batch")?;
    let stats = loader.stats();
    let rate = samples as f64 / elapsed_s;
    if args.json {
        output::print_json(&serde_json::json!({
            "samples": samples,
            "windows": dataset.len(),
            "batches": batch_s.len(),
            "elapsed_s": elapsed_s,
            "samples_per_s": rate,
            "batch_ms": { "p50": summary.median * 1e3, "p99": summary.p99 * 1e3 },
            "data_wait_share": (stats.wait_s / elapsed_s).min(1.0),
            "bytes_read": stats.bytes_read,
            "cache_hits": stats.cache_hits,
            "cache_misses": stats.cache_misses,
            "peak_rss_bytes": lob_profiler::peak_rss_bytes().ok(),
            "order_sha256": loader.order_sha256(args.epoch),
        }))?;
    } else if !quiet {
        output::print_line(&format!(
            "{samples} samples in {}: {}, batch p50 {}, p99 {}",
            Unit::Seconds.format(elapsed_s),
            Unit::SamplesPerSecond.format(rate),
            Unit::Seconds.format(summary.median),
            Unit::Seconds.format(summary.p99),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
