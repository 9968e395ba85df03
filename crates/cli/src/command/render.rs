//! `lob render`.

mod dbn;
mod encode;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use lob_convert::PriceStepChoice;
use lob_dataloader::{Dataset, Scratch, WindowSpec};
use lob_depth::{Dtype, Feature, Geometry, Normalise, RenderSpec, SizeAggregate};
use lob_metrics::shown;

use crate::output;

/// Render one depth image from a DBN file or a store
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob render store --index 100 --out image.png
  lob render day.mbp-10.dbn.zst --rows 0..50000 --ticks-per-bin 100 --out image.npy
  lob render day.mbo.dbn.zst --symbol ESM4 --features volume,variance --dtype f16 --out image.npy

The .npy has shape (features, 402, bins), C order; row 0 is the highest price.")]
pub(crate) struct Args {
    /// A DBN file, a store, or a file of a store
    source: PathBuf,
    /// DBN: symbol, instrument id or SYMBOL@ID; needed when there are several
    #[arg(long)]
    symbol: Option<String>,
    /// DBN: book updates of the instrument, counted from 0; all by default. The image shows the last
    /// bins between two breaks: a cleared book, a gap of more than 30 minutes, midnight UTC
    #[arg(long, value_name = "START..END")]
    rows: Option<Rows>,
    /// Store: which window
    #[arg(long)]
    index: Option<u64>,
    /// DBN: book updates a bin [default: 100]
    #[arg(long)]
    ticks_per_bin: Option<u32>,
    /// Columns of the image
    #[arg(long, default_value_t = 500)]
    bins: usize,
    /// Comma-separated: volume, variance, trade_counts, order_flow_imbalance, microprice
    #[arg(long, value_delimiter = ',', default_value = "volume")]
    features: Vec<Feature>,
    /// contiguous or compat
    #[arg(long, default_value = "contiguous")]
    geometry: Geometry,
    /// max, none, signed-log or constant=X
    #[arg(long, default_value = "max")]
    normalise: Normalise,
    /// Cell type of the .npy
    #[arg(long, value_enum, default_value = "f32")]
    dtype: DtypeArg,
    /// DBN: median, mean or last size of a bin [default: median]
    #[arg(long)]
    size_aggregate: Option<SizeAggregate>,
    /// DBN: price of one row, or auto [default: auto]
    #[arg(long, visible_alias = "micro-pip", value_name = "auto|X")]
    price_step: Option<PriceStepChoice>,
    /// Where to write: .npy or .png
    #[arg(long)]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum DtypeArg {
    F32,
    F16,
    Bf16,
    U8,
}

impl DtypeArg {
    fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::Bf16 => Dtype::Bf16,
            Self::U8 => Dtype::U8,
        }
    }
}

/// A half-open range of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rows {
    start: u64,
    end: u64,
}

impl std::str::FromStr for Rows {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bounds = text.split_once("..").and_then(|(start, end)| {
            Some(Self { start: start.parse().ok()?, end: end.parse().ok()? })
        });
        bounds.filter(|rows| rows.start < rows.end).ok_or_else(|| {
            "expected `START..END` with START below END, such as `0..50000`".to_owned()
        })
    }
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    let format = PictureFormat::of(&args.out)?;
    let spec = RenderSpec {
        features: args.features.clone(),
        geometry: args.geometry,
        normalise: args.normalise,
        n_bins: args.bins,
    };
    spec.validate()?;
    let image =
        if is_store(&args.source) { from_store(args, &spec)? } else { dbn::image(args, &spec)? };
    let bytes = match format {
        PictureFormat::Npy => encode::npy(&spec, &image, args.dtype.dtype())?,
        PictureFormat::Png => encode::png(&spec, &image)?,
    };
    output::write_file(&args.out, &bytes)?;
    if !quiet {
        let [planes, rows, bins] = spec.shape();
        eprintln!("wrote {planes} x {rows} x {bins} to {}", shown(args.out.display()));
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Clone, Copy)]
enum PictureFormat {
    Npy,
    Png,
}

impl PictureFormat {
    fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("npy") => Ok(Self::Npy),
            Some("png") => Ok(Self::Png),
            _ => bail!(
                "`{}` ends in neither .npy nor .png\nhint: the ending chooses the format",
                shown(path.display())
            ),
        }
    }
}

fn is_store(path: &Path) -> bool {
    path.is_dir() || path.extension().is_some_and(|e| e == "parquet")
}

/// A store has its bins fixed; settings that only a DBN file can follow are refused.
fn from_store(args: &Args, spec: &RenderSpec) -> Result<Vec<f32>> {
    let fixed = [
        ("--symbol", args.symbol.is_some()),
        ("--rows", args.rows.is_some()),
        ("--ticks-per-bin", args.ticks_per_bin.is_some()),
        ("--size-aggregate", args.size_aggregate.is_some()),
        ("--price-step", args.price_step.is_some()),
    ];
    if let Some((flag, _)) = fixed.into_iter().find(|(_, given)| *given) {
        bail!(
            "`{flag}` was given for a store, whose bins are already made\nhint: it works on a DBN file; \
             for a store, convert again"
        );
    }
    let window = WindowSpec { n_bins: args.bins, stride: 1 };
    let dataset = Dataset::open(&args.source, window, spec.clone())?;
    let index = args.index.unwrap_or(0);
    let mut image = vec![0.0; spec.len()];
    dataset
        .get(index, &mut Scratch::default(), &mut image)
        .with_context(|| format!("cannot render window {index} of {}", dataset.len()))?;
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_half_open_and_not_empty() {
        assert_eq!("0..500".parse(), Ok(Rows { start: 0, end: 500 }));
        for bad in ["", "5", "5..5", "6..5", "a..b", "1..-2", "1...2"] {
            assert!(bad.parse::<Rows>().is_err(), "{bad}");
        }
    }
}
