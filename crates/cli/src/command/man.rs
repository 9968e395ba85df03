//! `lob man`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use lob_metrics::shown;

/// Write the manual: a page for `lob` and one for each command
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob man --out ~/.local/share/man/man1
  man lob-convert")]
pub(crate) struct Args {
    /// Folder of the pages `lob.1`, `lob-convert.1`, ...; it is made
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(crate) fn run(args: &Args, lob: clap::Command) -> Result<ExitCode> {
    let shown = shown(args.out.display());
    fs::create_dir_all(&args.out).with_context(|| format!("cannot make `{shown}`"))?;
    clap_mangen::generate_to(lob, &args.out)
        .with_context(|| format!("cannot write the manual to `{shown}`"))?;
    Ok(ExitCode::SUCCESS)
}
