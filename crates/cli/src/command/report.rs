//! `lob report`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use lob_metrics::{Run, shown};
use lob_report::{Beside, Format, Rendered};
use lob_runs::{RunsError, read_history_file, read_run};

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
    /// Run document to show changes against (advisory)
    #[arg(long, value_name = "RUN.json")]
    baseline: Option<PathBuf>,
    /// History file to draw trends from (see `lob bench --history`)
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Folder to write into
    #[arg(long, default_value = ".")]
    out: PathBuf,
    /// Comma-separated: html, md, json, png, svg, txt, junit
    #[arg(long, value_delimiter = ',')]
    format: Vec<Format>,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    let formats = if args.format.is_empty() { &Format::ALL[..] } else { &args.format[..] };
    let baseline = args.baseline.as_deref().map(read_run).transpose()?;
    let history = args.history.as_deref().map(read_history_file).transpose()?.unwrap_or_default();
    let runs =
        args.runs.iter().map(|path| read_run(path)).collect::<Result<Vec<Run>, RunsError>>()?;
    for (path, run) in args.runs.iter().zip(&runs) {
        let folder = if args.runs.len() == 1 { args.out.clone() } else { args.out.join(&run.id) };
        let beside = Beside { baseline: baseline.as_ref(), history: &history, ..Beside::default() };
        let files = lob_report::render_all_beside(run, &beside, formats)
            .with_context(|| format!("cannot render `{}`", shown(path.display())))?;
        ensure!(
            !files.is_empty(),
            "`{}` is the profile of a program, which is drawn as html, md and json alone",
            shown(path.display())
        );
        write(&folder, files, quiet)?;
    }
    if runs.len() > 1 {
        let side_by_side = lob_report::render_runs(&runs.iter().collect::<Vec<_>>());
        write(&args.out, vec![side_by_side], quiet)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write(folder: &Path, files: Vec<Rendered>, quiet: bool) -> Result<()> {
    for file in files {
        let target = folder.join(&file.file_name);
        output::write_file(&target, &file.bytes)?;
        if !quiet {
            output::print_line(&shown(target.display()).to_string())?;
        }
    }
    Ok(())
}
