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

struct Frame {
    scene: Scene,
    x: Axis,
    y: Axis,
}

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
    let Frame { mut scene, x, y } = frame(plot, &all);
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
    let Frame { mut scene, x, y } = frame(plot, &all);
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

fn frame(plot: &Plot<'_>, all: &[(f64, f64)]) -> Frame {
    let (width, height) = plot.size;
    let (right, bottom) = (width - 20.0, height - BOTTOM);
    let xs: Vec<f64> = all.iter().map(|p| p.0).collect();
    let ys: Vec<f64> = all.iter().map(|p| p.1).collect();
    let x = Axis::over(&xs, plot.x_unit, (LEFT, right), false, false);
    let y = Axis::over(&ys, plot.y_unit, (bottom, TOP), plot.y_unit == Unit::Bytes, false);
    let mut scene = Scene::new(plot.title, width, height);
    scene.text((16.0, 20.0), 16.0, Anchor::Start, Ink::Text, plot.title);
    for (value, text) in &y.ticks {
        let py = y.px(*value);
        scene.line(vec![(LEFT, py), (right, py)], Ink::Grid, 1.0);
        scene.text((LEFT - 8.0, py), 12.0, Anchor::End, Ink::Muted, text.clone());
    }
    for (value, text) in &x.ticks {
        scene.text((x.px(*value), bottom + 15.0), 12.0, Anchor::Middle, Ink::TickX, text.clone());
    }
    let named = |label: &str, suffix: &str| {
        if suffix.is_empty() { label.to_owned() } else { format!("{label} ({suffix})") }
    };
    scene.text((16.0, 40.0), 12.0, Anchor::Start, Ink::Muted, named(plot.y_label, &y.suffix));
    let middle = f64::midpoint(LEFT, right);
    scene.text(
        (middle, bottom + 36.0),
        12.0,
        Anchor::Middle,
        Ink::Muted,
        named(plot.x_label, &x.suffix),
    );
    legend(&mut scene, plot, right);
    let ((x_low, x_high), (y_low, y_high)) = (x.domain(), y.domain());
    scene.plot = Some(PlotArea {
        pixels: [LEFT, TOP, right, bottom],
        domain: [x_low / x.divisor, x_high / x.divisor, y_low / y.divisor, y_high / y.divisor],
        suffixes: [x.suffix.clone(), y.suffix.clone()],
    });
    Frame { scene, x, y }
}

/// Names of the curves at the top right, when there is more than one.
fn legend(scene: &mut Scene, plot: &Plot<'_>, right: f64) {
    if plot.curves.len() < 2 {
        return;
    }
    let mut x = right;
    for (i, curve) in plot.curves.iter().enumerate().rev().filter(|(i, _)| *i < 6) {
        let name = shortened(curve.name, 22);
        let width = 7.0 * name.chars().count() as f64;
        scene.text((x - width, 40.0), 12.0, Anchor::Start, Ink::Muted, name);
        scene.dot((x - width - 9.0, 40.0), 4.0, Ink::Series(i), false);
        x -= width + 30.0;
    }
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
