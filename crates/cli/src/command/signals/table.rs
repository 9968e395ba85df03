//! Indicators of a table, by the slice functions.

use std::time::Instant;

use anyhow::{Result, ensure};
use lob_metrics::{Summary, Unit};
use lob_store::{Column, ColumnKind};
use serde_json::json;

use super::columns::{Columns, Kept};
use super::{Args, Written, open_sheet};
use crate::interrupt;

pub(super) fn run(args: &Args) -> Result<Written> {
    ensure!(
        !args.indicators.is_empty(),
        "a table has no pipeline\nhint: say which `--indicators` to calculate"
    );
    // One series after the other, all of a length.
    lob_scope::keep_freed_memory();
    let table = Columns::read(&args.source)?;
    let ticks = table.ticks();
    let (mut names, mut series, mut timings, mut words) = (vec![], vec![], vec![], vec![]);
    for study in &args.indicators {
        let mut seconds = Vec::new();
        let mut values = Vec::new();
        for _ in 0..args.repeat.max(1) {
            ensure!(!interrupt::requested(), "interrupted before `{study}` was done");
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
    let kept = table.kept.iter().map(|(name, column)| {
        let kind = match column {
            Kept::Numbers(all) if name.starts_with("ts_") && all.iter().flatten().all(is_time) => {
                ColumnKind::Timestamp
            }
            Kept::Numbers(_) => ColumnKind::U64,
            Kept::Texts(_) => ColumnKind::Utf8,
        };
        Column::new(*name, kind)
    });
    let names = names.into_iter().map(|name| Column::new(name, ColumnKind::F64));
    let mut sheet = open_sheet(args, kept.chain(names).collect())?;
    for row in 0..ticks.len() {
        ensure!(!interrupt::requested(), "interrupted after {row} of {} rows", ticks.len());
        for (_, column) in &table.kept {
            match column {
                Kept::Numbers(numbers) => sheet.u64_or_null(numbers[row]),
                Kept::Texts(texts) => sheet.text(&texts[row]),
            }
        }
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

/// Whether a table can hold it as a time: nanoseconds in 63 bits.
fn is_time(ts: &u64) -> bool {
    i64::try_from(*ts).is_ok()
}
