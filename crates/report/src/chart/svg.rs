//! Scenes as inline SVG; colours are CSS classes, so that both themes fit.

use std::fmt::Write as _;

use super::{Anchor, Ink, Scene, Shape};
use crate::escape;

fn class(ink: Ink) -> String {
    match ink {
        Ink::Text => "it".to_owned(),
        Ink::Muted => "im".to_owned(),
        Ink::TickX => "im xt".to_owned(),
        Ink::Grid => "ig".to_owned(),
        Ink::Series(i) => format!("s{}", i % 6),
    }
}

/// The scene as one `<svg>` element.
pub(crate) fn to_svg(scene: &Scene) -> String {
    let area = scene.plot.as_ref().map_or_else(String::new, |plot| {
        let numbers =
            |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
        let [x, y] = &plot.suffixes;
        format!(
            " data-px=\"{}\" data-domain=\"{}\" data-x=\"{}\" data-y=\"{}\"",
            numbers(&plot.pixels),
            numbers(&plot.domain),
            escape::html(x),
            escape::html(y)
        )
    });
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {:.0} {:.0}\" role=\"img\" aria-label=\"{}\"{area}>",
        scene.width,
        scene.height,
        escape::html(&scene.title)
    );
    for shape in &scene.shapes {
        // Writing into a String cannot fail.
        let _ = match shape {
            Shape::Line { points, ink, width } => {
                let points: Vec<String> =
                    points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
                let (class, points) = (class(*ink), points.join(" "));
                write!(
                    svg,
                    "<polyline class=\"l {class}\" stroke-width=\"{width}\" points=\"{points}\"/>"
                )
            }
            Shape::Dot { x, y, radius, ink, hollow } => {
                let kind = if *hollow { "h" } else { "d" };
                write!(
                    svg,
                    "<circle class=\"{kind} {}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>",
                    class(*ink)
                )
            }
            Shape::Text { x, y, size, anchor, ink, text } => {
                let anchor = match anchor {
                    Anchor::Start => "start",
                    Anchor::Middle => "middle",
                    Anchor::End => "end",
                };
                write!(
                    svg,
                    "<text class=\"{}\" x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\">{}</text>",
                    class(*ink),
                    escape::html(text)
                )
            }
        };
    }
    svg.push_str("</svg>");
    svg
}
