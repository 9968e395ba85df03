//! `lob schema`.

use std::process::ExitCode;

use anyhow::Result;

pub(crate) fn run() -> Result<ExitCode> {
    crate::output::print_json(&lob_metrics::run_schema())?;
    Ok(ExitCode::SUCCESS)
}
