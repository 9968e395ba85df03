//! Estimates and their intervals as a table with a drawing in each row.

use lob_metrics::{Artifact, IntervalGroup, IntervalRow};

use crate::escape::html as e;

const WIDTH: f64 = 260.0;
/// Rows a table holds before it says how many it leaves to the document.
const MAX_ROWS: usize = 200;
/// Room left and right for the dots.
const MARGIN: f64 = 5.0;

/// A scale that all rows of the table share, so that they can be compared across groups.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn over(groups: &[IntervalGroup]) -> Option<Self> {
        let rows = groups.iter().flat_map(|group| &group.rows);
        let values = rows.flat_map(|row| row.ci95.into_iter().flatten().chain([row.value]));
        let references = groups.iter().filter_map(|group| group.reference);
        let finite = values.chain(references).filter(|value| value.is_finite());
        let (low, high) =
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        (low <= high).then_some(Self { low, high })
    }

    fn px(&self, value: f64) -> f64 {
        let range = self.high - self.low;
        let share = if range > 0.0 { (value - self.low) / range } else { 0.5 };
        MARGIN + (WIDTH - 2.0 * MARGIN) * share
    }
}

/// The tables of a scenario: what it is about, so they come before its measurements.
pub(super) fn all(artifacts: &[Artifact]) -> String {
    let tables = artifacts.iter().filter_map(|artifact| match artifact {
        Artifact::Intervals { title, x_label, groups } => Some(table(title, x_label, groups)),
        _ => None,
    });
    tables.collect()
}

fn table(title: &str, x_label: &str, groups: &[IntervalGroup]) -> String {
    let Some(scale) = Scale::over(groups) else {
        return format!("<figure><figcaption>{}: no value.</figcaption></figure>", e(title));
    };
    let mut left = MAX_ROWS;
    let bodies: String = groups.iter().map(|group| body(&scale, group, &mut left)).collect();
    let n_hidden = groups.iter().map(|group| group.rows.len()).sum::<usize>() - (MAX_ROWS - left);
    let hidden = match n_hidden {
        0 => String::new(),
        n => format!("<p class=\"sub\">{n} more are left to run.json.</p>"),
    };
    format!(
        "<figure class=\"intervals\"><figcaption><b>{}</b></figcaption><div class=\"scroll\"><table><thead><tr><th></th><th class=\"n\">{}</th><th class=\"n\">95 % interval</th><th>{:.3} to {:.3}</th></tr></thead>{bodies}</table></div>{hidden}</figure>",
        e(title),
        e(x_label),
        scale.low,
        scale.high,
    )
}

fn body(scale: &Scale, group: &IntervalGroup, left: &mut usize) -> String {
    let shown = group.rows.len().min(*left);
    *left -= shown;
    if shown == 0 {
        return String::new();
    }
    let reference = group.reference.filter(|reference| reference.is_finite());
    let beside = reference.map_or(String::new(), |reference| {
        format!(" <span class=\"sub\">· reference {reference:.3}</span>")
    });
    let rows = group.rows[..shown].iter().map(|one| row(scale, reference, one));
    let rows: String = rows.collect();
    format!(
        "<tbody><tr><th scope=\"rowgroup\" colspan=\"4\">{}{beside}</th></tr>{rows}</tbody>",
        e(&group.name)
    )
}

fn row(scale: &Scale, reference: Option<f64>, row: &IntervalRow) -> String {
    let name = e(&row.name);
    if !row.value.is_finite() {
        return format!("<tr><td>{name}</td><td class=\"n\">unknown</td><td></td><td></td></tr>");
    }
    let known = row.known_ci95();
    let words = known.map_or_else(|| "–".to_owned(), |[low, high]| format!("{low:.3} – {high:.3}"));
    let line = reference.map_or(String::new(), |reference| {
        format!("<path class=\"im\" d=\"M{:.1} 0V16\"/>", scale.px(reference))
    });
    let whisker = known.map_or(String::new(), |[low, high]| {
        let (from, to) = (scale.px(low), scale.px(high));
        let width = (to - from).max(1.0);
        format!("<rect class=\"s0\" x=\"{from:.1}\" y=\"6\" width=\"{width:.1}\" height=\"4\"/>")
    });
    format!(
        "<tr><td>{name}</td><td class=\"n\">{:.3}</td><td class=\"n sub\">{words}</td><td><svg class=\"strip span\" viewBox=\"0 0 {WIDTH} 16\" role=\"img\" aria-label=\"{name}: {}\">{line}{whisker}<circle class=\"s1 d\" cx=\"{:.1}\" cy=\"8\" r=\"3.5\"/></svg></td></tr>",
        row.value,
        row.text(),
        scale.px(row.value)
    )
}
