//! Cost of an interval per sample. A slow-down here delays every measurement the suite takes.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lob_metrics::Summary;
use lob_metrics::stats::{SplitMix64, bootstrap_median_ci};

fn bootstrap(c: &mut Criterion) {
    let mut group = c.benchmark_group("bootstrap_median_ci");
    for n in [20, 200, 2000] {
        let mut rng = SplitMix64::new(1);
        let samples: Vec<f64> = (0..n).map(|_| rng.next_f64()).collect();
        group.throughput(Throughput::Elements(n));
        group.bench_with_input(BenchmarkId::new("samples", n), &samples, |b, samples| {
            b.iter(|| bootstrap_median_ci(black_box(samples)));
        });
    }
    group.finish();
    let samples: Vec<f64> = (0..100_000).map(f64::from).collect();
    let mut group = c.benchmark_group("summary");
    group.throughput(Throughput::Elements(100_000));
    group.bench_function("samples/100000", |b| b.iter(|| Summary::of(black_box(&samples))));
    group.finish();
}

criterion_group!(benches, bootstrap);
criterion_main!(benches);
