//! Conversion against the decoding it cannot do without.
//!
//! `decode` is the ceiling: decompression and framing alone, measured in the same run on the same
//! files. `convert` is a whole conversion, from opening the file to the store in its place. A
//! slowdown of the one alone is ours; of both, that of the machine or the decompressor.
//!
//! Criterion measures wall time; one thread works, so on a quiet machine that is CPU time too. The
//! CPU seconds of the process are printed beside it, for machines that are not quiet.

use std::{
    hint::black_box,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lob_convert::{ConvertConfig, InputHash, Layout, RecordStream, convert};
use lob_synth::{Schema, SynthConfig};
use sha2::{Digest, Sha256};

/// Records of each input: enough that fixed costs of a run do not matter.
const RECORDS: u64 = 1_000_000;

/// Reads a file to its end without looking at it.
fn decode(path: &Path) -> u64 {
    let mut stream = RecordStream::open_unhashed(path).expect("a file of our own");
    while let Some(update) = stream.next().expect("a sound file") {
        black_box(update.levels[0].bid_px);
    }
    stream.counts().records
}

fn convert_once(path: &Path, out: &Path, layout: Layout, hash: InputHash) -> u64 {
    let mut config = ConvertConfig::new(out);
    config.layout = layout;
    config.input_hash = hash;
    config.read_ahead = false;
    let summary = convert(&[path.to_owned()], &config, &()).expect("a sound file");
    std::fs::remove_dir_all(out).expect("the store just made");
    summary.records
}

/// Million records in a CPU second, the best of three.
#[expect(clippy::cast_precision_loss, reason = "a figure to print")]
fn cpu_rate(mut work: impl FnMut() -> u64) -> Option<f64> {
    (0..3)
        .map(|_| {
            let start_s = lob_scope::process_cpu_time_s().ok()?;
            let records = work();
            let cpu_s = lob_scope::process_cpu_time_s().ok()? - start_s;
            Some(records as f64 / cpu_s / 1e6)
        })
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .reduce(f64::max)
}

#[expect(clippy::print_stderr, reason = "a figure that criterion has no place for")]
fn print_cpu(name: &str, path: &Path, out: &Path) {
    let ceiling = cpu_rate(|| decode(path));
    let say = |what: &str, rate: Option<f64>| {
        if let (Some(rate), Some(ceiling)) = (rate, ceiling) {
            let share = 100.0 * rate / ceiling;
            eprintln!(
                "{name}: {what}: {rate:.2} M records in a CPU second, {share:.0} % of decode"
            );
        }
    };
    say("decode alone", ceiling);
    for (what, layout, hash) in [
        ("bins", Layout::Bins, InputHash::Sha256),
        ("bins, XXH3 of the input", Layout::Bins, InputHash::Xxh3),
        ("bins, no hash of the input", Layout::Bins, InputHash::None),
        ("ticks", Layout::Ticks, InputHash::Sha256),
    ] {
        say(what, cpu_rate(|| convert_once(path, out, layout, hash)));
    }
    say("SHA-256 of the file alone", cpu_rate(|| sha256_alone(path)));
}

/// What hashing costs however it is done: the instructions for it follow one another.
fn sha256_alone(path: &Path) -> u64 {
    let mut file = std::fs::File::open(path).expect("a file of our own");
    let mut hash = Sha256::new();
    let mut bytes = vec![0; 1 << 18];
    loop {
        match file.read(&mut bytes).expect("a sound file") {
            0 => break,
            n => hash.update(&bytes[..n]),
        }
    }
    black_box(hash.finalize());
    RECORDS
}

fn input(folder: &Path, name: &str) -> PathBuf {
    let schema = if name.contains(".mbo.") { Schema::Mbo } else { Schema::Mbp10 };
    let config = SynthConfig { records: RECORDS, instruments: 2, sessions: 2, seed: 1, schema };
    let path = folder.join(name);
    lob_synth::write_file(&config, &path).expect("room for the input");
    path
}

fn benches(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut group = criterion.benchmark_group("convert");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    for name in ["mbp-10.dbn.zst", "mbp-10.dbn", "market.mbo.dbn.zst"] {
        let path = input(folder.path(), name);
        let out = folder.path().join("store");
        print_cpu(name, &path, &out);
        group.throughput(Throughput::Elements(RECORDS));
        group.bench_with_input(BenchmarkId::new("decode", name), &path, |bencher, path| {
            bencher.iter(|| decode(path));
        });
        group.bench_with_input(BenchmarkId::new("convert", name), &path, |bencher, path| {
            bencher.iter(|| convert_once(path, &out, Layout::Bins, InputHash::Sha256));
        });
        group.bench_with_input(BenchmarkId::new("ticks", name), &path, |bencher, path| {
            bencher.iter(|| convert_once(path, &out, Layout::Ticks, InputHash::Sha256));
        });
    }
    group.finish();
}

criterion_group!(convert_benches, benches);
criterion_main!(convert_benches);
