//! Cost of the page of a large run. A slow-down here is felt after every launch of the suite.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lob_metrics::{Direction, Measurement, Run, Unit};
use lob_report::{Format, render_all};

/// The sample run with 1,000 more measurements and 10,000 more scopes.
fn large_run() -> Run {
    let mut run = lob_fixtures::sample_run();
    let template = run.scenarios[0].scopes[1].clone();
    for i in 0..1000_u32 {
        let scenario = &mut run.scenarios[(i % 5) as usize];
        let samples: Vec<f64> = (0..10).map(|k| f64::from(i + 1) + 0.1 * f64::from(k)).collect();
        let name = format!("grid.point_{i}.samples_per_s");
        let (unit, direction) = (Unit::SamplesPerSecond, Direction::HigherIsBetter);
        scenario.measurements.push(Measurement::measured(&name, unit, direction, &samples));
        for k in 0..10 {
            let mut scope = template.clone();
            scope.path = format!("convert/file_{i}/part_{k}");
            scenario.scopes.push(scope);
        }
    }
    run
}

fn html(c: &mut Criterion) {
    let run = large_run();
    let mut group = c.benchmark_group("html");
    group.sample_size(20);
    group.throughput(Throughput::Elements(1000));
    group.bench_function("metrics/1000", |b| {
        b.iter(|| {
            render_all(black_box(&run), &[Format::Html]).expect("the page needs no outside help")
        });
    });
    group.sample_size(10);
    group.bench_function("every_format/1000", |b| {
        b.iter(|| {
            render_all(black_box(&run), &Format::ALL).expect("the made-up run has every value")
        });
    });
    group.finish();
}

criterion_group!(benches, html);
criterion_main!(benches);
