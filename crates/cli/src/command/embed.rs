//! `lob embed`.

mod npy;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use lob_contrastive::{ContrastiveError, Device, Embedder, ModelFile, WindowScratch, open_store};
use lob_metrics::{Unit, shown};

use super::windows::{ChoiceArgs, Opened, Purpose, Source, open_for, other_data, window_of};
use crate::{interrupt, output};
use npy::NpyFile;
use table::EmbeddingTable;

/// Embed every window of a source with a trained model
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob embed runs/a/model.safetensors store --out embeddings.parquet
  lob embed model.safetensors store --out embeddings.npy --json
  lob embed runs/a store --symbols ESM4 --days 2024-01-02.. --out embeddings.parquet --all-windows

Parquet has a row for each window: instrument_id, symbol, file (number and name), row, ts_first and
ts_event (first and last update), part, each label of the store at the last bin with its class, then
e000, e001 and so on. Parts are train, validation and test as the model was trained; of another store
none. The .npy file has the embeddings alone, windows by dimensions, in the same order.")]
pub(crate) struct Args {
    /// Model written by `lob train`, or the folder of its run
    model: PathBuf,
    /// A store, one of its files, or generated:KIND
    source: Source,
    /// Where to write, .parquet or .npy
    #[arg(long, value_name = "X.parquet|X.npy")]
    out: PathBuf,
    #[command(flatten)]
    choice: ChoiceArgs,
    /// Also the windows of the training store that lie over a cut or in an embargo, as part `embargo`
    #[arg(long)]
    all_windows: bool,
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

/// Where embeddings go.
enum Target {
    Parquet(Box<EmbeddingTable>),
    Npy(NpyFile),
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    let is_parquet = match args.out.extension().and_then(|e| e.to_str()) {
        Some("parquet") => true,
        Some("npy") => false,
        _ => bail!("`{}` is neither .parquet nor .npy", shown(args.out.display())),
    };
    ensure!(args.batch_size > 0, "--batch-size is 0, expected at least 1");
    let model = ModelFile::load(&args.model)?;
    let mut embedder = Embedder::new(&model.model, args.device)?;
    if let Some(fallback) = embedder.device().fallback.as_ref().filter(|_| !quiet) {
        eprintln!("{fallback}");
    }
    let (choice, purpose) = (args.choice.choice(), Purpose::Embed { all: args.all_windows });
    let opened = open_for(&model, &args.source, &choice, purpose)?;
    let prepared = &opened.prepared;
    if let Some(note) = other_data(&model, prepared).filter(|_| !quiet) {
        eprintln!("{note}");
    }
    let begun = Instant::now();
    // Until here a signal ends the process as it is, with nothing begun.
    interrupt::watch();
    let dim = model.model.embedding_dim();
    let mut target = if is_parquet {
        let store = args.source.path().map(|path| open_store(path, &choice)).transpose()?;
        let sizes = (window_of(&model.input), dim);
        Target::Parquet(Box::new(EmbeddingTable::create(
            &args.out,
            prepared,
            store,
            sizes,
            &args.model,
        )?))
    } else {
        Target::Npy(NpyFile::create(&args.out, dim)?)
    };
    let (n, n_skipped) = embed(args, &mut embedder, &opened, dim, &mut target)?;
    let sha256 = match target {
        Target::Parquet(table) => Some(table.finish()?),
        Target::Npy(file) => {
            file.finish()?;
            None
        }
    };
    let elapsed_s = begun.elapsed().as_secs_f64();
    if args.json {
        output::print_json(&serde_json::json!({
            "windows": n,
            "skipped": n_skipped,
            "embedding_dim": dim,
            "windows_per_s": n as f64 / elapsed_s,
            "elapsed_s": elapsed_s,
            "device": embedder.device().device.to_string(),
            "out": args.out,
            "split": opened.split(),
            "data": prepared.data,
            "model_data": model.data,
            "sha256": sha256,
        }))?;
    } else if !quiet {
        output::print_line(&format!(
            "{n} windows of {dim} dimensions, {}, {n_skipped} skipped: {}",
            Unit::SamplesPerSecond.format(n as f64 / elapsed_s),
            shown(args.out.display())
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The part of each window, in words.
fn parts(opened: &Opened) -> Vec<&'static str> {
    let split = &opened.prepared.split;
    let mut parts = vec!["none"; opened.prepared.origins.len()];
    if opened.cut_by == "model" {
        parts.fill("embargo");
        for (name, part) in
            [("train", &split.train), ("validation", &split.validation), ("test", &split.test)]
        {
            part.iter().for_each(|&idx| parts[idx] = name);
        }
    }
    parts
}

/// Embeds all windows into `target`: how many, and how many have no two-sided bin and no row.
fn embed(
    args: &Args,
    embedder: &mut Embedder,
    opened: &Opened,
    dim: usize,
    target: &mut Target,
) -> Result<(usize, usize)> {
    let prepared = &opened.prepared;
    let parts = parts(opened);
    let n_inputs = prepared.whole.n_inputs();
    let (mut scratch, mut one) = (WindowScratch::default(), vec![0.0; n_inputs]);
    let (mut windows, mut batch, mut embeddings) = (Vec::new(), Vec::new(), Vec::new());
    let (n, mut n_rows, mut n_skipped) = (prepared.whole.len(), 0, 0);
    for idx in 0..n {
        match prepared.whole.window(idx, &mut scratch, &mut one) {
            Ok(()) => {
                windows.extend_from_slice(&one);
                batch.push(idx);
            }
            Err(ContrastiveError::EmptyWindow { .. }) => n_skipped += 1,
            Err(error) => return Err(error.into()),
        }
        if batch.len() == args.batch_size || idx + 1 == n {
            embeddings.resize(batch.len() * dim, 0.0);
            embedder.embed_into(&windows, &mut embeddings)?;
            match target {
                Target::Npy(file) => file.push(&embeddings)?,
                Target::Parquet(table) => {
                    for (&idx, embedding) in batch.iter().zip(embeddings.chunks_exact(dim)) {
                        table.push(&prepared.origins[idx], parts[idx], embedding)?;
                    }
                }
            }
            n_rows += batch.len();
            windows.clear();
            batch.clear();
            ensure!(!interrupt::requested(), "interrupted after {idx} of {n} windows");
        }
    }
    ensure!(n_rows > 0, "no window has a bin with a bid and an ask");
    Ok((n_rows, n_skipped))
}
