//! The picture: an SVG document that is whole without its script, and moves with it.

use std::fmt::Write;

use lob_metrics::{is_hidden, shown};

const WIDTH_PX: f64 = 1200.0;
const ROW_PX: f64 = 18.0;
const MARGIN_PX: f64 = 10.0;
const TITLE_PX: f64 = 34.0;
const LEGEND_PX: f64 = 18.0;
/// Below the boxes: the line that says what is under the pointer.
const FOOT_PX: f64 = 26.0;
/// Width of a character of the 11 px monospace font.
const CHARACTER_PX: f64 = 6.7;
/// Narrower boxes are left out where there are many: the share of the whole.
const MIN_WIDTH: f64 = 0.0002;
/// Boxes drawn; of more, the widest.
const MAX_CELLS: usize = 6000;
/// Characters of a name in a hint: names of generic code run to thousands.
const MAX_NAME: usize = 300;

/// Zooms, searches, turns. It holds no `<` and no `&`, so that it means the same in XML and HTML.
const SCRIPT: &str = include_str!("flame.js");

/// One box; all of the width is 1.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) name: String,
    pub(crate) depth: usize,
    pub(crate) x: f64,
    pub(crate) width: f64,
    pub(crate) hint: String,
    /// A colour as CSS writes it.
    pub(crate) colour: String,
    /// What kind of box it is, for those who search.
    pub(crate) tag: &'static str,
}

/// A colour and what it means.
pub(crate) type Legend = (&'static str, &'static str);

/// Draws boxes as a document; `nothing` stands where there are none.
pub(crate) fn draw(cells: &[Cell], title: &str, nothing: &str, legend: &[Legend]) -> String {
    let least = least_width(cells);
    let cells: Vec<&Cell> = cells.iter().filter(|cell| cell.width >= least).collect();
    let rows = cells.iter().map(|cell| cell.depth + 1).max().unwrap_or(1);
    let top = TITLE_PX + if legend.is_empty() { 0.0 } else { LEGEND_PX };
    let height = top + rows as f64 * ROW_PX + FOOT_PX;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"flame-graph\" width=\"{WIDTH_PX}\" \
         height=\"{height}\" viewBox=\"0 0 {WIDTH_PX} {height}\" font-family=\"monospace\" \
         font-size=\"11\" data-top=\"{top}\" data-row=\"{ROW_PX}\" data-rows=\"{rows}\" \
         data-left=\"{MARGIN_PX}\" data-width=\"{}\" tabindex=\"0\" role=\"img\" \
         aria-label=\"{}\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{MARGIN_PX}\" y=\"21\" font-size=\"14\" fill=\"#222222\">{}</text>\n",
        WIDTH_PX - 2.0 * MARGIN_PX,
        escape(title, MAX_NAME),
        escape(title, 120)
    );
    write_legend(&mut out, legend);
    if cells.is_empty() {
        let _ = writeln!(out, "<text x=\"{MARGIN_PX}\" y=\"{}\">{nothing}</text>", top + 12.0);
    }
    for cell in &cells {
        write_cell(&mut out, cell, top);
    }
    let foot = height - 9.0;
    let _ = writeln!(
        out,
        "<text class=\"foot\" x=\"{MARGIN_PX}\" y=\"{foot}\" fill=\"#222222\"> </text>\n\
         <script>\n{SCRIPT}</script>\n</svg>"
    );
    out
}

/// The width a box must have to be drawn.
fn least_width(cells: &[Cell]) -> f64 {
    if cells.len() <= MAX_CELLS {
        return MIN_WIDTH;
    }
    let mut widths: Vec<f64> = cells.iter().map(|cell| cell.width).collect();
    widths.sort_by(|a, b| b.total_cmp(a));
    widths.get(MAX_CELLS).copied().unwrap_or(MIN_WIDTH).max(MIN_WIDTH)
}

fn write_legend(out: &mut String, legend: &[Legend]) {
    let mut x = MARGIN_PX;
    for (colour, meaning) in legend {
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"{}\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"{}\" fill=\"#444444\">{}</text>",
            TITLE_PX - 3.0,
            x + 14.0,
            TITLE_PX + 6.0,
            escape(meaning, MAX_NAME)
        );
        x += 34.0 + meaning.chars().count() as f64 * CHARACTER_PX;
    }
}

