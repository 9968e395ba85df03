//! DBN records to tick bins: the decode ceiling, the store, and the replay of single orders.

mod pace;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use lob_convert::{ConvertConfig, ConvertSummary, RecordStream};
use lob_depth::{BinRule, LabelSpec};
use lob_metrics::{Direction, Input, Measurement, Severity, Unit, shown};
use lob_store::Store;

use super::Bench;
use super::recorder::Limit;
use crate::fit::Fit;

/// Name in the roof of decompressing the inputs and doing nothing else.
const INPUT_ROOF: &str = "input_zstd_decode_bytes_per_s";
const INPUT_ROOF_TITLE: &str = "bare zstd decode of this input";

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// Passes over the input for the decode ceiling.
const QUICK_PASSES: usize = 2;
const FULL_PASSES: usize = 5;

pub(super) fn decode(bench: &mut Bench<'_>) -> Result<()> {
    let passes = if bench.options.quick { QUICK_PASSES } else { FULL_PASSES };
    let (mut rates, mut cpu_rates, mut byte_rates) = (Vec::new(), Vec::new(), Vec::new());
    let mut updates_of = BTreeMap::new();
    for pass in 0..passes {
        updates_of.clear();
        let mut inputs = Vec::new();
        let (begun, cpu) = (Instant::now(), lob_scope::process_cpu_time_s());
        let (mut records, mut bytes) = (0, 0);
        for path in &bench.state.dbn {
            let _scope = lob_scope::scope("decode_file");
            let (input, decoded) = decode_file(path, &mut updates_of)?;
            records += input.records;
            bytes += decoded;
            inputs.push(input);
        }
        ensure!(records > 0, "the inputs hold no records");
        rates.push(records as f64 / begun.elapsed().as_secs_f64());
        if let (Ok(before), Ok(after)) = (cpu, lob_scope::process_cpu_time_s()) {
            cpu_rates.push(records as f64 / (after - before).max(f64::EPSILON));
            byte_rates.push(bytes as f64 / (after - before).max(f64::EPSILON));
        }
        if pass == 0 {
            bench.rec.count("decode.records", records as f64);
            bench.state.inputs = inputs;
        }
    }
    bench.rec.rate("decode.records_per_s", Unit::RecordsPerSecond, &rates, None);
    let demand = lob_metrics::Summary::of(&byte_rates).map_or(f64::NAN, |s| s.median);
    let ceiling = {
        let _scope = lob_scope::scope("decompress_only");
        decompression(&bench.state.dbn, passes)?
    };
    if let Some(ceiling) = ceiling {
        bench.state.roof.more.insert(INPUT_ROOF.to_owned(), ceiling);
    }
    let limit =
        Limit::of(demand, ceiling, INPUT_ROOF_TITLE, Unit::BytesPerSecond).map(Limit::unbounded);
    bench.rec.rate("decode.records_per_cpu_s", Unit::RecordsPerSecond, &cpu_rates, limit);

    let (&instrument, &updates) =
        updates_of.iter().max_by_key(|(_, n)| **n).context("the inputs hold no book update")?;
    bench.rec.count("decode.updates", updates_of.values().sum::<u64>() as f64);
    let fit = Fit::choose(updates, bench.options.n_bins).with_context(|| {
        format!("instrument {instrument} has {updates} book updates, too few for any window")
    })?;
    for note in &fit.notes {
        bench.rec.finding(Severity::Info, note.clone());
    }
    bench.state.fit = Some(fit);
    Ok(())
}

