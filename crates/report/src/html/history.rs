//! Trend lines over earlier runs.

use lob_metrics::{TrendLine, Unit};

use super::heading;
use crate::chart::{Curve, Plot, line_chart, to_svg};
use crate::escape::html as e;
use crate::history::{ends, words};

/// Lines drawn; `history.md` lists all.
const MAX_CHARTS: usize = 12;
const CHART: (f64, f64) = (460.0, 230.0);

pub(super) fn render(trends: &[TrendLine]) -> String {
    let hints = trends.iter().filter(|t| t.change.is_some()).count();
    let said = match hints {
        0 => "No metric changed its level.".to_owned(),
        1 => "1 metric changed its level.".to_owned(),
        n => format!("{n} metrics changed their level."),
    };
    let charts: String = trends.iter().take(MAX_CHARTS).map(figure).collect();
    let charts = if charts.is_empty() {
        "<p>There is no earlier run of this machine and kind.</p>".to_owned()
    } else {
        format!("<div class=\"charts\">{charts}</div>")
    };
    format!(
        "<section id=\"history\">{}<p>{said} A hint to look, no verdict: only a paired test decides. history.md lists every metric.</p>{charts}</section>",
        heading(2, "history", "History"),
    )
}

fn figure(trend: &TrendLine) -> String {
    let (values, unit) = match &trend.ratios {
        Some(ratios) => (ratios, Unit::Dimensionless),
        None => (&trend.values, trend.unit),
    };
    let runs: Vec<f64> =
        (1..=u32::try_from(values.len()).unwrap_or(u32::MAX)).map(f64::from).collect();
    let y_label = if trend.ratios.is_some() { "in reference workloads" } else { "value" };
    let chart = line_chart(&Plot {
        title: &trend.name,
        x_label: "run",
        y_label,
        x_unit: Unit::Count,
        y_unit: unit,
        size: CHART,
        curves: vec![Curve { name: &trend.name, x: &runs, y: values }],
    });
    let Some(chart) = chart else { return String::new() };
    let class = match trend.is_worse() {
        Some(true) => " class=\"fail\"",
        Some(false) => " class=\"pass\"",
        None => "",
    };
    let (first, last) = ends(trend);
    format!(
        "<figure>{}<figcaption>{first} → {last}; <b{class}>{}</b></figcaption></figure>",
        to_svg(&chart),
        e(&words(trend))
    )
}
