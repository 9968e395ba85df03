//! Movements and classes of a stream of mids at the default windows.
//!
//! Slower here means that labels cost a noticeable part of a conversion again.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lob_depth::{LabelSpec, class_edges, classify, movements};

const N_ROWS: i64 = 200_000;

fn label(criterion: &mut Criterion) {
    let mut state = 1_i64;
    let mids: Vec<_> = (0..N_ROWS)
        .map(|i| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            Some(1_320_000_000 + i * 10 + (state >> 44))
        })
        .collect();
    let spec = LabelSpec::default();
    let valid: Vec<f64> = movements(&mids, spec).expect("valid").into_iter().flatten().collect();
    let edges = class_edges(&valid, spec.classes).expect("movements exist");

    let mut group = criterion.benchmark_group("label");
    group.throughput(Throughput::Elements(mids.len() as u64));
    group.bench_function("movements", |b| b.iter(|| movements(black_box(&mids), spec)));
    group.throughput(Throughput::Elements(valid.len() as u64));
    group.bench_function("class_edges", |b| b.iter(|| class_edges(black_box(&valid), 13)));
    group.bench_function("classify", |b| {
        b.iter(|| valid.iter().map(|&x| classify(x, black_box(&edges))).sum::<i32>());
    });
}

criterion_group!(benches, label);
criterion_main!(benches);
