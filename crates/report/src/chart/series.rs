//! Curves and points over two axes.

use lob_metrics::Unit;

use super::ticks::Axis;
use super::{Anchor, Ink, PlotArea, Scene, shortened};

/// One named curve.
pub(crate) struct Curve<'a> {
    pub(crate) name: &'a str,
    pub(crate) x: &'a [f64],
    pub(crate) y: &'a [f64],
}

/// What a plot shows.
pub(crate) struct Plot<'a> {
    pub(crate) title: &'a str,
    pub(crate) x_label: &'a str,
    pub(crate) y_label: &'a str,
    pub(crate) x_unit: Unit,
    pub(crate) y_unit: Unit,
    pub(crate) size: (f64, f64),
    pub(crate) curves: Vec<Curve<'a>>,
}

/// Points of a curve beyond this are thinned to the extremes of equal stretches.
const MAX_POINTS: usize = 600;
const LEFT: f64 = 78.0;
const TOP: f64 = 58.0;
const BOTTOM: f64 = 50.0;
const LEGEND_ROW: f64 = 18.0;
/// Mean width of a character of a legend.
const CHARACTER: f64 = 6.8;

/// Curves over a common abscissa; `None` when no curve has two finite points.
pub(crate) fn line_chart(plot: &Plot<'_>) -> Option<Scene> {
    let curves: Vec<(usize, Vec<(f64, f64)>)> = plot
        .curves
        .iter()
        .enumerate()
        .map(|(i, curve)| (i, thinned(&finite_points(curve))))
        .filter(|(_, points)| points.len() > 1)
        .collect();
    let all: Vec<(f64, f64)> = curves.iter().flat_map(|(_, points)| points.clone()).collect();
    if all.is_empty() {
        return None;
    }
    let (x, y) = axes(plot, &all);
    let mut scene = frame(plot, &x, &y);
    for (i, points) in curves {
        let placed = points.iter().map(|(px, py)| (x.px(*px), y.px(*py))).collect();
        scene.line(placed, Ink::Series(i), 2.0);
    }
    Some(scene)
}

/// Points without a line, one colour a curve; `None` when there is no finite point.
pub(crate) fn scatter(plot: &Plot<'_>) -> Option<Scene> {
    let all: Vec<(f64, f64)> = plot.curves.iter().flat_map(finite_points).collect();
    if all.is_empty() {
        return None;
    }
    let (x, y) = axes(plot, &all);
    let mut scene = frame(plot, &x, &y);
    let per_class = (3000 / plot.curves.len().max(1)).max(1);
    for (i, curve) in plot.curves.iter().enumerate() {
        let points = finite_points(curve);
        let step = points.len().div_ceil(per_class).max(1);
        for (px, py) in points.into_iter().step_by(step) {
            scene.dot((x.px(px), y.px(py)), 3.0, Ink::Series(i), false);
        }
    }
    Some(scene)
}

fn axes(plot: &Plot<'_>, all: &[(f64, f64)]) -> (Axis, Axis) {
    let (from_x, from_y) = extent(plot);
    let xs: Vec<f64> = all.iter().map(|p| p.0).collect();
    let ys: Vec<f64> = all.iter().map(|p| p.1).collect();
    let x = Axis::over(&xs, plot.x_unit, from_x, false, false);
    (x, Axis::over(&ys, plot.y_unit, from_y, plot.y_unit == Unit::Bytes, false))
}

/// Pixels from left to right and from bottom to top that the data of a plot have.
pub(super) fn extent(plot: &Plot<'_>) -> ((f64, f64), (f64, f64)) {
    let top = TOP + LEGEND_ROW * legend_rows(plot).len().saturating_sub(1) as f64;
    ((LEFT, plot.size.0 - 20.0), (plot.size.1 - BOTTOM, top))
}

