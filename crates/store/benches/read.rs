//! Reading windows of 500 bins at random rows, nothing cached but the operating system's pages.
//!
//! A slowdown means slower shuffled training on stores larger than the loader's cache. `none`
//! against `zstd1` is the price of a smaller file; `copy` is the bound: the same numbers copied
//! from memory.

#![allow(missing_docs, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bench")]

#[path = "support/walk.rs"]
mod walk;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lob_depth::BinColumns;
use lob_store::{BinFile, Compression, Planes, WriterOptions};

const BINS: u64 = 200_000;
const WINDOW: u64 = 500;

fn read(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let volume = Planes { size: true, ..Planes::NONE };
    let mut group = c.benchmark_group("read_window");
    group.throughput(Throughput::Elements(WINDOW));
    for (name, compression) in [("none", Compression::None), ("zstd1", Compression::Zstd(1))] {
        for page_rows in [512, 1024, 4096] {
            let path = folder.path().join(format!("{name}-{page_rows}.parquet"));
            let options = WriterOptions { page_rows, compression, ..WriterOptions::default() };
            walk::write(&path, BINS, 1, options);
            let file = BinFile::open(&path).expect("a file just written");
            for (planes_name, planes) in [("volume", volume), ("all", Planes::ALL)] {
                let mut random = walk::Random::new(2);
                let mut bins = BinColumns::default();
                let id = BenchmarkId::new(format!("{planes_name}/{name}"), page_rows);
                group.bench_function(id, |b| {
                    b.iter(|| {
                        let start = random.below(BINS - WINDOW);
                        bins.clear();
                        file.read_planes(start..start + WINDOW, planes, &mut bins).expect("sound");
                        black_box(&bins);
                    });
                });
            }
        }
    }
    let file = BinFile::open(folder.path().join("none-1024.parquet")).expect("just written");
    let mut all = BinColumns::default();
    file.read_planes(0..100_000, volume, &mut all).expect("sound");
    let mut random = walk::Random::new(2);
    let (mut px, mut size) = (Vec::new(), Vec::new());
    group.bench_function("copy", |b| {
        b.iter(|| {
            let start = random.below(100_000 - WINDOW) as usize * 20;
            let end = start + WINDOW as usize * 20;
            px.clear();
            px.extend_from_slice(&all.px[start..end]);
            size.clear();
            size.extend_from_slice(&all.size[start..end]);
            black_box((&px, &size));
        });
    });
    group.finish();
}

/// Opening a file and reading its first window: what each of thousands of files costs.
fn open(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = folder.path().join("a.parquet");
    walk::write(&path, BINS, 1, WriterOptions::default());
    let mut group = c.benchmark_group("open_and_read");
    group.throughput(Throughput::Elements(WINDOW));
    group.bench_function("first_window", |b| {
        b.iter(|| {
            let file = BinFile::open(&path).expect("a file just written");
            let mut bins = BinColumns::default();
            file.read(0..WINDOW, &mut bins).expect("sound");
            black_box(bins)
        });
    });
    group.finish();
}

/// Encoding bins, fsync included.
fn write(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = folder.path().join("a.parquet");
    let mut group = c.benchmark_group("write");
    group.throughput(Throughput::Elements(20_000)).sample_size(10);
    group.bench_function("none", |b| {
        b.iter(|| walk::write(&path, 20_000, 1, WriterOptions::default()));
    });
    group.finish();
}

criterion_group!(benches, read, open, write);
criterion_main!(benches);
