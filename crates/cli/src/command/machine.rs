//! `lob machine`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use lob_metrics::{BUSY_SHARE, Unit, shown};
use lob_profiler::machine::{RoofBudget, measure_roof_within};

use crate::output;

/// Measure what this machine can do at best: memory, zstd, matrix product, disk
#[derive(clap::Args)]
#[command(after_help = "Example:\n  lob machine --json")]
pub(crate) struct Args {
    /// About 4 seconds instead of about 15
    #[arg(long)]
    quick: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    if !quiet && !args.json {
        eprintln!("measuring; leave the machine alone for a moment");
    }
    let budget = if args.quick { RoofBudget::Quick } else { RoofBudget::Full };
    // Disks are measured with files in it, which go with it whatever ends the command.
    let folder = std::env::temp_dir().join(format!("lob-machine-{}", std::process::id()));
    let (noted, ()) = lob_store::Unfinished::make(&folder, |path| std::fs::create_dir(path))
        .with_context(|| format!("cannot make `{}`", shown(folder.display())))?;
    let outcome = measure_roof_within(&folder, budget);
    let removed = std::fs::remove_dir_all(&folder);
    removed.with_context(|| format!("cannot remove `{}`", shown(folder.display())))?;
    drop(noted);
    let host = lob_profiler::host(None);
    if args.json {
        let missing: serde_json::Map<String, serde_json::Value> = outcome
            .missing
            .iter()
            .map(|(name, why)| (name.clone(), why.to_string().into()))
            .collect();
        let document = serde_json::json!({
            "host": host,
            "roof": outcome.roof,
            "spread": outcome.spread,
            "methods": outcome.methods,
            "others_cpu_share": outcome.others_cpu.as_ref().ok(),
            "unavailable": missing,
        });
        output::print_json(&document)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(share) = outcome.others_cpu.as_ref().ok().filter(|share| **share > BUSY_SHARE) {
        let share = Unit::Fraction.format(*share);
        output::print_line(&format!(
            "other programs used {share} of the cores meanwhile: each limit is at least what is shown"
        ))?;
    }
    output::print_line(&format!("{:<34}{}", "cpu", host.cpu.as_deref().unwrap_or("unknown")))?;
    let roof = serde_json::to_value(&outcome.roof).context("cannot encode the roof")?;
    for (name, value) in roof.as_object().into_iter().flatten() {
        let unit = match name.as_str() {
            name if name.ends_with("flop_per_s") => Unit::FlopPerSecond,
            name if name.ends_with("_per_s") => Unit::BytesPerSecond,
            _ => Unit::Seconds,
        };
        let text =
            value.as_f64().map(|v| unit.format(v)).unwrap_or_else(|| "not measured".to_owned());
        let spread = outcome.spread.get(name);
        let spread = spread.map_or(String::new(), |s| format!("  ±{:.1} %", s * 50.0));
        let method = outcome.methods.get(name).map_or(String::new(), |m| format!("  {m}"));
        output::print_line(format!("{name:<34}{text:<14}{spread}{method}").trim_end())?;
    }
    for (name, why) in &outcome.missing {
        output::print_line(&format!("{name:<34}unavailable: {why}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
