//! Indicators of a table, by the slice functions.

use std::time::Instant;

use anyhow::{Result, ensure};
use lob_metrics::{Summary, Unit};
use lob_store::{Column, ColumnKind};
use serde_json::json;

use super::columns::Columns;
use super::{Args, Written, open_sheet};

pub(super) fn run(args: &Args) -> Result<Written> {
    ensure!(
        !args.indicators.is_empty(),
        "a table has no pipeline\nhint: say which `--indicators` to calculate"
    );
    // One series after the other, all of a length.
    lob_profiler::keep_freed_memory();
    let table = Columns::read(&args.source)?;
    let ticks = table.ticks();
    let (mut names, mut series, mut timings, mut words) = (vec![], vec![], vec![], vec![]);
    for study in &args.indicators {
        let mut seconds = Vec::new();
        let mut values = Vec::new();
        for _ in 0..args.repeat.max(1) {
            // The last result goes first: allocation is part of what a caller pays.
            drop(std::mem::take(&mut values));
            let begun = Instant::now();
            values = study.series(&ticks)?;
            seconds.push(begun.elapsed().as_secs_f64());
        }
        let median_s = Summary::of(&seconds).map_or(f64::NAN, |summary| summary.median);
        let per_value_s = median_s / ticks.len().max(1) as f64;
        timings.push(json!({
            "indicator": study.to_string(),
            "columns": study.columns(),
            "values": ticks.len(),
            "repeats": seconds.len(),
            "median_s": median_s,
            "ns_per_value": per_value_s * 1e9,
        }));
        words.push(format!("{study} {} a value", Unit::Seconds.format(per_value_s)));
        names.extend(study.columns());
        series.append(&mut values);
    }
    let columns = names.into_iter().map(|name| Column::new(name, ColumnKind::F64)).collect();
    let mut sheet = open_sheet(args, columns)?;
    for row in 0..ticks.len() {
        series.iter().for_each(|column| sheet.f64(column[row]));
        sheet.end_row()?;
    }
    let (rows, file) = sheet.finish()?;
    if !table.ignored.is_empty() {
        words.push(format!("columns left out: {}", table.ignored.join(", ")));
    }
    let facts = json!({ "indicators": timings, "ignored_columns": table.ignored });
    Ok(Written { rows, file, facts, words: words.join(", ") })
}
