//! A metric over a growing size, with the line it would follow at best.

use lob_metrics::Unit;

use super::series::{extent, frame};
use super::ticks::Axis;
use super::{Curve, Ink, Plot, Scene};
use crate::sweep::Sweep;

/// The chart of a sweep; `None` when a value is missing.
pub(crate) fn scaling_chart(sweep: &Sweep<'_>, size: (f64, f64)) -> Option<Scene> {
    let points: Vec<(f64, f64)> =
        sweep.points.iter().filter_map(|(n, m)| Some((f64::from(*n), m.value()?))).collect();
    let ideal: Vec<(f64, f64)> =
        sweep.ideal().into_iter().map(|(n, y)| (f64::from(n), y)).collect();
    if points.len() < 2 || ideal.iter().any(|p| !p.1.is_finite()) {
        return None;
    }
    let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let (ix, iy): (Vec<f64>, Vec<f64>) = ideal.iter().copied().unzip();
    let plot = Plot {
        title: sweep.name,
        x_label: if sweep.over == lob_metrics::Axis::Batch {
            "batch size"
        } else {
            sweep.over.name()
        },
        y_label: "median, 95 % interval",
        x_unit: Unit::Dimensionless,
        y_unit: sweep.unit,
        size,
        curves: vec![
            Curve { name: "measured", x: &x, y: &y },
            Curve { name: sweep.ideal_name(), x: &ix, y: &iy },
        ],
    };
    let (from_x, from_y) = extent(&plot);
    let intervals: Vec<[f64; 2]> = sweep
        .points
        .iter()
        .map(|(_, m)| m.ci95.filter(|c| c.iter().all(|v| v.is_finite())).unwrap_or([f64::NAN; 2]))
        .collect();
    let all: Vec<f64> = y.iter().chain(&iy).chain(intervals.as_flattened()).copied().collect();
    let x_axis = Axis::at_sizes(&x, from_x);
    let y_axis = Axis::over(&all, sweep.unit, from_y, true, false);
    let mut scene = frame(&plot, &x_axis, &y_axis);
    let place = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
        points.iter().map(|(px, py)| (x_axis.px(*px), y_axis.px(*py))).collect()
    };
    scene.line(place(&ideal), Ink::Series(1), 1.5);
    for (n, [low, high]) in x.iter().zip(intervals) {
        if low.is_finite() {
            let px = x_axis.px(*n);
            let (low, high) = (y_axis.px(low), y_axis.px(high));
            scene.line(vec![(px, low), (px, high)], Ink::Series(0), 1.5);
            for end in [low, high] {
                scene.line(vec![(px - 4.0, end), (px + 4.0, end)], Ink::Series(0), 1.5);
            }
        }
    }
    let placed = place(&points);
    scene.line(placed.clone(), Ink::Series(0), 2.0);
    for at in placed {
        scene.dot(at, 4.0, Ink::Series(0), false);
    }
    Some(scene)
}
