//! Dot plots: one row a measurement, the median as a dot, its interval as a whisker, p99 hollow.
//!
//! A dot needs no zero line, so rows of very different size may share a logarithmic axis.

use lob_metrics::{Measurement, Unit};

use super::ticks::Axis;
use super::{Anchor, Ink, Scene, shortened};

/// Rows a chart holds before it says how many it leaves to the tables.
const MAX_ROWS: usize = 30;
const ROW: f64 = 26.0;
const LABEL: f64 = 250.0;
/// Column of the figures, right of the plot.
const VALUE: f64 = 200.0;

/// A chart of all measured values of `unit`; `None` when there is none.
pub(crate) fn dot_plot(
    title: &str,
    unit: Unit,
    rows: &[&Measurement],
    width: f64,
) -> Option<Scene> {
    let known: Vec<(&Measurement, f64)> =
        rows.iter().filter_map(|m| Some((*m, m.value().filter(|v| v.is_finite())?))).collect();
    let shown = &known[..known.len().min(MAX_ROWS)];
    if shown.is_empty() {
        return None;
    }
    let plot_bottom = 44.0 + ROW * shown.len() as f64;
    let hidden = known.len() - shown.len();
    let mut scene = Scene::new(title, width, plot_bottom + if hidden > 0 { 82.0 } else { 58.0 });
    scene.text((16.0, 20.0), 16.0, Anchor::Start, Ink::Text, title);
    let values: Vec<f64> = shown
        .iter()
        .flat_map(|(m, v)| [Some(*v), m.ci95.map(|c| c[0]), m.ci95.map(|c| c[1]), p99(m)])
        .flatten()
        .collect();
    let axis = Axis::over(&values, unit, (LABEL, width - VALUE - 10.0), true, true);
    for (value, text) in &axis.ticks {
        let x = axis.px(*value);
        scene.line(vec![(x, 38.0), (x, plot_bottom)], Ink::Grid, 1.0);
        scene.text((x, plot_bottom + 14.0), 12.0, Anchor::Middle, Ink::Muted, text.clone());
    }
    let centre = (LABEL + width - VALUE - 10.0) / 2.0;
    let caption = if axis.suffix.is_empty() { "value".to_owned() } else { axis.suffix.clone() };
    scene.text((centre, plot_bottom + 34.0), 12.0, Anchor::Middle, Ink::Muted, caption);
    for (i, (m, value)) in shown.iter().enumerate() {
        row(&mut scene, &axis, m, *value, 44.0 + ROW * (i as f64 + 0.5));
    }
    if hidden > 0 {
        let note = format!("{hidden} more in report.html");
        scene.text((16.0, plot_bottom + 58.0), 12.0, Anchor::Start, Ink::Muted, note);
    }
    Some(scene)
}

fn row(scene: &mut Scene, axis: &Axis, m: &Measurement, value: f64, y: f64) {
    let x = axis.px(value);
    scene.text((LABEL - 12.0, y), 13.0, Anchor::End, Ink::Text, shortened(&m.metric, 34));
    if let Some([low, high]) = m.ci95.filter(|c| c.iter().all(|v| v.is_finite())) {
        let (low, high) = (axis.px(low), axis.px(high));
        scene.line(vec![(low, y), (high, y)], Ink::Series(0), 2.0);
        scene.line(vec![(low, y - 5.0), (low, y + 5.0)], Ink::Series(0), 1.5);
        scene.line(vec![(high, y - 5.0), (high, y + 5.0)], Ink::Series(0), 1.5);
    }
    if let Some(p99) = p99(m) {
        scene.dot((axis.px(p99), y), 3.5, Ink::Series(1), true);
    }
    scene.dot((x, y), 4.5, Ink::Series(0), false);
    let mut text = m.unit.format(value);
    if let Some(p99) = p99(m) {
        text = format!("{text}; p99 {}", m.unit.format(p99));
    }
    scene.text((scene.width - VALUE + 14.0, y), 12.0, Anchor::Start, Ink::Text, text);
}

/// The 99th percentile of a duration: of a rate the high end is no bad news.
fn p99(m: &Measurement) -> Option<f64> {
    m.summary.filter(|_| m.unit == Unit::Seconds).map(|s| s.p99).filter(|v| v.is_finite())
}