/// Title, axes, grid and legend.
pub(super) fn frame(plot: &Plot<'_>, x: &Axis, y: &Axis) -> Scene {
    let (width, height) = plot.size;
    let ((_, right), (bottom, top)) = extent(plot);
    let mut scene = Scene::new(plot.title, width, height);
    scene.text((16.0, 20.0), 16.0, Anchor::Start, Ink::Text, fitted(plot.title, width));
    for (value, text) in &y.ticks {
        let py = y.px(*value);
        scene.line(vec![(LEFT, py), (right, py)], Ink::Grid, 1.0);
        scene.text((LEFT - 8.0, py), 12.0, Anchor::End, Ink::TickY, text.clone());
    }
    for (value, text) in &x.ticks {
        scene.text((x.px(*value), bottom + 15.0), 12.0, Anchor::Middle, Ink::TickX, text.clone());
    }
    let named = |label: &str, suffix: &str| {
        if suffix.is_empty() { label.to_owned() } else { format!("{label} ({suffix})") }
    };
    scene.text((16.0, 40.0), 12.0, Anchor::Start, Ink::Muted, named(plot.y_label, &y.suffix));
    let (middle, below) = (f64::midpoint(LEFT, right), bottom + 36.0);
    let label = named(plot.x_label, &x.suffix);
    scene.text((middle, below), 12.0, Anchor::Middle, Ink::Muted, label);
    for (row, entries) in legend_rows(plot).into_iter().enumerate() {
        let y = 40.0 + LEGEND_ROW * row as f64;
        let mut x = right;
        for (i, name) in entries.into_iter().rev() {
            let width = CHARACTER * name.chars().count() as f64;
            scene.text((x - width, y), 12.0, Anchor::Start, Ink::Muted, name);
            scene.dot((x - width - 9.0, y), 4.0, Ink::Series(i), false);
            x -= width + 30.0;
        }
    }
    let ((x_low, x_high), (y_low, y_high)) = (x.domain(), y.domain());
    scene.plot = Some(PlotArea {
        pixels: [LEFT, top, right, bottom],
        domain: [x_low / x.divisor, x_high / x.divisor, y_low / y.divisor, y_high / y.divisor],
        suffixes: [x.read_in.clone(), y.read_in.clone()],
        log: [x.is_log(), y.is_log()],
    });
    scene
}

/// A title no wider than its chart.
pub(super) fn fitted(title: &str, width: f64) -> String {
    shortened(title, characters(width - 24.0, 9.3).clamp(20, 200))
}

/// Characters of a width that this many pixels hold, at most 200.
pub(super) fn characters(pixels: f64, width: f64) -> usize {
    (1..=200).take_while(|n| width * f64::from(*n) <= pixels).count()
}

/// Names of the curves in rows, when there is more than one curve; the first row leaves room for
/// the label of the vertical axis.
fn legend_rows(plot: &Plot<'_>) -> Vec<Vec<(usize, String)>> {
    if plot.curves.len() < 2 {
        return Vec::new();
    }
    let label = CHARACTER * (plot.y_label.chars().count() + 12) as f64;
    let mut rows: Vec<Vec<(usize, String)>> = vec![Vec::new()];
    let mut left = plot.size.0 - 20.0 - label;
    for (i, curve) in plot.curves.iter().enumerate() {
        let name = shortened(curve.name, 24);
        let width = CHARACTER * name.chars().count() as f64 + 30.0;
        if width > left {
            rows.push(Vec::new());
            left = plot.size.0 - 20.0 - LEFT;
        }
        left -= width;
        if let Some(row) = rows.last_mut() {
            row.push((i, name));
        }
    }
    rows
}

fn finite_points(curve: &Curve<'_>) -> Vec<(f64, f64)> {
    let pairs = curve.x.iter().copied().zip(curve.y.iter().copied());
    pairs.filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
}

/// Keeps the lowest and the highest point of each stretch: peaks survive.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MAX_POINTS {
        return points.to_vec();
    }
    let mut kept = Vec::with_capacity(MAX_POINTS);
    for stretch in points.chunks(points.len().div_ceil(MAX_POINTS / 2)) {
        let low = stretch.iter().enumerate().min_by(|a, b| a.1.1.total_cmp(&b.1.1));
        let high = stretch.iter().enumerate().max_by(|a, b| a.1.1.total_cmp(&b.1.1));
        let mut ends: Vec<usize> = low.into_iter().chain(high).map(|(i, _)| i).collect();
        ends.sort_unstable();
        ends.dedup();
        kept.extend(ends.into_iter().map(|i| stretch[i]));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_one_peak() {
        let mut points: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), 1.0)).collect();
        points[4321].1 = 9.0;
        let kept = thinned(&points);
        assert!(kept.len() <= MAX_POINTS && kept.contains(&(4321.0, 9.0)));
        assert!(kept.is_sorted_by(|a, b| a.0 < b.0));
    }
}
