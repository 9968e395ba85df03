//! Scenes as inline SVG; colours are CSS classes, so that both themes fit.

use std::fmt::Write as _;

use super::{Anchor, Ink, Scene, Shape};
use crate::escape;

fn class(ink: Ink) -> String {
    match ink {
        Ink::Text => "it".to_owned(),
        Ink::Muted => "im".to_owned(),
        Ink::TickX => "im xt".to_owned(),
        Ink::TickY => "im yt".to_owned(),
        Ink::Grid => "ig".to_owned(),
        Ink::Paper => "ip".to_owned(),
        Ink::Series(i) => format!("s{}", i % 6),
    }
}

/// A coordinate to a thousandth of a pixel: a logarithmic view enlarges what lies near zero.
fn fine(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Colours of the light theme, for a file that stands alone.
const STYLE: &str = "<style>text{font-family:system-ui,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;dominant-baseline:central}.it{fill:#1c2026}text.im{fill:#545c68}text.ip{fill:#fff}.l{fill:none;stroke-linejoin:round}.l.it{stroke:#1c2026;fill:none}.l.im{stroke:#545c68}.l.ig{stroke:#e0e4e9}.l.s0,.h.s0{stroke:#0072b2}.l.s1,.h.s1{stroke:#d55e00}.l.s2{stroke:#009e73}.l.s3{stroke:#cc79a7}.l.s4{stroke:#56b4e9}.l.s5{stroke:#e69f00}.h{fill:none}.d.s0{fill:#0072b2}.d.s1{fill:#d55e00}.d.s2{fill:#009e73}.d.s3{fill:#cc79a7}.d.s4{fill:#56b4e9}.d.s5{fill:#e69f00}</style><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>";

/// The scene as a file of its own.
pub(super) fn to_svg_file(scene: &Scene) -> String {
    let element = to_svg(scene);
    // Attributes are escaped, so the first `>` ends the opening tag.
    let (opening, rest) = element.split_once('>').unwrap_or((&element, ""));
    let opening = opening.trim_start_matches("<svg");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0}\" height=\"{:.0}\"{opening}>{STYLE}{rest}\n",
        scene.width, scene.height
    )
}

/// The scene as one `<svg>` element.
pub(crate) fn to_svg(scene: &Scene) -> String {
    let area = scene.plot.as_ref().map_or_else(String::new, |plot| {
        let numbers =
            |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
        let [x, y] = &plot.suffixes;
        let log = match plot.log {
            [true, true] => " data-log=\"x y\"",
            [true, false] => " data-log=\"x\"",
            [false, true] => " data-log=\"y\"",
            [false, false] => "",
        };
        format!(
            " data-px=\"{}\" data-domain=\"{}\" data-x=\"{}\" data-y=\"{}\"{log}",
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
                    points.iter().map(|(x, y)| format!("{},{}", fine(*x), fine(*y))).collect();
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
