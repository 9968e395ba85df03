//! `lob inspect`.

mod artefact;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use lob_convert::{
    DbnInspection, DefectKind, Inspection, LabelCounts, StoreInspection, inspect_with,
};
use lob_metrics::shown;
use lob_store::NamedLabel;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    interrupt,
    output::{self, print_line},
};

/// Show what is in a DBN file, a store, a model, a run folder or embeddings
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob inspect day.mbo.dbn.zst
  lob inspect store --json
  lob inspect runs/a/model.safetensors
  lob inspect runs/a")]
pub(crate) struct Args {
    /// A DBN file, a store or a file of one, a model, a checkpoint, a run folder, or embeddings
    path: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if artefact::show(&args.path, args.json)? {
        return Ok(ExitCode::SUCCESS);
    }
    interrupt::watch();
    let found = inspect_with(&args.path, &interrupt::Stop)?;
    if args.json {
        output::print_json(&found)?;
    } else {
        match &found {
            Inspection::Dbn(dbn) => print_dbn(dbn)?,
            Inspection::Store(store) => print_store(store)?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_dbn(found: &DbnInspection) -> Result<()> {
    let report = &found.report;
    let unknown = || "unknown".to_owned();
    fact("file", &report.path.display().to_string())?;
    fact("bytes", &report.bytes.to_string())?;
    fact("sha256", &report.sha256)?;
    fact("dbn version", &report.dbn_version.map_or_else(unknown, |v| v.to_string()))?;
    fact("dataset", &report.dataset.clone().unwrap_or_else(unknown))?;
    fact("schema", &report.schema.clone().unwrap_or_else(unknown))?;
    fact("symbols", &found.symbols.join(", "))?;
    fact("records", &report.records.to_string())?;
    fact("book updates", &report.updates.to_string())?;
    for instrument in &report.instruments {
        fact("instrument", &instrument.to_string())?;
    }
    let range = report.ts_range.map_or_else(unknown, |(a, b)| format!("{} to {}", utc(a), utc(b)));
    fact("time range", &range)?;
    for defect in report.defects.iter().filter(|defect| defect.kind == DefectKind::Mapping) {
        fact("warning", &defect.message)?;
    }
    fact("health", &format!("{} defects; `lob verify` names them", report.defects.len()))
}

fn print_store(found: &StoreInspection) -> Result<()> {
    fact("store", &found.path.display().to_string())?;
    fact("files", &found.files.len().to_string())?;
    fact("bins", &found.rows.to_string())?;
    fact("labelled", &found.samples.to_string())?;
    fact("book updates", &found.updates.to_string())?;
    let verdict = found.class_verdict.zip(found.class_deviation_points);
    let verdict = verdict.map_or_else(String::new, |(word, points)| {
        format!(": {word}, at most {points:.1} points from equal shares")
    });
    fact("classes", &format!("{:?}{verdict}", found.class_counts))?;
    print_labels(found)?;
    for file in &found.files {
        let step = file.price_step as f64 / lob_depth::PRICE_SCALE as f64;
        print_line(&format!(
            "  {} {:<12}{:>9} bins ({}), longest run {}, price step {step}, from {}",
            shown(&file.day),
            shown(&file.symbol).to_string(),
            file.rows,
            file.bin_rule,
            file.longest_segment,
            shown(&file.source_schema)
        ))?;
    }
    for of in &found.edges {
        let edges: Vec<_> = of.edges.iter().map(f64::to_string).collect();
        print_line(&format!(
            "  edges of {} in {} files, {} classes, as a {}: {}; {}",
            shown(&of.symbol),
            of.files,
            of.classes,
            of.unit,
            edges.join(", "),
            shown(&of.fitted_on)
        ))?;
    }
    for journal in &found.journals {
        print_line(&format!(
            "  journal {}: {} inputs, {} records, {} rows",
            shown(&journal.writer),
            journal.inputs,
            journal.records,
            journal.rows
        ))?;
    }
    for line in &found.health {
        print_line(&format!("  health: {}", output::in_lines(line)))?;
    }
    Ok(())
}

/// Nanoseconds since the Unix epoch as RFC 3339.
fn utc(ns: u64) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ns)).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{ns} ns since 1970"))
}

/// The labels that files have, and what files leave unsaid.
fn print_labels(found: &StoreInspection) -> Result<()> {
    let of_files = found.files.iter().flat_map(|file| &file.labels);
    let mut labels: Vec<_> = of_files.map(|label| (&label.name, text(label))).collect();
    let mut seen = BTreeSet::new();
    labels.retain(|label| seen.insert(label.clone()));
    for (name, label) in labels {
        let counts = found.label_counts.iter().find(|counts| counts.name == *name);
        fact("label", &format!("{label}{}", counts.map(shares).unwrap_or_default()))?;
    }
    let unsaid = found.files.iter().filter(|file| !file.unknown.is_empty());
    let what: BTreeSet<_> = unsaid.clone().flat_map(|file| &file.unknown).cloned().collect();
    if !what.is_empty() {
        let what = what.into_iter().collect::<Vec<_>>().join(", ");
        fact("unknown", &format!("{what}: in {} of {} files", unsaid.count(), found.files.len()))?;
    }
    Ok(())
}

/// A label in words: name, kind, horizon, classes.
fn text(label: &NamedLabel) -> String {
    let reach = match label.horizon {
        0 => "at the row".to_owned(),
        1 => format!("1 {}", label.unit.to_string().trim_end_matches('s')),
        n => format!("{n} {}", label.unit),
    };
    let classes = match label.classes {
        0 => "no classes".to_owned(),
        n => format!("{n} classes"),
    };
    let rule = if label.rule.is_empty() { String::new() } else { format!(": {}", label.rule) };
    format!("{} ({}, {reach}, {classes}{rule})", label.name, label.kind)
}

/// How many bins have a label, and the shares of its classes.
fn shares(counts: &LabelCounts) -> String {
    let n: u64 = counts.class_counts.iter().sum();
    let share = |count: &u64| format!("{:.1}", 100.0 * *count as f64 / n as f64);
    let shares: Vec<_> = counts.class_counts.iter().map(share).collect();
    match n {
        0 => format!("; known of {} bins", counts.known),
        _ => format!("; known of {} bins, classes {} %", counts.known, shares.join(" / ")),
    }
}

fn fact(name: &str, value: &str) -> Result<()> {
    print_line(&format!("{name:<14}{}", shown(value)))
}
