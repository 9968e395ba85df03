//! A store whose images would fill many disks: memory while it is served, and the time to the
//! first batch of ten million bins.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use lob_dataloader::{Dataset, Loader, LoaderConfig, WindowSpec};
use lob_depth::{Bin, BinRule, LEVELS, RenderSpec, SLOTS, SizeAggregate};
use lob_metrics::stats::{SplitMix64, largest};
use lob_metrics::{Direction, Measurement, Severity, Unit, shown};
use lob_profiler::{LeakConfig, LeakVerdict, leak_report};
use lob_store::{BinWriter, StoreMeta, StoredBin, WriterOptions, partition_path};

use super::config;
use crate::scenario::Bench;

/// Bins of the one file that is written: 104 GB of images.
const FILE_BINS: u64 = 130_000;
/// Files that are links to it: ten million bins together with it.
const N_FILES: u32 = 77;
const EPOCHS: u64 = 10;
const PRICE_STEP: i64 = 250_000_000;
const DAY: &str = "2024-01-02";

pub(in crate::scenario) fn large(bench: &mut Bench<'_>) -> Result<()> {
    let one = bench.work.join("large-one");
    let many = bench.work.join("large-many");
    let outcome = write(bench, &one)
        .and_then(|file| link(&file, &many))
        .and_then(|()| measure(bench, &one, &many));
    for folder in [&one, &many] {
        // What matters is the outcome; a folder that stays behind is in the working folder.
        let _ = std::fs::remove_dir_all(folder);
    }
    outcome
}

fn measure(bench: &mut Bench<'_>, one: &Path, many: &Path) -> Result<()> {
    let mut first = Vec::new();
    for _ in 0..if bench.options.quick { 5 } else { 20 } {
        let begun = Instant::now();
        let loader = Loader::new(open(many)?, config(bench))?;
        let batch = loader.epoch(0).next().context("a store without a batch")??;
        first.push(begun.elapsed().as_secs_f64());
        drop(batch);
    }
    bench.rec.latency("load.first_batch_10m_bins", &first);
    serve(bench, one)
}

fn open(store: &Path) -> Result<Arc<Dataset>> {
    let spec = RenderSpec::default();
    let window = WindowSpec { n_bins: spec.n_bins, stride: 1 };
    Ok(Arc::new(Dataset::open(store, window, spec)?))
}

/// Ten epochs over a part of the windows, spread over the whole store; memory is read after each
/// batch.
fn serve(bench: &mut Bench<'_>, store: &Path) -> Result<()> {
    let batches = if bench.options.quick { 30 } else { 300 };
    let dataset = open(store)?;
    let image_bytes = dataset.len() as f64 * (dataset.sample_len() * size_of::<f32>()) as f64;
    let config = config(bench);
    let wanted = (batches * config.batch_size) as f64;
    let config = LoaderConfig { sample_fraction: wanted / dataset.len() as f64, ..config };
    bench.rec.config("image_bytes", image_bytes);
    bench.rec.config("epochs", EPOCHS);
    let loader = Loader::new(dataset, config)?;
    let mut rss = None;
    let (mut x, mut anon) = (Vec::new(), Vec::new());
    for epoch in 0..EPOCHS {
        for batch in loader.epoch(epoch) {
            drop(batch?);
            x.push(x.len() as f64 / loader.n_batches() as f64);
            anon.push(lob_scope::anon_rss_bytes().map_or(f64::NAN, |bytes| bytes as f64));
            let held = lob_scope::rss_bytes().map_or(f64::NAN, |bytes| bytes as f64);
            rss = largest(rss.into_iter().chain([held]));
        }
    }
    let bytes = |metric: &str, value: f64| {
        Measurement::measured(metric, Unit::Bytes, Direction::LowerIsBetter, &[value])
    };
    bench.rec.add(bytes("load.rss_100gb", rss.unwrap_or(f64::NAN)));
    let report = leak_report(&x, &anon, LeakConfig::default());
    if let Some(growth) = report.growth_bytes {
        bench.rec.add(bytes("load.growth_10_epochs", growth.max(0.0)));
    }
    let severity = match report.verdict {
        LeakVerdict::Leak => Severity::Warning,
        _ => Severity::Info,
    };
    let images = Unit::Bytes.format(image_bytes);
    bench.rec.finding(
        severity,
        format!("{EPOCHS} epochs, {images} of images: {}", report.text("epoch")),
    );
    Ok(())
}

/// Writes a file of made-up bins: prices in a slow walk, sizes that change.
fn write(bench: &Bench<'_>, store: &Path) -> Result<PathBuf> {
    let path = store.join(partition_path(DAY, 0));
    let mut random = SplitMix64::new(bench.options.seed);
    let mut writer = BinWriter::create(&path, PRICE_STEP, WriterOptions::default())?;
    let mut bid = 18_800;
    for at in 0..FILE_BINS {
        bid += [-1, 0, 0, 1][random.below(4)];
        let bin = bin(at, bid, &mut random);
        let row = StoredBin { bin, segment: 0, movement: None, label: None, others: Vec::new() };
        writer.push(&row)?;
    }
    writer.finish(meta())?;
    Ok(path)
}

fn bin(at: u64, bid: i32, random: &mut SplitMix64) -> Bin {
    const BIN_NS: u64 = 10_000_000;
    let ts = 1_704_186_000_000_000_000 + at * BIN_NS;
    let mut bin = Bin {
        ts_event_first: ts,
        ts_event_last: ts + BIN_NS - 1,
        ts_recv_last: ts + BIN_NS - 1,
        n_updates: 100,
        traded_volume: 0,
        last_update: at * 100 + 99,
        px: [0; SLOTS],
        size: [0.0; SLOTS],
        size_variance: [0.0; SLOTS],
        order_count: [0; SLOTS],
        last_bid: bid,
        last_ask: bid + 1,
        flow: None,
    };
    for (level, distance) in (0..LEVELS).zip(0..) {
        bin.px[level] = bid - distance;
        bin.px[LEVELS + level] = bid + 1 + distance;
    }
    for size in &mut bin.size {
        *size = 1.0 + random.below(400) as f64 / 2.0;
    }
    bin
}

fn meta() -> StoreMeta {
    StoreMeta {
        dataset: "SYNTHETIC".to_owned(),
        source_schema: "mbp-10".to_owned(),
        publisher_id: None,
        instrument_id: 0,
        symbol: "LARGE".to_owned(),
        day: DAY.to_owned(),
        price_step: PRICE_STEP,
        bin_rule: BinRule::Updates(100),
        size_aggregate: SizeAggregate::Median,
        ..StoreMeta::default()
    }
}

/// A store of many partitions that are all the same file.
fn link(file: &Path, store: &Path) -> Result<()> {
    for instrument in 0..N_FILES {
        let path = store.join(partition_path(DAY, instrument));
        let folder = path.parent().context("a partition lies in a folder")?;
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::hard_link(file, &path))
            .with_context(|| format!("cannot link `{}`", shown(path.display())))?;
    }
    Ok(())
}
