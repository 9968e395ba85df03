//! The table for people.

use anyhow::Result;
use lob_contrastive::{EvaluationRow, EvaluationTable};

use crate::output;

pub(super) fn print(table: &EvaluationTable) -> Result<()> {
    for task in &table.tasks {
        output::print_line(&format!("\n{}: {}", task.name, task.description))?;
        let rows: Vec<_> = table.rows.iter().filter(|row| row.task == task.name).collect();
        if let Some(row) = rows.first() {
            output::print_line(&format!(
                "  {} test windows, {} of them independent; intervals over {} blocks of time; a \
                 guess scores {:.3}",
                row.n_windows[2], row.n_independent, row.n_blocks, row.chance
            ))?;
        }
        output::print_line(&format!(
            "  {:<7}{:<17}{:<10}{:<23}{:>6}{:>7}  {}",
            "labels", "features", "by", "balanced accuracy", "F1", "MCC", "recall by class"
        ))?;
        for row in rows {
            print_row(row)?;
        }
        for added in table.added.iter().filter(|added| added.task == task.name) {
            output::print_line(&format!(
                "  {:<7}added to {}: {:+.3}{}",
                added.labels.to_string(),
                added.over.name(),
                added.difference.mean,
                interval(added.difference.ci95)
            ))?;
        }
    }
    output::print_line("")?;
    for finding in table.findings() {
        output::print_line(&finding)?;
    }
    Ok(())
}

fn print_row(row: &EvaluationRow) -> Result<()> {
    let number = |x: Option<f64>| x.map_or_else(|| "-".to_owned(), |x| format!("{x:.2}"));
    let recalls: Vec<_> = row.recalls.iter().map(|recall| number(*recall)).collect();
    output::print_line(&format!(
        "  {:<7}{:<17}{:<10}{:<23}{:>6.3}{:>7}  {}",
        row.labels.to_string(),
        row.features.name(),
        row.method.name(),
        format!("{:.3}{}", row.mean, interval(row.ci95)),
        row.macro_f1,
        number(row.mcc),
        recalls.join(" ")
    ))
}

fn interval(ci95: Option<[f64; 2]>) -> String {
    ci95.map_or_else(String::new, |[low, high]| format!(" [{low:.3}, {high:.3}]"))
}
