//! Estimates with whiskers in groups: a forest plot.

use lob_metrics::{IntervalGroup, Unit};

use super::series::fitted;
use super::ticks::Axis;
use super::{Anchor, Ink, Scene, shortened};

/// Rows a chart holds before it says how many it leaves to the tables.
const MAX_ROWS: usize = 60;
const ROW: f64 = 22.0;
const LABEL: f64 = 250.0;
const VALUE: f64 = 190.0;
const TOP: f64 = 44.0;

/// The chart of [`lob_metrics::Artifact::Intervals`]; `None` when no value is known.
pub(crate) fn forest_chart(
    title: &str,
    x_label: &str,
    groups: &[IntervalGroup],
    width: f64,
) -> Option<Scene> {
    let rows = groups.iter().flat_map(|group| &group.rows);
    let values: Vec<f64> = rows
        .flat_map(|row| row.known_ci95().into_iter().flatten().chain([row.value]))
        .chain(groups.iter().filter_map(|group| group.reference))
        .filter(|value| value.is_finite())
        .collect();
    if values.is_empty() {
        return None;
    }
    let n_rows = groups.iter().map(|group| group.rows.len()).sum::<usize>();
    let n_lines = n_rows.min(MAX_ROWS) + groups.len().min(MAX_ROWS);
    let bottom = TOP + ROW * n_lines as f64;
    let mut scene = Scene::new(title, width, bottom + 64.0);
    scene.text((16.0, 20.0), 16.0, Anchor::Start, Ink::Text, fitted(title, width));
    let axis =
        Axis::over(&values, Unit::Dimensionless, (LABEL, width - VALUE - 10.0), false, false);
    for (value, text) in &axis.ticks {
        let x = axis.px(*value);
        scene.line(vec![(x, 38.0), (x, bottom)], Ink::Grid, 1.0);
        scene.text((x, bottom + 14.0), 12.0, Anchor::Middle, Ink::Muted, text.clone());
    }
    let centre = (LABEL + width - VALUE - 10.0) / 2.0;
    scene.text((centre, bottom + 34.0), 12.0, Anchor::Middle, Ink::Muted, x_label);
    let (mut y, mut left) = (TOP + ROW / 2.0, MAX_ROWS);
    for group in groups {
        if left == 0 {
            break;
        }
        scene.text((16.0, y), 13.0, Anchor::Start, Ink::Text, shortened(&group.name, 44));
        let shown = group.rows.len().min(left);
        left -= shown;
        if let Some(reference) = group.reference.filter(|reference| reference.is_finite()) {
            let x = axis.px(reference);
            let to = y + ROW * (shown as f64 + 0.5);
            scene.line(vec![(x, y + ROW / 2.0), (x, to)], Ink::Muted, 1.5);
        }
        y += ROW;
        for row in &group.rows[..shown] {
            let name = shortened(&row.name, 32);
            scene.text((LABEL - 12.0, y), 12.0, Anchor::End, Ink::Muted, name);
            if let Some([low, high]) = row.known_ci95() {
                let ends = [low, high].map(|end| axis.px(end));
                scene.line(ends.map(|x| (x, y)).to_vec(), Ink::Series(0), 2.0);
                for x in ends {
                    scene.line(vec![(x, y - 4.0), (x, y + 4.0)], Ink::Series(0), 1.5);
                }
            }
            if row.value.is_finite() {
                scene.dot((axis.px(row.value), y), 4.0, Ink::Series(0), false);
            }
            let at = (width - VALUE + 14.0, y);
            scene.text(at, 12.0, Anchor::Start, Ink::Text, row.text());
            y += ROW;
        }
    }
    if n_rows > MAX_ROWS {
        let note = format!("{} more in report.html", n_rows - MAX_ROWS);
        scene.text((16.0, bottom + 52.0), 12.0, Anchor::Start, Ink::Muted, note);
    }
    Some(scene)
}

#[cfg(test)]
mod tests {
    use lob_metrics::IntervalRow;

    use super::*;

    #[test]
    fn rows_stay_inside_the_picture() {
        let rows = |n: usize| -> Vec<IntervalRow> {
            (0..n)
                .map(|i| IntervalRow { name: format!("r{i}"), value: 0.1, ci95: Some([0.0, 0.2]) })
                .collect()
        };
        let group = |n| IntervalGroup { name: "g".into(), reference: Some(0.0), rows: rows(n) };
        for groups in [vec![group(3)], vec![group(50), group(50)]] {
            let scene = forest_chart("t", "x", &groups, 800.0).unwrap();
            let lowest = scene.shapes.iter().map(|shape| match shape {
                super::super::Shape::Text { y, .. } | super::super::Shape::Dot { y, .. } => *y,
                super::super::Shape::Line { points, .. } => points[0].1,
            });
            assert!(lowest.fold(0.0, f64::max) <= scene.height, "{}", groups.len());
        }
        assert!(forest_chart("t", "x", &[], 800.0).is_none());
    }
}
