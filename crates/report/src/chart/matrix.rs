//! Shares as squares: the area of each says how much it is, in both themes and without colour.

use super::series::{characters, fitted};
use super::{Anchor, Ink, Scene, shortened};

/// Side of a cell; smaller in matrices of many classes.
const CELL: f64 = 56.0;
const MOST: f64 = 560.0;
const LABEL: f64 = 150.0;
const TOP: f64 = 92.0;
/// Share from which on a square leaves no room below its figure.
const LARGE: f64 = 0.35;

/// What a matrix shows.
pub(crate) struct Matrix<'a> {
    pub(crate) title: &'a str,
    pub(crate) row_label: &'a str,
    pub(crate) column_label: &'a str,
    pub(crate) row_names: &'a [String],
    pub(crate) column_names: &'a [String],
    /// Row-major shares in `0..=1`.
    pub(crate) values: &'a [f64],
}

/// The chart of [`lob_metrics::Artifact::Matrix`]; `None` where the values do not fill it.
pub(crate) fn matrix_chart(matrix: &Matrix<'_>) -> Option<Scene> {
    let (n_rows, n_columns) = (matrix.row_names.len(), matrix.column_names.len());
    if n_rows == 0 || n_columns == 0 || n_rows.checked_mul(n_columns) != Some(matrix.values.len()) {
        return None;
    }
    let cell = CELL.min(MOST / n_rows.max(n_columns) as f64).max(14.0);
    let (right, bottom) = (LABEL + cell * n_columns as f64, TOP + cell * n_rows as f64);
    let mut scene = Scene::new(matrix.title, (right + 40.0).max(420.0), bottom + 24.0);
    let title = fitted(matrix.title, scene.width);
    scene.text((16.0, 20.0), 16.0, Anchor::Start, Ink::Text, title);
    scene.text((LABEL, 46.0), 12.0, Anchor::Start, Ink::Muted, matrix.column_label);
    scene.text((LABEL - 12.0, 46.0), 12.0, Anchor::End, Ink::Muted, matrix.row_label);
    let size = 12.0_f64.min(cell * 0.5);
    for (i, name) in matrix.column_names.iter().enumerate() {
        let x = LABEL + cell * (i as f64 + 0.5);
        let name = shortened(name, characters(cell, 6.8).max(2));
        scene.text((x, TOP - 14.0), size, Anchor::Middle, Ink::Text, name);
    }
    for (i, name) in matrix.row_names.iter().enumerate() {
        let y = TOP + cell * (i as f64 + 0.5);
        scene.text((LABEL - 12.0, y), size, Anchor::End, Ink::Text, shortened(name, 18));
    }
    for i in 0..=n_rows {
        let y = TOP + cell * i as f64;
        scene.line(vec![(LABEL, y), (right, y)], Ink::Grid, 1.0);
    }
    for i in 0..=n_columns {
        let x = LABEL + cell * i as f64;
        scene.line(vec![(x, TOP), (x, bottom)], Ink::Grid, 1.0);
    }
    for (i, share) in matrix.values.iter().enumerate().filter(|(_, share)| share.is_finite()) {
        let (row, column) = (i / n_columns, i % n_columns);
        let x = LABEL + cell * (column as f64 + 0.5);
        let y = TOP + cell * (row as f64 + 0.5);
        let side = (cell - 4.0) * share.clamp(0.0, 1.0).sqrt();
        let ink = Ink::Series(usize::from(row != column));
        let is_large = *share >= LARGE;
        // A thick line is a filled square.
        let (middle, text_y) = if is_large { (y, y) } else { (y - 0.12 * cell, y + 0.36 * cell) };
        scene.line(vec![(x - side / 2.0, middle), (x + side / 2.0, middle)], ink, side);
        let ink = if is_large { Ink::Paper } else { Ink::Muted };
        if cell >= 30.0 {
            scene.text((x, text_y), 11.0, Anchor::Middle, ink, format!("{:.0} %", 100.0 * share));
        }
    }
    Some(scene)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_that_does_not_fill_is_none() {
        let names = vec!["a".to_owned(), "b".to_owned()];
        let chart = |values: &[f64]| {
            matrix_chart(&Matrix {
                title: "t",
                row_label: "true",
                column_label: "predicted",
                row_names: &names,
                column_names: &names,
                values,
            })
        };
        assert!(chart(&[1.0, 0.0, 0.5]).is_none());
        let scene = chart(&[1.0, 0.0, f64::NAN, 0.25]).unwrap();
        let texts = scene.shapes.iter().filter_map(|shape| match shape {
            super::super::Shape::Text { text, .. } => Some(text.as_str()),
            _ => None,
        });
        let shares: Vec<&str> = texts.filter(|text| text.ends_with('%')).collect();
        assert_eq!(shares, ["100 %", "0 %", "25 %"]);
    }
}
