//! `lob embed`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use lob_contrastive::{
    ContrastiveError, Device, Embedder, ModelFile, Origin, Prepared, WindowScratch,
};
use lob_metrics::{Unit, shown};
use lob_store::{Cells, Column, ColumnKind, StoreFingerprint, TableWriter};

use super::windows::{Source, open_for, other_data};
use crate::{interrupt, output};

/// Embed every window of a source with a trained model
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob embed runs/a/model.safetensors store --out embeddings.parquet
  lob embed model.safetensors store --out embeddings.npy --json

Parquet has a row for each window: instrument_id, file, row, ts_event, then e000, e001 and so on.
The .npy file has the embeddings alone, windows by dimensions, in the same order.")]
pub(crate) struct Args {
    /// Model written by `lob train`, or the folder of its run
    model: PathBuf,
    /// A store, one of its files, or generated:KIND
    source: Source,
    /// Where to write, .parquet or .npy
    #[arg(long, value_name = "X.parquet|X.npy")]
    out: PathBuf,
    /// Windows embedded at a time
    #[arg(long, default_value_t = 256)]
    batch_size: usize,
    /// auto, cpu or cuda
    #[arg(long, default_value = "auto")]
    device: Device,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Version of the Parquet table; docs/FORMATS.md says what raises it.
const EMBEDDINGS_VERSION: u32 = 1;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Parquet,
    Npy,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    let format = match args.out.extension().and_then(|e| e.to_str()) {
        Some("parquet") => Format::Parquet,
        Some("npy") => Format::Npy,
        _ => bail!("`{}` is neither .parquet nor .npy", shown(args.out.display())),
    };
    ensure!(args.batch_size > 0, "--batch-size is 0, expected at least 1");
    let model = ModelFile::load(&args.model)?;
    let mut embedder = Embedder::new(&model.model, args.device)?;
    if let Some(fallback) = embedder.device().fallback.as_ref().filter(|_| !quiet) {
        eprintln!("{fallback}");
    }
    let prepared = open_for(&model, &args.source)?;
    if let Some(note) = other_data(&model, &prepared).filter(|_| !quiet) {
        eprintln!("{note}");
    }
    let begun = Instant::now();
    // Until here a signal ends the process as it is, with nothing begun.
    interrupt::watch();
    let rows = embed(args, &mut embedder, &prepared, model.model.embedding_dim())?;
    let elapsed_s = begun.elapsed().as_secs_f64();
    let sha256 = match format {
        Format::Parquet => Some(write_parquet(&args.out, &rows, &args.model, prepared.data)?),
        Format::Npy => {
            let shape = [rows.origins.len(), rows.dim];
            let bytes = lob_depth::encode_npy(&shape, &rows.values)?;
            lob_store::write_file(&args.out, &bytes)
                .with_context(|| format!("cannot write `{}`", shown(args.out.display())))?;
            None
        }
    };
    let n = rows.origins.len();
    if args.json {
        output::print_json(&serde_json::json!({
            "windows": n,
            "skipped": rows.n_skipped,
            "embedding_dim": rows.dim,
            "windows_per_s": n as f64 / elapsed_s,
            "elapsed_s": elapsed_s,
            "device": embedder.device().device.to_string(),
            "out": args.out,
            "data": prepared.data,
            "model_data": model.data,
            "sha256": sha256,
        }))?;
    } else if !quiet {
        output::print_line(&format!(
            "{n} windows of {} dimensions, {}, {} skipped: {}",
            rows.dim,
            Unit::SamplesPerSecond.format(n as f64 / elapsed_s),
            rows.n_skipped,
            shown(args.out.display())
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Embeddings with the places of their windows.
struct Rows {
    dim: usize,
    values: Vec<f32>,
    origins: Vec<Origin>,
    /// Windows without a two-sided bin.
    n_skipped: usize,
}

fn embed(args: &Args, embedder: &mut Embedder, prepared: &Prepared, dim: usize) -> Result<Rows> {
    let n_inputs = prepared.whole.n_inputs();
    let mut rows = Rows { dim, values: Vec::new(), origins: Vec::new(), n_skipped: 0 };
    let mut windows = Vec::with_capacity(args.batch_size * n_inputs);
    let (mut scratch, mut one) = (WindowScratch::default(), vec![0.0; n_inputs]);
    let n = prepared.whole.len();
    for idx in 0..n {
        match prepared.whole.window(idx, &mut scratch, &mut one) {
            Ok(()) => {
                windows.extend_from_slice(&one);
                rows.origins.push(prepared.origins[idx]);
            }
            Err(ContrastiveError::EmptyWindow { .. }) => rows.n_skipped += 1,
            Err(error) => return Err(error.into()),
        }
        if windows.len() == args.batch_size * n_inputs || idx + 1 == n {
            let first = rows.values.len();
            rows.values.resize(first + windows.len() / n_inputs * dim, 0.0);
            embedder.embed_into(&windows, &mut rows.values[first..])?;
            windows.clear();
            ensure!(!interrupt::requested(), "interrupted after {idx} of {n} windows");
        }
    }
    ensure!(!rows.origins.is_empty(), "no window has a bin with a bid and an ask");
    Ok(rows)
}

fn write_parquet(
    path: &Path,
    rows: &Rows,
    model: &Path,
    data: Option<StoreFingerprint>,
) -> Result<String> {
    let mut columns = vec![
        Column::new("instrument_id", ColumnKind::U64),
        Column::new("file", ColumnKind::U64),
        Column::new("row", ColumnKind::U64),
        Column::new("ts_event", ColumnKind::Timestamp),
    ];
    columns.extend((0..rows.dim).map(|i| Column::new(format!("e{i:03}"), ColumnKind::F32)));
    let mut writer = TableWriter::create(path, &columns)?;
    writer.describe("loblab:embeddings", EMBEDDINGS_VERSION.to_string());
    writer.describe("loblab:model", model.display().to_string());
    if let Some(data) = data {
        writer.describe("loblab:data", data.to_string());
    }
    let of = |f: &dyn Fn(&Origin) -> Option<u64>| -> Vec<Option<u64>> {
        rows.origins.iter().map(f).collect()
    };
    let instruments = of(&|o| o.instrument_id.map(u64::from));
    let (files, places) = (of(&|o| Some(o.file as u64)), of(&|o| Some(o.row)));
    let times = of(&|o| o.ts_event);
    let dims: Vec<Vec<f32>> = (0..rows.dim)
        .map(|i| rows.values.iter().skip(i).step_by(rows.dim).copied().collect())
        .collect();
    let mut cells =
        vec![Cells::U64(&instruments), Cells::U64(&files), Cells::U64(&places), Cells::U64(&times)];
    cells.extend(dims.iter().map(|dim| Cells::F32(dim)));
    writer.push(&cells)?;
    Ok(writer.finish()?.sha256)
}
