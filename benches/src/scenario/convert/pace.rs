//! Records in a CPU second, side by side: decoding alone, both layouts, and files that are not
//! compressed, by one thread each and in turn, so that a slow moment of the machine meets all.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lob_convert::{ConvertConfig, InputHash, Layout, RecordStream, convert};
use lob_metrics::{Direction, Measurement, Unit, shown};

use super::ZSTD_MAGIC;
use crate::scenario::{Bench, recorder::Limit};

/// Rounds over all of them.
const QUICK_ROUNDS: usize = 3;
const FULL_ROUNDS: usize = 7;
/// Records of the file that is not compressed: 110 MB.
const RAW_RECORDS: u64 = 300_000;

/// What is measured: a metric, a layout, and what the input is known by.
const BINS: (&str, Layout, InputHash) =
    ("convert.records_per_cpu_s", Layout::Bins, InputHash::Sha256);
const TICKS: (&str, Layout, InputHash) =
    ("convert.ticks_records_per_cpu_s", Layout::Ticks, InputHash::Sha256);
const RAW: [(&str, Layout, InputHash); 2] = [
    ("convert.raw_records_per_cpu_s", Layout::Bins, InputHash::Xxh3),
    ("convert.raw_sha256_records_per_cpu_s", Layout::Bins, InputHash::Sha256),
];

/// Measures all of it on the inputs of the suite.
pub(super) fn measure(bench: &mut Bench<'_>, config: &ConvertConfig) -> Result<()> {
    let inputs = bench.state.dbn.clone();
    let raw = match raw_part(&inputs, bench.work)? {
        Some(path) => vec![path],
        None => Vec::new(),
    };
    let rounds = if bench.options.quick { QUICK_ROUNDS } else { FULL_ROUNDS };
    let (mut decode, mut shares) = (Vec::new(), Vec::new());
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); 2 + RAW.len()];
    for _ in 0..rounds {
        let ceiling = cpu_rate(|| decode_all(&inputs))?;
        decode.extend(ceiling);
        for (rates, (what, inputs)) in rates.iter_mut().zip(
            [(BINS, &inputs), (TICKS, &inputs)].into_iter().chain(RAW.map(|what| (what, &raw))),
        ) {
            if inputs.is_empty() {
                continue;
            }
            let rate = cpu_rate(|| convert_all(inputs, config, bench.work, what))?;
            rates.extend(rate);
            if what.0 == BINS.0 {
                shares.extend(rate.zip(ceiling).map(|(rate, ceiling)| rate / ceiling));
            }
        }
    }
    for path in raw {
        std::fs::remove_file(&path)
            .with_context(|| format!("remove `{}`", shown(path.display())))?;
    }
    let ceiling = lob_metrics::Summary::of(&decode).map(|summary| summary.median);
    for (rates, what) in rates.iter().zip([BINS, TICKS].into_iter().chain(RAW)) {
        let Some(summary) = lob_metrics::Summary::of(rates) else {
            unavailable(bench, what.0);
            continue;
        };
        let limit = (what.0 == BINS.0)
            .then(|| Limit::of(summary.median, ceiling, DECODE, Unit::RecordsPerSecond));
        bench.rec.rate(what.0, Unit::RecordsPerSecond, rates, limit.flatten());
    }
    if shares.is_empty() {
        unavailable(bench, "convert.share_of_decode");
    } else {
        bench.rec.add(Measurement::measured(
            "convert.share_of_decode",
            Unit::Fraction,
            Direction::HigherIsBetter,
            &shares,
        ));
    }
    Ok(())
}

/// Name of the limit of a conversion.
const DECODE: &str = "decompression and decoding alone, in turn with it,";

/// Says that a rate could not be measured.
pub(super) fn unavailable(bench: &mut Bench<'_>, metric: &str) {
    bench.rec.add(Measurement::unavailable(
        metric,
        Unit::RecordsPerSecond,
        Direction::HigherIsBetter,
        "the process CPU clock cannot be read here, or the input is of another kind",
    ));
}

