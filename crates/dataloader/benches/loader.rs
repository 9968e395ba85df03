//! Serving shuffled batches of 402×500 images, beside the bound: filling and copying as many batch
//! buffers as the loader has, on one thread and on two.
//!
//! A slowdown means that training waits for data. `LOBLAB_BENCH_BINS` sets the size of the store
//! (default 400,000 bins: 322 GB of images).

#![allow(missing_docs, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bench")]

#[path = "../../store/benches/support/walk.rs"]
mod walk;

use std::{
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

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
    let path = |file: u64| folder.path().join(partition_path("2023-11-14", file as u32));
    // Two files written, the others links to them: a large store without a large disk.
    for file in 0..total_bins().div_ceil(FILE_BINS) {
        match file {
            0 | 1 => drop(walk::write(&path(file), FILE_BINS, file, WriterOptions::default())),
            _ => {
                std::fs::create_dir_all(path(file).parent().expect("a folder")).expect("scratch");
                std::fs::hard_link(path(file % 2), path(file)).expect("a file system with links");
            }
        }
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
        let len = BATCH * dataset.sample_len();
        let source = vec![1.0_f32; len];
        for threads in [1, 2] {
            let n_buffers = LoaderConfig::default().prefetch_batches(dataset.sample_len()) + 1;
            let mut sets: Vec<Buffers> =
                (0..threads).map(|_| Buffers::new(n_buffers.div_ceil(threads), len)).collect();
            group.bench_function(format!("{name}/bound_fill/threads_{threads}"), |b| {
                b.iter_custom(|n| {
                    side_by_side(&mut sets, n, |to| black_box(to).fill(black_box(0.5)))
                });
            });
            group.bench_function(format!("{name}/bound_copy/threads_{threads}"), |b| {
                b.iter_custom(|n| {
                    side_by_side(&mut sets, n, |to| {
                        black_box(to).copy_from_slice(black_box(&source));
                    })
                });
            });
        }
    }
    group.finish();
}

/// As many batch buffers as a loader keeps, written in turn.
struct Buffers {
    all: Vec<Vec<f32>>,
    next: usize,
}

impl Buffers {
    fn new(n: usize, len: usize) -> Self {
        Self { all: vec![vec![1.0; len]; n], next: 0 }
    }

    fn turn(&mut self) -> &mut [f32] {
        self.next = (self.next + 1) % self.all.len();
        &mut self.all[self.next]
    }
}

/// How long `n` batches take that threads write image by image, each to its own buffers: what any
/// loader with as many workers could reach at most.
fn side_by_side(sets: &mut [Buffers], n: u64, write: impl Fn(&mut [f32]) + Sync) -> Duration {
    let share = n.div_ceil(sets.len() as u64);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for set in &mut *sets {
            scope.spawn(|| (0..share).for_each(|_| write(set.turn())));
        }
    });
    // An odd batch too many is taken off again.
    start.elapsed().mul_f64(n as f64 / (share * sets.len() as u64) as f64)
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
            let mut random = walk::Random::new(3);
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
