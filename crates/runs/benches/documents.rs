//! Cost of a document on its way from and to the disk: read, and drawn in every format.

use criterion::{Criterion, criterion_group, criterion_main};
use lob_report::Beside;

fn documents(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let run = lob_fixtures::sample_run();
    let mut group = c.benchmark_group("documents");
    group.sample_size(10);
    group.bench_function("write_reports", |b| {
        b.iter(|| {
            lob_runs::write_reports(&run, &Beside::default(), folder.path())
                .expect("the made-up run has every value")
        });
    });
    let path = folder.path().join("run.json");
    group.bench_function("read_run", |b| {
        b.iter(|| lob_runs::read_run(&path).expect("what was just written"));
    });
    group.finish();
}

criterion_group!(benches, documents);
criterion_main!(benches);
