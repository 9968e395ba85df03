//! What the metrics did over earlier runs: `history.md`, and the words of the page.

use lob_metrics::{Run, TrendLine};

use crate::analysis::when;
use crate::baseline::signed;
use crate::escape::{code, markdown};

/// Rows of the table.
const MAX_ROWS: usize = 300;

/// The trends of a run, those that changed for the worse first, then those that became better, then
/// those with a target, then the rest; only what two runs have.
pub(crate) fn in_order(run: &Run, mut trends: Vec<TrendLine>) -> Vec<TrendLine> {
    trends.retain(|t| t.values.len() > 1);
    let has_target = |t: &TrendLine| {
        let metric = t.name.rsplit(' ').next().unwrap_or_default();
        run.targets.iter().any(|target| target.target.metric == metric)
    };
    let rank = |t: &TrendLine| match t.is_worse() {
        Some(true) => 0,
        Some(false) => 1,
        None if has_target(t) => 2,
        None => 3,
    };
    let size = |t: &TrendLine| t.change.map_or(0.0, |c| c.relative.abs());
    trends.sort_by(|a, b| rank(a).cmp(&rank(b)).then(size(b).total_cmp(&size(a))));
    trends
}

/// What became of a line, in words.
pub(crate) fn words(trend: &TrendLine) -> String {
    let runs = trend.values.len();
    let measure = if trend.ratios.is_some() { ", against the reference workload" } else { "" };
    match (trend.change, trend.is_worse()) {
        (Some(change), Some(is_worse)) => format!(
            "{} {} since {} (run {} of {runs}{measure})",
            signed(Some(change.relative)),
            if is_worse { "worse" } else { "better" },
            trend.started_at.get(change.index).map_or_else(String::new, |t| when(t)),
            change.index + 1,
        ),
        _ => format!("{runs} runs, no change of level{measure}"),
    }
}

/// First and last value for people.
pub(crate) fn ends(trend: &TrendLine) -> (String, String) {
    let shown = |v: Option<&f64>| v.map_or_else(|| "–".to_owned(), |v| trend.unit.format(*v));
    (shown(trend.values.first()), shown(trend.values.last()))
}

/// `history.md`.
pub(crate) fn table(trends: &[TrendLine]) -> String {
    let mut out = vec![
        "# History".to_owned(),
        String::new(),
        "Runs of this machine and of this kind, oldest first. A change of level is a hint to look, no verdict: `lob ab` decides.".to_owned(),
        String::new(),
        "| Metric | First | Last | What became of it |".to_owned(),
        "|---|--:|--:|---|".to_owned(),
    ];
    for trend in trends.iter().take(MAX_ROWS) {
        let (first, last) = ends(trend);
        out.push(format!(
            "| {} | {first} | {last} | {} |",
            code(&trend.name),
            markdown(&words(trend))
        ));
    }
    if trends.is_empty() {
        out.push(String::new());
        out.push("There is no earlier run of this machine and kind.".to_owned());
    }
    if let Some(hidden) = trends.len().checked_sub(MAX_ROWS).filter(|n| *n > 0) {
        out.extend([String::new(), format!("{hidden} more are left to the history file.")]);
    }
    out.push(String::new());
    out.join("\n")
}