/// Decompressed bytes per CPU second of the inputs' zstd frames alone, read as a stream and thrown
/// away: what no decoder of these very files can beat. `None` when no input is compressed or the
/// CPU clock cannot be read.
fn decompression(inputs: &[PathBuf], passes: usize) -> Result<Option<f64>> {
    let mut best: Option<f64> = None;
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..passes {
        let (mut bytes, cpu) = (0, lob_scope::process_cpu_time_s());
        for path in inputs {
            let mut file = File::open(path)
                .with_context(|| format!("cannot open `{}`", shown(path.display())))?;
            let mut magic = [0; ZSTD_MAGIC.len()];
            if file.read_exact(&mut magic).is_err() || magic != ZSTD_MAGIC {
                continue;
            }
            file.rewind()?;
            let mut stream = zstd::Decoder::new(file)?;
            loop {
                match stream.read(&mut buffer)? {
                    0 => break,
                    n => bytes += n,
                }
            }
        }
        if let (true, Ok(before), Ok(after)) = (bytes > 0, cpu, lob_scope::process_cpu_time_s()) {
            let rate = bytes as f64 / (after - before).max(f64::EPSILON);
            best = Some(best.map_or(rate, |b: f64| b.max(rate)));
        }
    }
    Ok(best)
}

fn decode_file(path: &Path, updates_of: &mut BTreeMap<u32, u64>) -> Result<(Input, u64)> {
    let mut stream = RecordStream::open(path)?;
    while let Some(update) = stream.next()? {
        *updates_of.entry(update.hd.instrument_id).or_insert(0) += 1;
    }
    let schema = stream.schema().map_or("unknown", |s| s.as_str()).to_owned();
    let counts = stream.counts();
    let replayed = (schema == "mbo").then_some(counts.updates);
    let input = Input {
        path: path.display().to_string(),
        sha256: stream.sha256().context("a file read to its end has a hash")?,
        fingerprint: stream.fingerprint(),
        bytes: stream.file_bytes(),
        records: counts.records,
        schema,
        mbp10_updates: replayed,
    };
    Ok((input, counts.decoded_bytes))
}

pub(super) fn bins(bench: &mut Bench<'_>) -> Result<()> {
    let mut fit = bench.fit()?;
    let store = bench.work.join("store");
    // Breaks in the data (sessions, gaps, book clears) can leave runs shorter than the updates
    // alone promise; then the bins get smaller until a window fits.
    let (summary, fit) = loop {
        let summary = run(bench, &bench.state.dbn.clone(), &store, &fit)?;
        let longest = longest_run(&store)?;
        if longest >= fit.n_bins as u64 * 2 {
            break (summary, fit);
        }
        let Some(smaller) = fit.smaller(longest) else {
            bail!(
                "the longest run without a break has {longest} bins of {} updates",
                fit.ticks_per_bin
            );
        };
        std::fs::remove_dir_all(&store)
            .with_context(|| format!("cannot clear `{}`", shown(store.display())))?;
        fit = smaller;
    };
    report(bench, &summary, &fit, "convert")?;
    let config = config(bench, bench.work, &bench.state.dbn, &fit)?;
    pace::measure(bench, &config)?;
    let windows = windows(&store, fit.n_bins)?;
    bench.rec.count("convert.windows", windows as f64);
    let image_bytes = windows as f64 * (lob_depth::ROWS * fit.n_bins * size_of::<f32>()) as f64;
    let stored: u64 = summary.outputs.iter().map(|o| o.bytes).sum();
    bench.rec.finding(
        Severity::Info,
        format!(
            "{windows} windows in {}; as stored f32 images they would take {}",
            Unit::Bytes.format(stored as f64),
            Unit::Bytes.format(image_bytes)
        ),
    );
    bench.state.notes.extend(fit.notes.iter().cloned());
    bench.state.notes.extend(summary.warnings.iter().cloned());
    bench.state.fit = Some(fit);
    bench.state.store = Some(store);
    Ok(())
}

