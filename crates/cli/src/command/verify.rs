//! `lob verify`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use lob_convert::{Defect, DefectKind, VerifyReport};
use lob_metrics::shown;

use crate::{interrupt, output};

/// Look for damage in DBN files: truncation, bad frames, impossible records, odd books
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lob verify data/*.dbn.zst --json\n\nExit code 2 when data is lost."
)]
pub(crate) struct Args {
    /// DBN files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Instruments named one by one.
const INSTRUMENTS_SHOWN: usize = 20;

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    interrupt::watch();
    let mut reports = Vec::new();
    let mut is_sound = true;
    for file in &args.files {
        let report = lob_convert::verify_with(file, &interrupt::Stop)?;
        is_sound &= report.is_sound();
        if !args.json {
            print(&report)?;
        }
        reports.push(report);
    }
    if args.json {
        output::print_json(&serde_json::json!({ "sound": is_sound, "files": reports }))?;
    }
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn print(report: &VerifyReport) -> Result<()> {
    let verdict = if report.is_sound() { "sound" } else { "DAMAGED" };
    output::print_line(&format!(
        "{verdict:<8}{}: {} records, {} book updates, schema {}",
        shown(report.path.display()),
        report.records,
        report.updates,
        report.schema.as_deref().unwrap_or("unknown"),
    ))?;
    for defect in &report.defects {
        let record = defect.record_index.map_or(String::new(), |n| format!(", record {n}"));
        output::print_line(&format!(
            "        byte {}{record}: {}",
            defect.byte_offset,
            message(defect)
        ))?;
    }
    if report.defects_unlisted > 0 {
        output::print_line(&format!("        and {} more", report.defects_unlisted))?;
    }
    for count in report.instruments.iter().take(INSTRUMENTS_SHOWN) {
        output::print_line(&format!("        {}", shown(count)))?;
    }
    if report.instruments.len() > INSTRUMENTS_SHOWN {
        let more = report.instruments.len() - INSTRUMENTS_SHOWN;
        output::print_line(&format!("        and {more} more instruments; --json lists all"))?;
    }
    for (kind, n) in &report.skipped {
        output::print_line(&format!("        skipped {n}: {kind}"))?;
    }
    let o = &report.oddities;
    let odd = [
        ("crossed books", o.crossed),
        ("locked books", o.locked),
        ("one-sided books", o.one_sided),
        ("empty books", o.empty),
        ("book clears", o.clears),
        ("ts_recv backwards", o.ts_recv_backwards),
        ("sequence backwards", o.sequence_backwards),
        ("sequence gaps", o.sequence_gaps),
        ("MAYBE_BAD_BOOK records", o.maybe_bad_book),
        ("BAD_TS_RECV records", o.bad_ts_recv),
        ("records without a usable time", o.untimed),
        ("cancels of unknown orders", o.unknown_cancels),
        ("modifies of unknown orders", o.unknown_modifies),
        ("adds of orders that rest already", o.duplicate_adds),
        ("cancels of more than an order has", o.oversized_cancels),
    ];
    for (name, n) in odd.into_iter().filter(|(_, n)| *n > 0) {
        output::print_line(&format!("        {n} {name}"))?;
    }
    Ok(())
}

/// What is wrong, on one line where it quotes symbols.
fn message(defect: &Defect) -> String {
    match defect.kind {
        DefectKind::Mapping => shown(&defect.message).to_string(),
        _ => output::in_lines(&defect.message),
    }
}
