//! `lob store`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Subcommand;
use lob_convert::{ConvertError, UpgradeSummary, upgrade};
use lob_metrics::shown;

use crate::{interrupt, output};

/// Look after stores
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Upgrade(UpgradeArgs),
}

/// Write a store of bins of an older version anew
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob store upgrade store --out store-v2
  lob store upgrade store --out store-v2 --json

The new store has the same rows, images and labels. What the old version does not say, such as the
order flow, is null in it, and `lob inspect` names it. The old store stays as it is.")]
struct UpgradeArgs {
    /// The store
    store: PathBuf,
    /// Folder of the new store, which is made
    #[arg(long)]
    out: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    let What::Upgrade(args) = &args.what;
    interrupt::watch();
    match upgrade(&args.store, &args.out, &interrupt::Stop) {
        Ok(summary) => print(args, quiet, &summary)?,
        Err(ConvertError::Interrupted) => bail!("stopped before the end; nothing is left behind"),
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn print(args: &UpgradeArgs, quiet: bool, summary: &UpgradeSummary) -> Result<()> {
    if args.json {
        return output::print_json(summary);
    }
    if quiet {
        return Ok(());
    }
    for file in &summary.files {
        output::print_line(&format!(
            "{}: version {}, {} bins, {} bytes, now {}",
            shown(file.path.display()),
            file.from_version,
            file.rows,
            file.bytes_before,
            file.bytes
        ))?;
    }
    Ok(())
}
