//! `lob load`.

mod leak;
mod monitor;
mod pace;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use lob_dataloader::{
    Batch, Dataset, Epoch, Loader, LoaderConfig, LoaderError, LoaderState, LoaderStats, Sampler,
    Shuffle, Stop, WindowSpec,
};
use lob_depth::{Dtype, Feature, Normalise, RenderSpec};
use lob_metrics::{Summary, Unit};
use lob_profiler::{LeakReport, LeakVerdict};
use lob_store::Store;

use crate::trace::TraceArgs;
use crate::{interrupt, output};
use leak::LeakWatch;
use monitor::Monitor;
use pace::Pace;

/// Serve a store in batches and measure it
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob load store --batch-size 32 --workers 2 --shuffle --batches 100
  lob load store --preset throughput --balanced --monitor-every 100
  lob load store --shuffle --resume-state epoch=0,position=640,seed=0
  lob load store --features volume,variance,trade_counts --dtype f16 --json
  lob load store --shuffle --epochs 10
  lob load store --label forward_10 --json

The state printed at the end resumes exactly after the last batch. With --epochs the memory is
watched: if it grows to the end, the exit code is 1.")]
pub(crate) struct Args {
    /// A store, or one of its files
    store: PathBuf,
    /// Where options that are not given come from
    #[arg(long, value_enum, default_value = "default")]
    preset: Preset,
    /// Samples in a batch [default: the preset's, 32]
    #[arg(long)]
    batch_size: Option<usize>,
    /// Worker threads; 0 loads on the calling thread [default: the preset's, 2]
    #[arg(long)]
    workers: Option<usize>,
    /// Limit of finished batches waiting, in bytes [default: the preset's, 256 MiB]
    #[arg(long)]
    prefetch_bytes: Option<usize>,
    /// Limit of the same in batches for each worker
    #[arg(long)]
    prefetch_factor: Option<usize>,
    /// Comma-separated: volume, variance, trade_counts, order_flow_imbalance, microprice
    #[arg(long, value_delimiter = ',', default_value = "volume")]
    features: Vec<Feature>,
    /// Cell type of the images: f32, f16, bf16 or u8
    #[arg(long, default_value = "f32")]
    dtype: Dtype,
    /// max, none, signed-log or constant=X
    #[arg(long, default_value = "max")]
    normalise: Normalise,
    /// A new permutation each epoch
    #[arg(long)]
    shuffle: bool,
    /// Permute blocks of N neighbouring samples, and the samples inside each
    #[arg(long, value_name = "N", conflicts_with = "shuffle")]
    shuffle_block: Option<u64>,
    /// The label of samples, by its name; `lob inspect` lists those of a store [default: of the
    /// forward labels in bins with classes that every file has the nearest from 10 bins on, else the
    /// farthest; reversal where there is none]
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// Every class equally often; the samples of small classes come again
    #[arg(long)]
    balanced: bool,
    /// Seed of every random choice
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Epoch to serve first
    #[arg(long, default_value_t = 0)]
    epoch: u64,
    /// Continue at a state printed before; sets epoch and seed. After the end of an epoch comes
    /// the next one
    #[arg(long, value_name = "STATE", conflicts_with_all = ["epoch", "seed"])]
    resume_state: Option<LoaderState>,
    /// Continue at a state of another store too: other records, settings or rows
    #[arg(long, requires = "resume_state")]
    allow_other_data: bool,
    /// Batches to serve, over as many epochs as that takes; one epoch by default
    #[arg(long)]
    batches: Option<u64>,
    /// Whole epochs to serve, with a check for leaks of memory
    #[arg(long, value_name = "N", conflicts_with = "batches")]
    epochs: Option<u64>,
    /// Part of the samples to use, in (0, 1] [default: the preset's, 1]
    #[arg(long)]
    sample_fraction: Option<f64>,
    /// Leave out a last batch that is not full
    #[arg(long)]
    drop_last: bool,
    /// Number of this process among those that train together
    #[arg(long, default_value_t = 0)]
    rank: u64,
    /// Number of such processes
    #[arg(long, default_value_t = 1)]
    world_size: u64,
    /// Lock the batch buffers in physical memory
    #[arg(long)]
    pin_memory: bool,
    /// End the worker threads after each epoch
    #[arg(long)]
    no_persistent_workers: bool,
    /// Limit of decoded bins kept, in bytes; 0 for none [default: 128 MiB]
    #[arg(long)]
    cache_bytes: Option<usize>,
    /// Bins of an image
    #[arg(long, default_value_t = 500)]
    bins: usize,
    /// Bins from one window to the next
    #[arg(long, default_value_t = 1)]
    stride: usize,
    /// A line of figures on standard error after every N batches, from the tenth on
    #[arg(long, value_name = "N")]
    monitor_every: Option<u64>,
    #[command(flatten)]
    pub(crate) trace: TraceArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Preset {
    Default,
    /// 8 GB of memory: 4 workers, a tenth of the samples
    #[value(name = "8gb")]
    Optimal8gb,
    /// Speed: batches of 64, 8 workers, full batches only
    Throughput,
    /// Little memory: batches of 16, a twentieth of the samples
    LowMemory,
}

impl Args {
    fn config(&self) -> LoaderConfig {
        let preset = match self.preset {
            Preset::Default => LoaderConfig::default(),
            Preset::Optimal8gb => LoaderConfig::optimal_8gb(),
            Preset::Throughput => LoaderConfig::throughput(),
            Preset::LowMemory => LoaderConfig::low_memory(),
        };
        LoaderConfig {
            batch_size: self.batch_size.unwrap_or(preset.batch_size),
            workers: self.workers.unwrap_or(preset.workers),
            prefetch_bytes: self.prefetch_bytes.unwrap_or(preset.prefetch_bytes),
            prefetch_factor: self.prefetch_factor.or(preset.prefetch_factor),
            sampler: if self.balanced { Sampler::Balanced } else { preset.sampler },
            shuffle: match self.shuffle_block {
                Some(block) => Shuffle::Blocks(block),
                None if self.shuffle => Shuffle::Full,
                None => Shuffle::Sequential,
            },
            seed: self.resume_state.map_or(self.seed, |state| state.seed),
            drop_last: self.drop_last || preset.drop_last,
            sample_fraction: self.sample_fraction.unwrap_or(preset.sample_fraction),
            rank: self.rank,
            world_size: self.world_size,
            dtype: self.dtype,
            pin_memory: self.pin_memory || preset.pin_memory,
            persistent_workers: preset.persistent_workers && !self.no_persistent_workers,
            ..preset
        }
    }
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    let window = WindowSpec { n_bins: args.bins, stride: args.stride };
    let spec = RenderSpec {
        features: args.features.clone(),
        normalise: args.normalise,
        n_bins: args.bins,
        ..RenderSpec::default()
    };
    let store = Arc::new(Store::open(&args.store)?);
    let label = args.label.as_deref().unwrap_or(store.default_label());
    let mut dataset = Dataset::new(Arc::clone(&store), window, spec)?.with_label(label)?;
    if let Some(bytes) = args.cache_bytes {
        dataset = dataset.with_cache_bytes(bytes);
    }
    let loader = Loader::new(Arc::new(dataset), args.config())?;
    // Until here a signal ends the process as it is, with nothing begun.
    interrupt::watch();
    let loader = loader.with_stop(Stop::when(interrupt::requested));
    if loader.n_batches() == 0 {
        bail!("no full batch\nhint: leave out --drop-last, or use a smaller --batch-size");
    }
    let served = serve(args, &loader, quiet)?;
    if served.pace.batches() == 0 {
        bail!(
            "no batch was served: {} windows without a two-sided bin were skipped",
            loader.stats().skipped
        );
    }
    let summary = served.pace.summary().context("the loader gave no batch")?;
    if args.json {
        let order_sha256 = match loader.order_sha256(served.epoch) {
            Err(LoaderError::Stopped) => bail!(
                "interrupted after {} batches, while the order was hashed\nhint: continue with \
                 --resume-state {}",
                served.pace.batches(),
                served.state
            ),
            order => order?,
        };
        output::print_json(&document(label, &loader, &served, &summary, &order_sha256))?;
    } else if !quiet {
        print(&loader.stats(), &served, &summary)?;
    }
    let leaks = served.leak.as_ref().is_some_and(|report| report.verdict == LeakVerdict::Leak);
    Ok(if leaks { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// What was served, and how fast.
struct Served {
    pace: Pace,
    /// The first epoch that gave a batch.
    epoch: u64,
    elapsed_s: f64,
    state: LoaderState,
    leak: Option<LeakReport>,
}

fn serve(args: &Args, loader: &Loader, quiet: bool) -> Result<Served> {
    let mut monitor = Monitor::new(args.monitor_every.filter(|_| !quiet));
    let begun = Instant::now();
    let (mut pace, mut last) = (Pace::new(), begun);
    let mut epoch: Epoch = match args.resume_state {
        Some(state) => resumed(args, loader, state)?,
        None => loader.epoch(args.epoch),
    };
    // What a state left of its epoch; whole epochs come after it.
    let mut is_rest = args.resume_state.is_some_and(|state| state.position > 0);
    let (mut first_epoch, mut served_before) = (epoch.state().epoch, 0);
    let mut epochs_left = args.epochs.unwrap_or(1);
    let mut leak = args.epochs.map(|_| LeakWatch::new(loader.n_batches()));
    while args.batches.is_none_or(|wanted| pace.batches() < wanted) {
        let Some(batch) = epoch.next() else {
            let is_done = is_rest && pace.batches() == 0;
            if is_done {
                // The state was that of the end of its epoch.
                first_epoch = next_epoch(&epoch)?;
                if !quiet {
                    eprintln!("epoch {} is done: serving epoch {first_epoch}", first_epoch - 1);
                }
            } else {
                // One epoch unless more was asked for; never on when an epoch gives nothing.
                epochs_left = epochs_left.saturating_sub(1);
                let is_enough = args.batches.is_none() && epochs_left == 0;
                if is_enough || pace.batches() == served_before {
                    break;
                }
            }
            (is_rest, served_before) = (false, pace.batches());
            epoch = loader.epoch(next_epoch(&epoch)?);
            continue;
        };
        drop(taken(batch, &pace, &epoch)?);
        pace.add(last.elapsed().as_secs_f64());
        last = Instant::now();
        if let Some(leak) = &mut leak {
            leak.after(pace.batches());
        }
        monitor.after(pace.batches(), loader);
    }
    let (leak, elapsed_s) = (leak.map(|leak| leak.report()), begun.elapsed().as_secs_f64());
    Ok(Served { pace, epoch: first_epoch, elapsed_s, state: epoch.state(), leak })
}

fn resumed(args: &Args, loader: &Loader, state: LoaderState) -> Result<Epoch> {
    let data = state.data.filter(|_| !args.allow_other_data);
    match loader.resume(LoaderState { data, ..state }) {
        Err(error @ LoaderError::OtherData { .. }) => Err(error).context(
            "cannot resume\nhint: give the store that the state is of, or --allow-other-data to \
             continue at the same place of this one",
        ),
        other => Ok(other?),
    }
}

fn next_epoch(epoch: &Epoch) -> Result<u64> {
    let number = epoch.state().epoch;
    number.checked_add(1).with_context(|| format!("there is no epoch after {number}"))
}

/// A batch, or why there is none and how to go on.
fn taken(batch: Result<Batch, LoaderError>, pace: &Pace, epoch: &Epoch) -> Result<Batch> {
    match batch {
        Err(LoaderError::Stopped) => bail!(
            "interrupted after {} batches\nhint: continue with --resume-state {}",
            pace.batches(),
            epoch.state()
        ),
        batch => Ok(batch?),
    }
}

fn document(
    label: &str,
    loader: &Loader,
    served: &Served,
    summary: &Summary,
    order_sha256: &str,
) -> serde_json::Value {
    let stats = loader.stats();
    let labels = loader.dataset().store().files().first().map(|file| &*file.meta().labels);
    // The name may be an older one.
    let label = labels.unwrap_or_default().iter().find(|of| of.is_called(label));
    serde_json::json!({
        "samples": stats.samples,
        "skipped_windows": stats.skipped,
        "windows": loader.dataset().len(),
        "batches": served.pace.batches(),
        "elapsed_s": served.elapsed_s,
        "samples_per_s": stats.samples as f64 / served.elapsed_s,
        "first_batch_ms": served.pace.first_s().map(|s| s * 1e3),
        "batch_ms": {
            "p50": summary.median * 1e3, "p99": summary.p99 * 1e3, "max": summary.max * 1e3,
        },
        "data_wait_share": (stats.wait_s / served.elapsed_s).min(1.0),
        "queue_depth_mean": stats.queue_depth_mean,
        "bytes_read": stats.bytes_read,
        "cache_hits": stats.cache_hits,
        "cache_misses": stats.cache_misses,
        "buffers": stats.buffers,
        "peak_rss_bytes": lob_scope::peak_rss_bytes().ok(),
        "anon_rss_bytes": lob_scope::anon_rss_bytes().ok(),
        "order_sha256": order_sha256,
        "shuffle_quality": loader.shuffle_quality(served.epoch),
        "state": served.state.to_string(),
        "data": loader.data(),
        "dtype": loader.config().dtype.to_string(),
        "image_bytes": image_bytes(loader),
        "label": label.map(|label| &label.name),
        "label_kind": label.map(|label| label.kind),
        "label_horizon": label.map(|label| label.horizon),
        "label_unit": label.map(|label| label.unit),
        "label_classes": label.map(|label| label.classes),
        "labels": labels,
        "leak": served.leak.as_ref().map(leak::document),
    })
}

/// Bytes of all images of the data set, had they been stored.
fn image_bytes(loader: &Loader) -> f64 {
    let sample_bytes = loader.dataset().sample_len() * loader.config().dtype.size_bytes();
    loader.dataset().len() as f64 * sample_bytes as f64
}

fn print(stats: &LoaderStats, served: &Served, summary: &Summary) -> Result<()> {
    output::print_line(&format!(
        "{} samples in {}: {}, batch p50 {}, p99 {}",
        stats.samples,
        Unit::Seconds.format(served.elapsed_s),
        Unit::SamplesPerSecond.format(stats.samples as f64 / served.elapsed_s),
        Unit::Seconds.format(summary.median),
        Unit::Seconds.format(summary.p99),
    ))?;
    if stats.skipped > 0 {
        output::print_line(&format!("skipped {} windows without a two-sided bin", stats.skipped))?;
    }
    if let Some(leak) = &served.leak {
        output::print_line(&leak.text("epoch"))?;
    }
    output::print_line(&format!("state {}", served.state))?;
    Ok(())
}
