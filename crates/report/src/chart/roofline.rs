//! The roofline of Williams, Waterman and Patterson (2009): attainable FLOP/s over operations a
//! byte, and what the stages reach below it.

use lob_metrics::Unit;

use super::ticks::Axis;
use super::{Anchor, Ink, Scene, shortened};
use crate::hardware::{Reached, Roofline};

const LEFT: f64 = 70.0;
const TOP: f64 = 64.0;
/// Least distance of two labels.
const LABEL_ROW: f64 = 15.0;
/// Operations a byte shown at least.
const INTENSITY: (f64, f64) = (0.1, 1000.0);
/// Rates this far below the roof are not drawn.
const MAX_BELOW: f64 = 1e6;

/// The chart: the roof, a dot where operations and bytes are known, and where only one of the two
/// is, a piece of the line on which the stage lies.
pub(crate) fn roofline_chart(roof: &Roofline<'_>, size: (f64, f64)) -> Scene {
    let (width, height) = size;
    let title = "Roofline: the roof of one core, and what the stages reach";
    let mut scene = Scene::new(title, width, height);
    scene.text((16.0, 20.0), 16.0, Anchor::Start, Ink::Text, shortened(title, 64));
    let (x, y) = axes(roof, (width, height));
    grid(&mut scene, &x, &y);
    let ridge = roof.flop_per_s / roof.bytes_per_s;
    let at = |intensity: f64, rate: f64| (x.px(intensity), y.px(rate));
    let (x_low, x_high) = x.domain();
    let y_low = y.domain().0;
    let start = (y_low / roof.bytes_per_s).max(x_low);
    let corners = vec![
        at(start, start * roof.bytes_per_s),
        at(ridge, roof.flop_per_s),
        at(x_high, roof.flop_per_s),
    ];
    scene.line(corners, Ink::Text, 2.5);
    let compute = format!("matrix product {}", Unit::FlopPerSecond.format(roof.flop_per_s));
    let above = y.px(roof.flop_per_s) - 12.0;
    scene.text((width - 22.0, above), 12.0, Anchor::End, Ink::Muted, compute);
    let memory = format!("memory fill {}", Unit::BytesPerSecond.format(roof.bytes_per_s));
    // Above the slope, at the height the line has where the label ends.
    let ends = x_low * (x_high / x_low).powf(150.0 / (width - 20.0 - LEFT));
    let above = y.px((ends * roof.bytes_per_s).min(roof.flop_per_s)) - 12.0;
    scene.text((LEFT + 8.0, above), 12.0, Anchor::Start, Ink::Muted, memory);
    stages(&mut scene, roof, &x, &y);
    scene
}

fn axes(roof: &Roofline<'_>, (width, height): (f64, f64)) -> (Axis, Axis) {
    let ridge = roof.flop_per_s / roof.bytes_per_s;
    let (mut low, mut high) = (INTENSITY.0.min(ridge / 4.0), INTENSITY.1.max(ridge * 4.0));
    let mut slowest = roof.flop_per_s / 100.0;
    for (_, reached) in &roof.reached {
        let rate = match reached {
            Reached::Point { flop_per_s, flop_per_byte } => {
                (low, high) = (low.min(*flop_per_byte / 2.0), high.max(2.0 * flop_per_byte));
                *flop_per_s
            }
            Reached::Flop(rate) => *rate,
            Reached::Bytes(rate) => rate * low,
        };
        slowest = slowest.min(rate);
    }
    let slowest = slowest.max(roof.flop_per_s / MAX_BELOW);
    let x = Axis::logarithmic(low, high, Unit::Dimensionless, (LEFT, width - 20.0));
    let top = 1.5 * roof.flop_per_s;
    (x, Axis::logarithmic(slowest, top, Unit::FlopPerSecond, (height - 50.0, TOP)))
}

fn grid(scene: &mut Scene, x: &Axis, y: &Axis) {
    let ((left, right), (bottom, top)) =
        ((x.px(x.domain().0), x.px(x.domain().1)), (y.px(y.domain().0), y.px(y.domain().1)));
    for (value, text) in &y.ticks {
        let py = y.px(*value);
        scene.line(vec![(left, py), (right, py)], Ink::Grid, 1.0);
        scene.text((left - 8.0, py), 12.0, Anchor::End, Ink::Muted, text.clone());
    }
    for (value, text) in &x.ticks {
        let px = x.px(*value);
        scene.line(vec![(px, top), (px, bottom)], Ink::Grid, 1.0);
        scene.text((px, bottom + 15.0), 12.0, Anchor::Middle, Ink::Muted, text.clone());
    }
    scene.text((16.0, 42.0), 12.0, Anchor::Start, Ink::Muted, "FLOP/s, logarithmic");
    let label = "operations a byte (FLOP/B), logarithmic";
    let middle = f64::midpoint(left, right);
    scene.text((middle, bottom + 36.0), 12.0, Anchor::Middle, Ink::Muted, label);
}

fn stages(scene: &mut Scene, roof: &Roofline<'_>, x: &Axis, y: &Axis) {
    let ((x_low, x_high), (y_low, y_high)) = (x.domain(), y.domain());
    let mut labels: [Vec<((f64, f64), String)>; 2] = [Vec::new(), Vec::new()];
    for (name, reached) in &roof.reached {
        let name = shortened(name, 30);
        match reached {
            Reached::Point { flop_per_s, flop_per_byte } => {
                let at = (x.px(*flop_per_byte), y.px(flop_per_s.max(y_low)));
                scene.dot(at, 4.5, Ink::Series(0), false);
                labels[0].push(((at.0 + 10.0, at.1), name));
            }
            Reached::Flop(rate) => {
                let (py, from) = (y.px(rate.max(y_low)), x.px(x_high / 4.0));
                scene.line(vec![(from, py), (x.px(x_high), py)], Ink::Series(1), 2.0);
                labels[1].push(((from - 8.0, py), name));
            }
            Reached::Bytes(rate) => {
                // From where the line enters the picture, a piece half a decade wide.
                let from = (y_low / rate).max(x_low);
                let to = (3.0 * from).min(y_high / rate).min(x_high);
                let ends = [from, to].map(|i| (x.px(i), y.px((i * rate).max(y_low))));
                scene.line(ends.to_vec(), Ink::Series(2), 2.0);
                labels[0].push(((ends[1].0 + 8.0, ends[1].1), name));
            }
        }
    }
    for (side, anchor) in [(0, Anchor::Start), (1, Anchor::End)] {
        labels[side].sort_by(|a, b| a.0.1.total_cmp(&b.0.1));
        let mut last = f64::NEG_INFINITY;
        for ((px, py), name) in std::mem::take(&mut labels[side]) {
            let py = py.max(last + LABEL_ROW);
            last = py;
            scene.text((px, py), 12.0, anchor, Ink::Muted, name);
        }
    }
}
