//! Named curves with whiskers over common axes.

use lob_metrics::{NamedCurve, Unit};

use super::series::{extent, frame};
use super::ticks::Axis;
use super::{Curve, Ink, Plot, Scene};

/// The chart of [`lob_metrics::Artifact::Curves`]; `None` when no curve has two finite points.
pub(crate) fn curves_chart(
    (title, x_label, y_label): (&str, &str, &str),
    log_x: bool,
    curves: &[NamedCurve],
    size: (f64, f64),
) -> Option<Scene> {
    let plot = Plot {
        title,
        x_label,
        y_label,
        x_unit: Unit::Dimensionless,
        y_unit: Unit::Dimensionless,
        size,
        curves: curves.iter().map(|c| Curve { name: &c.name, x: &c.x, y: &c.y }).collect(),
    };
    let points: Vec<Vec<(f64, f64)>> = curves.iter().map(finite).collect();
    if points.iter().all(|points| points.len() < 2) {
        return None;
    }
    let (from_x, from_y) = extent(&plot);
    let mut xs: Vec<f64> = points.iter().flatten().map(|p| p.0).collect();
    let ends = curves.iter().flat_map(|curve| curve.ci95.iter().flatten().flatten().copied());
    let ys: Vec<f64> = points.iter().flatten().map(|p| p.1).chain(ends).collect();
    let x = if log_x && xs.iter().all(|x| *x > 0.0) {
        xs.sort_by(f64::total_cmp);
        xs.dedup();
        Axis::at_sizes(&xs, from_x)
    } else {
        Axis::over(&xs, Unit::Dimensionless, from_x, false, false)
    };
    let y = Axis::over(&ys, Unit::Dimensionless, from_y, false, false);
    let mut scene = frame(&plot, &x, &y);
    for (i, (curve, points)) in curves.iter().zip(&points).enumerate() {
        let ink = Ink::Series(i);
        let placed = points.iter().map(|(px, py)| (x.px(*px), y.px(*py))).collect();
        scene.line(placed, ink, 2.0);
        for (at, ci95) in curve.x.iter().zip(&curve.ci95) {
            let Some([low, high]) = ci95.filter(|ends| ends.iter().all(|e| e.is_finite())) else {
                continue;
            };
            // Side by side, so that none hides another.
            let px = x.px(*at) + 3.0 * (i as f64 - curves.len() as f64 / 2.0);
            let (low, high) = (y.px(low), y.px(high));
            scene.line(vec![(px, low), (px, high)], ink, 1.5);
            for end in [low, high] {
                scene.line(vec![(px - 3.0, end), (px + 3.0, end)], ink, 1.5);
            }
        }
        if points.len() <= 12 {
            for (px, py) in points {
                scene.dot((x.px(*px), y.px(*py)), 3.5, ink, false);
            }
        }
    }
    Some(scene)
}

fn finite(curve: &NamedCurve) -> Vec<(f64, f64)> {
    let pairs = curve.x.iter().copied().zip(curve.y.iter().copied());
    pairs.filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Shape;
    use super::*;

    #[test]
    fn whiskers_are_drawn_where_there_are_intervals() {
        let with = NamedCurve {
            ci95: vec![Some([0.1, 0.3]), None, Some([f64::NAN, 1.0])],
            ..NamedCurve::plain("a", vec![50.0, 200.0, 5000.0], vec![0.2, 0.4, f64::NAN])
        };
        let without = NamedCurve::plain("b", vec![50.0, 200.0], vec![0.3, 0.3]);
        let whiskers = |curves: &[NamedCurve]| {
            let scene = curves_chart(("t", "x", "y"), true, curves, (640.0, 320.0)).unwrap();
            let is_whisker = |shape: &&Shape| matches!(shape, Shape::Line { ink: Ink::Series(_), width, .. } if *width < 2.0);
            scene.shapes.iter().filter(is_whisker).count()
        };
        let bare = NamedCurve { ci95: vec![], ..with.clone() };
        assert_eq!(whiskers(&[with, without.clone()]), 3, "a line and two ends");
        assert_eq!(whiskers(&[bare, without]), 0);
        let short = NamedCurve::plain("c", vec![1.0], vec![1.0]);
        assert!(curves_chart(("t", "x", "y"), false, &[short], (640.0, 320.0)).is_none());
    }
}
