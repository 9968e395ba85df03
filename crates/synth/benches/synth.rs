//! Simulated records a second: a slowdown here delays every benchmark on the embedded market.

use std::io;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lob_synth::{Schema, SynthConfig, write_dbn, write_dbn_zst};

const RECORDS: u64 = 200_000;

fn synth(c: &mut Criterion) {
    let mut group = c.benchmark_group("synth");
    group.throughput(Throughput::Elements(RECORDS));
    group.sample_size(10);
    for (name, schema) in [("mbo", Schema::Mbo), ("mbp10", Schema::Mbp10)] {
        let config = SynthConfig { records: RECORDS, instruments: 4, schema, ..Default::default() };
        group.bench_function(format!("{name}/dbn"), |b| {
            b.iter(|| write_dbn(&config, io::sink()).map(|summary| summary.records));
        });
        group.bench_function(format!("{name}/zst"), |b| {
            b.iter(|| write_dbn_zst(&config, io::sink()).map(|summary| summary.records));
        });
    }
    group.finish();
}

criterion_group!(benches, synth);
criterion_main!(benches);