/// Records in a CPU second of this process; `None` where its clock cannot be read.
fn cpu_rate(mut work: impl FnMut() -> Result<u64>) -> Result<Option<f64>> {
    let before = lob_scope::process_cpu_time_s();
    let records = work()?;
    let after = lob_scope::process_cpu_time_s();
    Ok(match (before, after) {
        (Ok(before), Ok(after)) => Some(records as f64 / (after - before).max(f64::EPSILON)),
        _ => None,
    })
}

fn decode_all(inputs: &[PathBuf]) -> Result<u64> {
    let _scope = lob_scope::scope("decode_only");
    let mut records = 0;
    for path in inputs {
        let mut stream = RecordStream::open_unhashed(path)?;
        while let Some(update) = stream.next()? {
            std::hint::black_box(update.levels[0].bid_px);
        }
        records += stream.counts().records;
    }
    Ok(records)
}

fn convert_all(
    inputs: &[PathBuf],
    config: &ConvertConfig,
    work: &Path,
    (_, layout, input_hash): (&str, Layout, InputHash),
) -> Result<u64> {
    let _scope = lob_scope::scope("convert_again");
    let out = work.join("again");
    let config = ConvertConfig {
        out: out.clone(),
        layout,
        input_hash,
        jobs: 1,
        read_ahead: false,
        ..config.clone()
    };
    let summary = convert(inputs, &config, &())?;
    std::fs::remove_dir_all(&out).with_context(|| format!("remove `{}`", shown(out.display())))?;
    Ok(summary.records)
}

/// The first records of the first input as a file that is not compressed; `None` if it holds
/// anything but MBP-10 records.
fn raw_part(inputs: &[PathBuf], work: &Path) -> Result<Option<PathBuf>> {
    let Some(input) = inputs.first() else { return Ok(None) };
    if RecordStream::open_unhashed(input)?.schema() != Some(lob_convert::BookSchema::Mbp10) {
        return Ok(None);
    }
    let context = || format!("read `{}`", shown(input.display()));
    let mut file = File::open(input).with_context(context)?;
    let mut magic = [0; ZSTD_MAGIC.len()];
    file.read_exact(&mut magic).with_context(context)?;
    file.rewind()?;
    let mut reader: Box<dyn Read> =
        if magic == ZSTD_MAGIC { Box::new(zstd::Decoder::new(file)?) } else { Box::new(file) };
    let mut prelude = [0; 8];
    reader.read_exact(&mut prelude).with_context(context)?;
    let header = u32::from_le_bytes([prelude[4], prelude[5], prelude[6], prelude[7]]);
    let path = work.join("raw.mbp-10.dbn");
    let raw = File::create(&path).with_context(|| format!("create `{}`", shown(path.display())))?;
    let mut raw = BufWriter::new(raw);
    raw.write_all(&prelude)?;
    let mut reader = BufReader::new(reader);
    std::io::copy(&mut reader.by_ref().take(header.into()), &mut raw).with_context(context)?;
    copy_records(&mut reader, &mut raw, RAW_RECORDS).with_context(context)?;
    raw.flush()?;
    Ok(Some(path))
}

/// Copies whole records. Books have companions of other lengths; each record says its own, in units
/// of four bytes.
fn copy_records(reader: &mut impl BufRead, out: &mut impl Write, n: u64) -> std::io::Result<()> {
    for _ in 0..n {
        let Some(&length) = reader.fill_buf()?.first() else { break };
        std::io::copy(&mut reader.by_ref().take(u64::from(length) * 4), out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed setup must stop the test")]

    use super::*;

    #[test]
    fn records_of_any_length_are_copied_whole() {
        let records = [vec![2; 8], vec![4; 16], vec![2; 8]].concat();
        for (n, expected) in [(0, 0), (1, 8), (2, 24), (3, 32), (9, 32)] {
            let mut out = Vec::new();
            copy_records(&mut &records[..], &mut out, n).unwrap();
            assert_eq!(out, records[..expected], "{n}");
        }
    }
}
