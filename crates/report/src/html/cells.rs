//! Tables of words and numbers, and rows over time.

use lob_metrics::{Artifact, Cell, Column, Lane, Unit};

use crate::escape::html as e;

/// Width of the picture of the rows, in its own units.
const WIDTH: f64 = 1000.0;
/// Height of one row in pixels.
const ROW_PX: usize = 18;
/// Classes with a colour of their own; further ones share the last.
const COLOURS: usize = 10;

/// A table or a picture of rows; nothing for other kinds.
pub(super) fn render(artifact: &Artifact) -> String {
    match artifact {
        Artifact::Table { title, headings, cells } => table(title, headings, cells),
        Artifact::Lanes { title, class_names, lanes } => picture(title, class_names, lanes),
        _ => String::new(),
    }
}

fn table(title: &str, headings: &[Column], cells: &[Vec<Cell>]) -> String {
    let title = e(title);
    if cells.is_empty() {
        return format!("<h4>{title}</h4><p class=\"sub\">Nothing to show.</p>");
    }
    let class = |unit: Option<Unit>| if unit.is_some() { " class=\"n\"" } else { "" };
    let head: String =
        headings.iter().map(|h| format!("<th{}>{}</th>", class(h.unit), e(&h.name))).collect();
    let row = |row: &Vec<Cell>| {
        let cells: String = headings
            .iter()
            .zip(row)
            .map(|(h, cell)| format!("<td{}>{}</td>", class(h.unit), one(cell, h.unit)))
            .collect();
        format!("<tr>{cells}</tr>")
    };
    let rows: String = cells.iter().map(row).collect();
    format!(
        "<h4>{title}</h4><div class=\"scroll\"><table class=\"cells\"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

/// Shares have a bar, so that the large ones are seen first.
fn one(cell: &Cell, unit: Option<Unit>) -> String {
    let text = e(&cell.text(unit));
    match (cell, unit) {
        (Cell::Number(share), Some(Unit::Fraction)) => format!(
            "<span class=\"mini\"><i style=\"width:{:.1}%\"></i></span> {text}",
            100.0 * share.clamp(0.0, 1.0)
        ),
        _ => super::ticked::ticked(&cell.text(unit)),
    }
}

fn picture(title: &str, class_names: &[String], lanes: &[Lane]) -> String {
    let title = e(title);
    let end_s = lanes.iter().filter_map(|lane| lane.to_s.last()).copied().fold(0.0, f64::max);
    if lanes.is_empty() || end_s <= 0.0 {
        return format!("<h4>{title}</h4><p class=\"sub\">Nothing to show.</p>");
    }
    let used: Vec<usize> = (0..class_names.len())
        .filter(|class| lanes.iter().any(|lane| lane.class.iter().any(|c| index(*c) == *class)))
        .collect();
    let legend: String = used
        .iter()
        .map(|class| {
            format!(
                "<li><i class=\"k{}\"></i>{}</li>",
                class.min(&(COLOURS - 1)),
                e(&class_names[*class])
            )
        })
        .collect();
    let rows: String = lanes.iter().map(|lane| row(lane, class_names, end_s)).collect();
    let ticks: String = (0..=4)
        .map(|quarter| {
            format!("<span>{}</span>", Unit::Seconds.format(end_s * f64::from(quarter) / 4.0))
        })
        .collect();
    format!(
        "<h4>{title}</h4><ul class=\"legend\">{legend}</ul><div class=\"lanes\">{rows}<div class=\"lane axis\"><span></span><div>{ticks}</div></div></div>"
    )
}

fn index(class: u32) -> usize {
    usize::try_from(class).unwrap_or(usize::MAX)
}

fn row(lane: &Lane, class_names: &[String], end_s: f64) -> String {
    let mut paths: std::collections::BTreeMap<usize, (String, f64)> =
        std::collections::BTreeMap::new();
    let mut from_s = lane.from_s;
    for (to_s, class) in lane.to_s.iter().zip(&lane.class) {
        let (x, width) = (from_s / end_s * WIDTH, (to_s - from_s) / end_s * WIDTH);
        if width > 0.0 && width.is_finite() && x.is_finite() {
            let path = paths.entry(index(*class)).or_default();
            path.0.push_str(&format!("M{x:.1} 0h{:.1}v1h-{0:.1}z", width.max(0.1)));
            path.0.truncate(path.0.len());
            path.1 += to_s - from_s;
        }
        from_s = *to_s;
    }
    let drawn: String = paths
        .into_iter()
        .map(|(class, (path, s))| {
            let name = class_names.get(class).map_or("unknown", String::as_str);
            format!(
                "<path class=\"k{}\" d=\"{path}\"><title>{}: {} {}</title></path>",
                class.min(COLOURS - 1),
                e(&lane.name),
                e(name),
                Unit::Seconds.format(s)
            )
        })
        .collect();
    format!(
        "<div class=\"lane\"><span title=\"{0}\">{0}</span><svg viewBox=\"0 0 {WIDTH} 1\" preserveAspectRatio=\"none\" height=\"{ROW_PX}\" role=\"img\" aria-label=\"{0} over time\">{drawn}</svg></div>",
        e(&lane.name)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_elsewhere_are_escaped_and_unknown_cells_are_dashes() {
        let table = Artifact::Table {
            title: "<b>".to_owned(),
            headings: vec![Column::new("a<", None), Column::new("share", Some(Unit::Fraction))],
            cells: vec![vec!["</script>".into(), 2.5.into()], vec!["x".into(), f64::NAN.into()]],
        };
        let html = render(&table);
        assert!(!html.contains("<b>") && !html.contains("</script>"), "{html}");
        assert!(html.contains("width:100.0%") && html.contains('–'), "{html}");
    }

    #[test]
    fn rows_over_time_are_drawn_to_scale() {
        let lane = |name: &str, from_s, to_s: &[f64], class: &[u32]| Lane {
            name: name.to_owned(),
            from_s,
            to_s: to_s.to_vec(),
            class: class.to_vec(),
        };
        let lanes = Artifact::Lanes {
            title: "Threads".to_owned(),
            class_names: vec!["runs".to_owned(), "waits <".to_owned()],
            lanes: vec![
                lane("main", 0.0, &[1.0, 4.0], &[0, 1]),
                lane("\"late\"", 2.0, &[f64::NAN, 3.0], &[0, 77]),
            ],
        };
        let html = render(&lanes);
        assert!(html.contains("M0.0 0h250.0v1h-250.0z"), "{html}");
        assert!(html.contains("waits &lt;") && !html.contains("\"late\""), "{html}");
        assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
    }
}
