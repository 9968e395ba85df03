//! `lob convert --fit-edges`.

use std::process::ExitCode;

use anyhow::Result;
use lob_convert::fit_edges;
use lob_metrics::shown;

use super::{Args, bar, file, settings};
use crate::{interrupt, output};

pub(super) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    let config = settings::config(&file::merged(args)?)?;
    interrupt::watch();
    let progress = bar::Bar::new(quiet || args.json);
    let outcome = fit_edges(&args.inputs, &config, args.fit_days, &args.out, &progress);
    progress.finish();
    let summary = outcome?;
    for warning in &summary.warnings {
        eprintln!("warning: {}", shown(warning));
    }
    if args.json {
        output::print_json(&summary)?;
        return Ok(ExitCode::SUCCESS);
    }
    if quiet {
        return Ok(ExitCode::SUCCESS);
    }
    for fitted in &summary.edges {
        output::print_line(&shown(fitted.path.display()).to_string())?;
    }
    eprintln!(
        "edges of {} instruments from {} inputs; {} begin after all first days and were not read",
        summary.edges.len(),
        summary.inputs.len(),
        summary.later
    );
    Ok(ExitCode::SUCCESS)
}
