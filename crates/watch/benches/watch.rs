//! What a request costs that is recorded, and what a page costs that is written and read.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lob_watch::{
    PerformanceProfiler, ProductionMonitor, ProfilerConfig, metrics_page, parse_prometheus_text,
};

fn requests(criterion: &mut Criterion) {
    let monitor = ProductionMonitor::default();
    let mut group = criterion.benchmark_group("request");
    group.throughput(Throughput::Elements(1));
    group.bench_function("record", |b| {
        b.iter(|| monitor.record(black_box("predict"), Duration::from_micros(120)));
    });
    group.finish();
}

fn pages(criterion: &mut Criterion) {
    let monitor = ProductionMonitor::default();
    for label in 0..20 {
        monitor.record(&format!("label {label}"), Duration::from_millis(label));
    }
    let page = metrics_page(None, &[&monitor], &[]);
    let mut group = criterion.benchmark_group("page");
    group.throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function("write", |b| b.iter(|| metrics_page(None, &[&monitor], &[])));
    group.bench_function("read", |b| b.iter(|| parse_prometheus_text(black_box(&page))));
    group.finish();
}

/// What a profile of nothing costs, by the default options and by few.
fn profiles(criterion: &mut Criterion) {
    let few = ProfilerConfig::builder().track_gpu(false).track_system(false).build();
    let mut group = criterion.benchmark_group("profile");
    for (name, config) in
        [("nothing, default options", Ok(ProfilerConfig::default())), ("nothing, few options", few)]
    {
        let profiler = PerformanceProfiler::new(config.expect("the options fit together"));
        group.bench_function(name, |b| b.iter(|| profiler.profile("nothing", || ())));
    }
    group.finish();
}

criterion_group!(benches, requests, pages, profiles);
criterion_main!(benches);