fn write_cell(out: &mut String, cell: &Cell, top: f64) {
    let inner = WIDTH_PX - 2.0 * MARGIN_PX;
    let (x, width) = (MARGIN_PX + cell.x * inner, cell.width * inner);
    let y = top + cell.depth as f64 * ROW_PX;
    let _ = writeln!(
        out,
        "<g class=\"f\" data-x=\"{:.6}\" data-w=\"{:.6}\" data-d=\"{}\" data-k=\"{}\" \
         data-n=\"{}\"><title>{}</title><rect x=\"{x:.2}\" y=\"{y}\" width=\"{width:.2}\" \
         height=\"{}\" fill=\"{}\" stroke=\"#ffffff\" stroke-width=\"0.5\"/>\
         <text x=\"{:.2}\" y=\"{}\" fill=\"#1a1a1a\" pointer-events=\"none\">{}</text></g>",
        cell.x,
        cell.width,
        cell.depth,
        cell.tag,
        escape(&cell.name, MAX_NAME),
        escape(&cell.hint, 3 * MAX_NAME),
        ROW_PX - 1.0,
        escape(&cell.colour, MAX_NAME),
        x + 4.0,
        y + 12.5,
        label(&cell.name, width).map(|name| escape(&name, MAX_NAME)).unwrap_or_default()
    );
}

/// As much of the name as fits; nothing rather than a letter or two.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a width in pixels, cut to whole characters"
)]
fn label(name: &str, width_px: f64) -> Option<String> {
    let room = ((width_px - 8.0) / CHARACTER_PX).max(0.0) as usize;
    match room {
        0..=2 => None,
        _ => Some(cut(name, room)),
    }
}

/// At most so many characters.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['\u{2026}']).collect(),
    }
}

/// Text inside XML, at most so many characters of it; what cannot be seen is written out.
fn escape(text: &str, most: usize) -> String {
    let text = cut(text, most);
    let text = if text.contains(is_hidden) { shown(text).to_string() } else { text };
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Neither XML nor HTML holds these.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(name: &str, depth: usize, x: f64, width: f64) -> Cell {
        Cell {
            name: name.to_owned(),
            depth,
            x,
            width,
            hint: format!("{name}: 1 %"),
            colour: "#ff0000".to_owned(),
            tag: "own",
        }
    }

    #[test]
    fn names_cannot_break_the_document() {
        let hostile = "</script><a>&\"b'\u{1}\u{202e}\nx]]>";
        let svg = draw(&[cell(hostile, 0, 0.0, 1.0)], "x < \"y\"", "none", &[]);
        let written = "&lt;/script&gt;&lt;a&gt;&amp;&quot;b&#39;\\u{1}\\u{202e}\\nx]]&gt;";
        assert_eq!(svg.matches(written).count(), 3, "{svg}");
        assert!(svg.contains("x &lt; &quot;y&quot;"));
        assert_eq!(svg.matches("</script>").count(), 1, "the script's own end");
        assert_eq!(svg.matches("<g ").count(), svg.matches("</g>").count());
        assert!(draw(&[], "t", "nothing was seen", &[]).contains("nothing was seen"));
    }

    #[test]
    fn the_script_means_the_same_in_xml_and_in_html() {
        assert!(!SCRIPT.contains(['<', '&']), "XML would read it as marks");
        assert!(!SCRIPT.contains("http"), "nothing is loaded");
    }

    #[test]
    fn labels_are_cut_to_their_box_and_names_to_what_can_be_read() {
        assert_eq!(label("decode", 100.0).as_deref(), Some("decode"));
        assert_eq!(label("decode", 40.0).as_deref(), Some("dec\u{2026}"));
        assert_eq!(label("decode", 20.0), None);
        let svg = draw(&[cell(&"n".repeat(3000), 0, 0.0, 1.0)], "t", "", &[]);
        assert!(svg.len() < 3000 + SCRIPT.len(), "{} bytes", svg.len());
    }

    #[test]
    fn of_very_many_boxes_the_widest_are_drawn() {
        let many: Vec<Cell> =
            (0..20_000).map(|n| cell("f", 0, 0.0, 1.0 / f64::from(n + 1))).collect();
        let drawn = draw(&many, "t", "", &[]).matches("<g ").count();
        assert!((4000..=MAX_CELLS + 1).contains(&drawn), "{drawn}");
    }
}
