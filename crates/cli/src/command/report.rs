//! `lob report`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use lob_metrics::Run;
use lob_report::Format;

use crate::output;

/// Draw reports from Run documents
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob report results/latest/run.json --out report/
  lob report run.json --format md,junit --out ci/")]
pub(crate) struct Args {
    /// Run documents; with several, each gets a folder of its own under --out
    #[arg(required = true, value_name = "RUN.json")]
    runs: Vec<PathBuf>,
    /// Folder to write into
    #[arg(long, default_value = ".")]
    out: PathBuf,
    /// Comma-separated: html, md, json, png, txt, junit
    #[arg(long, value_delimiter = ',')]
    format: Vec<Format>,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    let formats = if args.format.is_empty() { &Format::ALL[..] } else { &args.format[..] };
    for path in &args.runs {
        let run = read_run(path)?;
        let folder = if args.runs.len() == 1 { args.out.clone() } else { args.out.join(&run.id) };
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make `{}`", folder.display()))?;
        let rendered = lob_report::render_all(&run, formats)
            .with_context(|| format!("cannot render `{}`", path.display()))?;
        for file in rendered {
            let target = folder.join(&file.file_name);
            output::write_file(&target, &file.bytes)?;
            if !quiet {
                output::print_line(&target.display().to_string())?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a Run document and refuses what is none.
pub(crate) fn read_run(path: &Path) -> Result<Run> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    Run::from_json(&text).with_context(|| format!("`{}` is no Run document", path.display()))
}