pub(super) fn replay(bench: &mut Bench<'_>) -> Result<()> {
    let Some(path) = bench.state.mbo_twin.clone() else {
        let why = "the files given are the input; there is no synthetic twin to replay";
        bench.rec.skipped = Some(why.to_owned());
        return Ok(());
    };
    let fit = bench.fit()?;
    let store = bench.work.join("store-mbo");
    let summary = run(bench, &[path], &store, &fit)?;
    report(bench, &summary, &fit, "replay")?;
    for input in &summary.inputs {
        bench.rec.count("replay.mbp10_updates", input.updates as f64);
        bench.state.inputs.push(Input {
            path: input.path.display().to_string(),
            sha256: input.sha256.clone().unwrap_or_default(),
            fingerprint: input.fingerprint.clone(),
            bytes: input.bytes,
            records: input.records,
            schema: input.schema.clone(),
            mbp10_updates: Some(input.updates),
        });
    }
    Ok(())
}

fn run(bench: &Bench<'_>, inputs: &[PathBuf], out: &Path, fit: &Fit) -> Result<ConvertSummary> {
    let config = config(bench, out, inputs, fit)?;
    let _scope = lob_scope::scope("convert");
    Ok(lob_convert::convert(inputs, &config, &())?)
}

fn config(bench: &Bench<'_>, out: &Path, inputs: &[PathBuf], fit: &Fit) -> Result<ConvertConfig> {
    let label = LabelSpec {
        lookback: u32::try_from(fit.lookback)?,
        lookforward: u32::try_from(fit.lookforward)?,
        offset: u32::try_from(fit.offset)?,
        ..LabelSpec::default()
    };
    Ok(ConvertConfig {
        bin_rule: BinRule::Updates(fit.ticks_per_bin),
        label,
        jobs: bench.options.workers.clamp(1, inputs.len().max(1)),
        ..ConvertConfig::new(out)
    })
}

fn report(bench: &mut Bench<'_>, summary: &ConvertSummary, fit: &Fit, name: &str) -> Result<()> {
    bench.rec.config("ticks_per_bin", fit.ticks_per_bin);
    bench.rec.config("n_bins", fit.n_bins);
    bench.rec.config("lookback", fit.lookback);
    bench.rec.config("lookforward", fit.lookforward);
    bench.rec.config("offset", fit.offset);
    let records = summary.records as f64;
    let wall = records / summary.elapsed_s;
    bench.rec.rate(&format!("{name}.records_per_s"), Unit::RecordsPerSecond, &[wall], None);
    if name != "convert" {
        let metric = format!("{name}.records_per_cpu_s");
        match summary.cpu_s {
            Some(cpu_s) if cpu_s > 0.0 => {
                bench.rec.rate(&metric, Unit::RecordsPerSecond, &[records / cpu_s], None);
            }
            _ => pace::unavailable(bench, &metric),
        }
    }
    bench.rec.latency_value(&format!("{name}.record"), summary.elapsed_s / records);
    bench.rec.count(&format!("{name}.rows"), summary.rows as f64);
    bench.rec.count(&format!("{name}.labelled_rows"), summary.samples as f64);
    let bytes: u64 = summary.outputs.iter().map(|o| o.bytes).sum();
    bench.rec.add(Measurement::measured(
        &format!("{name}.store_bytes"),
        Unit::Bytes,
        Direction::LowerIsBetter,
        &[bytes as f64],
    ));
    for output in &summary.outputs {
        bench.rec.config(&format!("price_step {} {}", output.symbol, output.day), {
            output.price_step as f64 / lob_depth::PRICE_SCALE as f64
        });
    }
    for (reason, n) in &summary.skipped {
        bench.rec.finding(Severity::Info, format!("{n} skipped: {reason}"));
    }
    ensure!(summary.rows > 0, "no bin was written");
    Ok(())
}

fn longest_run(store: &Path) -> Result<u64> {
    let store = Store::open(store)?;
    Ok(store.files().iter().flat_map(|f| &f.meta().segments).map(|s| s.rows).max().unwrap_or(0))
}

fn windows(store: &Path, n_bins: usize) -> Result<u64> {
    let store = Store::open(store)?;
    let rows = store.files().iter().flat_map(|f| &f.meta().segments).map(|s| s.rows);
    Ok(rows.map(|rows| (rows + 1).saturating_sub(n_bins as u64)).sum())
}
