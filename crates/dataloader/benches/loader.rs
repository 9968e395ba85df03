//! Serving shuffled batches of 402×500 images, beside the bound: filling and copying the same
//! buffers.
//!
//! A slowdown means that training waits for data. `LOBLAB_BENCH_BINS` sets the size of the store
//! (default 400,000 bins: 322 GB of images).

#![allow(missing_docs, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bench")]

#[path = "../../store/benches/support/walk.rs"]
mod walk;

use std::{hint::black_box, path::Path, sync::Arc, time::Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lob_dataloader::{Dataset, Epoch, Loader, LoaderConfig, Scratch, Shuffle, WindowSpec};
use lob_depth::{Feature, RenderSpec};
use lob_store::{WriterOptions, partition_path};

const N_BINS: usize = 500;
const BATCH: usize = 32;
/// Bins of one file: a busy day.
const FILE_BINS: u64 = 200_000;

fn total_bins() -> u64 {
    let text = std::env::var("LOBLAB_BENCH_BINS").unwrap_or_default();
    text.parse().unwrap_or(400_000)
}

fn store() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a scratch folder");
    for file in 0..total_bins().div_ceil(FILE_BINS) {
        let path = folder.path().join(partition_path("2023-11-14", file as u32));
        walk::write(&path, FILE_BINS, file, WriterOptions::default());
    }
    folder
}

fn dataset(folder: &Path, features: &[Feature]) -> Dataset {
    let render =
        RenderSpec { n_bins: N_BINS, features: features.to_vec(), ..RenderSpec::default() };
    let window = WindowSpec { n_bins: N_BINS, stride: 1 };
    Dataset::open(folder, window, render).expect("a store just written")
}

/// Batches without end, one epoch after the other.
struct Endless {
    loader: Loader,
    epoch: Epoch,
    number: u64,
}

impl Endless {
    fn take(&mut self, n: u64) {
        for _ in 0..n {
            let batch = match self.epoch.next() {
                Some(batch) => batch,
                None => {
                    self.number += 1;
                    self.epoch = self.loader.epoch(self.number);
                    self.epoch.next().expect("an epoch has batches")
                }
            };
            black_box(batch.expect("a sound store").images());
        }
    }
}

fn batches(c: &mut Criterion, folder: &Path) {
    let mut group = c.benchmark_group("batch_of_32");
    group.throughput(Throughput::Elements(BATCH as u64)).sample_size(30);
    for (name, features) in [("volume", &Feature::DEPTH[..1]), ("three_features", &Feature::DEPTH)]
    {
        let dataset = Arc::new(dataset(folder, features));
        for (order, shuffle) in [("shuffled", Shuffle::Full), ("sequential", Shuffle::Sequential)] {
            for workers in [0, 1, 2] {
                let config =
                    LoaderConfig { workers, shuffle, batch_size: BATCH, ..Default::default() };
                let loader = Loader::new(Arc::clone(&dataset), config).expect("sound options");
                let mut endless = Endless { epoch: loader.epoch(0), loader, number: 0 };
                group.bench_function(format!("{name}/{order}/workers_{workers}"), |b| {
                    b.iter_custom(|n| {
                        // What was made ahead between two measurements is not counted.
                        endless
                            .take(endless.loader.config().prefetch_batches(dataset.sample_len())
                                as u64);
                        let start = Instant::now();
                        endless.take(n);
                        start.elapsed()
                    });
                });
            }
        }
        let mut buffer = vec![0.0_f32; BATCH * dataset.sample_len()];
        let source = vec![1.0_f32; buffer.len()];
        let mut value = 0.0;
        group.bench_function(format!("{name}/bound_fill"), |b| {
            b.iter(|| {
                value += 1.0;
                black_box(&mut buffer).fill(black_box(value));
            });
        });
        group.bench_function(format!("{name}/bound_copy"), |b| {
            b.iter(|| black_box(&mut buffer).copy_from_slice(black_box(&source)));
        });
    }
    group.finish();
}

/// One sample at a random place: without our cache, and with it warm.
fn single(c: &mut Criterion, folder: &Path) {
    let mut group = c.benchmark_group("single_sample");
    for (name, features) in [("volume", &Feature::DEPTH[..1]), ("three_features", &Feature::DEPTH)]
    {
        for (cache, bytes) in [("cold", 0), ("cached", 512 << 20)] {
            let dataset = dataset(folder, features).with_cache_bytes(bytes);
            let mut scratch = Scratch::default();
            let mut image = vec![0.0; dataset.sample_len()];
            let mut random = walk::Random(3);
            group.bench_function(format!("{name}/{cache}"), |b| {
                b.iter(|| {
                    let index = random.below(dataset.len());
                    dataset.get(index, &mut scratch, &mut image).expect("a sound store");
                });
            });
        }
    }
    group.finish();
}

/// From a closed store to the first shuffled batch in hand.
fn first_batch(c: &mut Criterion, folder: &Path) {
    let mut group = c.benchmark_group("open_to_first_batch");
    group.sample_size(10);
    group.bench_function(format!("{}_bins", total_bins()), |b| {
        b.iter(|| {
            let dataset = Arc::new(dataset(folder, &Feature::DEPTH[..1]));
            let loader = Loader::new(dataset, LoaderConfig::default()).expect("sound options");
            let batch = loader.epoch(0).next();
            batch.expect("a batch").expect("a sound store").indices.clone()
        });
    });
    group.finish();
}

fn all(c: &mut Criterion) {
    let folder = store();
    batches(c, folder.path());
    single(c, folder.path());
    first_batch(c, folder.path());
}

criterion_group!(benches, all);
criterion_main!(benches);
