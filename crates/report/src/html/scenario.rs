//! One section a scenario: settings, figures, scope tree, series, pictures, findings.

use lob_metrics::{Artifact, Measurement, Run, Scenario, Status, Timeline, Unit};

use super::ticked::ticked;
use super::{Detail, base64, cells, flame, heading, intervals, link_to};
use crate::analysis::{percent, status_word, value};
use crate::chart::{
    Curve, Matrix, Plot, curves_chart, heatmap_png, line_chart, matrix_chart, scatter, to_svg,
};
use crate::escape::{html as e, slug};
use crate::text::severity_word;

const CHART: (f64, f64) = (560.0, 280.0);

pub(super) fn anchor(id: &str) -> String {
    format!("s-{}", slug(id))
}

pub(super) fn all(run: &Run, detail: Detail) -> String {
    let each = detail.measurements / run.scenarios.len().max(1);
    let sections: String = run.scenarios.iter().map(|s| section(s, detail, each.max(5))).collect();
    format!(
        "<section id=\"scenarios\">{}{sections}</section>",
        heading(2, "scenarios", "Scenarios")
    )
}

fn section(s: &Scenario, detail: Detail, max_measurements: usize) -> String {
    let (class, sign) = match s.status {
        Status::Passed => ("pass", "✓"),
        Status::Failed | Status::TimedOut => ("fail", "✕"),
        Status::Partly | Status::Skipped => ("none", "–"),
    };
    let reason = s
        .reason
        .as_deref()
        .map_or(String::new(), |r| format!("<p class=\"callout\">{}</p>", ticked(r)));
    let parts = [
        reason,
        findings(s),
        intervals::all(&s.artifacts),
        s.artifacts.iter().map(cells::render).collect(),
        figures(&s.measurements, max_measurements),
        flame::render(s, detail),
        charts(s, detail),
        config(s, detail),
    ];
    let id = anchor(&s.id);
    format!(
        "<details class=\"scenario\" id=\"{id}\" open><summary><h3>{}</h3><code>{}</code>{}<span class=\"badge {class}\"><span aria-hidden=\"true\">{sign}</span> {}</span><span class=\"sub\">{}</span></summary>{}</details>",
        e(&s.title),
        e(&s.id),
        link_to(&id, &e(&s.id)),
        status_word(s.status),
        Unit::Seconds.format(s.elapsed_s),
        parts.concat()
    )
}

fn findings(s: &Scenario) -> String {
    let items: String = s
        .findings
        .iter()
        .map(|f| {
            let severity = severity_word(f.severity);
            format!("<p class=\"callout {severity}\"><b>{severity}</b> {}</p>", ticked(&f.text))
        })
        .collect();
    items
}

pub(super) fn config(s: &Scenario, detail: Detail) -> String {
    if s.config.is_empty() {
        return String::new();
    }
    let pairs: String = s
        .config
        .iter()
        .map(|(name, setting)| {
            let shown = setting.as_str().map_or_else(|| setting.to_string(), str::to_owned);
            let shown: String = shown.chars().take(detail.max_text).collect();
            format!("<div><dt>{}</dt><dd>{}</dd></div>", e(name), e(&shown))
        })
        .collect();
    format!("<h4>Settings</h4><dl>{pairs}</dl>")
}

fn figures(measurements: &[Measurement], limit: usize) -> String {
    if measurements.is_empty() {
        return "<p class=\"sub\">Nothing was measured.</p>".to_owned();
    }
    let (process, own): (Vec<_>, Vec<_>) = measurements.iter().partition(|m| m.role.is_process());
    let rows: String = own.into_iter().chain(process).take(limit).map(figure).collect();
    let hidden = measurements.len().saturating_sub(limit);
    let note = if hidden > 0 {
        format!("<p class=\"sub\">{hidden} more in run.json.</p>")
    } else {
        String::new()
    };
    format!(
        "<div class=\"scroll\"><table><thead><tr><th>Metric</th><th class=\"n\">Median</th><th>Samples and 95 % interval</th><th class=\"n\">p95</th><th class=\"n\">p99</th><th class=\"n\">MAD</th><th class=\"n\">Samples</th><th class=\"n\">Outliers</th></tr></thead><tbody>{rows}</tbody></table></div>{note}"
    )
}

fn figure(m: &Measurement) -> String {
    let name = format!(
        "<td><code>{}</code></td><td class=\"n\">{}</td>",
        e(&m.metric),
        value(m.unit, m.value())
    );
    let Some(s) = m.summary else {
        let why = m.reason().map_or_else(|| "one sample".to_owned(), e);
        return format!("<tr>{name}<td colspan=\"6\" class=\"sub\">{why}</td></tr>");
    };
    format!(
        "<tr>{name}<td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
        strip(m),
        m.unit.format(s.p95),
        m.unit.format(s.p99),
        m.unit.format(s.mad),
        s.n,
        s.outliers
    )
}

/// The samples as ticks on a line with the interval of the median drawn over them.
fn strip(m: &Measurement) -> String {
    let finite: Vec<f64> = m.samples.iter().copied().filter(|v| v.is_finite()).collect();
    let low = finite.iter().copied().fold(f64::INFINITY, f64::min);
    let high = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (Some(median), true) = (m.value().filter(|v| v.is_finite()), high > low) else {
        return "<span class=\"sub\">all equal</span>".to_owned();
    };
    // One far outlier must not press all others into a point: what lies further than eight median
    // deviations is drawn at the edge.
    let mad = m.summary.map_or(0.0, |s| s.mad);
    let near = if mad > 0.0 { 8.0 * mad } else { high - low };
    let (first, last) = (low.max(median - near), high.min(median + near));
    let px = |v: f64| 4.0 + 152.0 * ((v - first) / (last - first)).clamp(0.0, 1.0);
    let step = finite.len().div_ceil(80);
    let ticks: String =
        finite.iter().step_by(step).map(|v| format!("M{0:.1} 4V12", px(*v))).collect();
    let interval =
        m.ci95.filter(|c| c.iter().all(|v| v.is_finite())).map_or(String::new(), |[a, b]| {
            format!(
                "<rect class=\"s0\" x=\"{:.1}\" y=\"6\" width=\"{:.1}\" height=\"4\"/>",
                px(a),
                (px(b) - px(a)).max(1.0)
            )
        });
    let label = format!("{} to {}", m.unit.format(low), m.unit.format(high));
    format!(
        "<svg class=\"strip\" viewBox=\"0 0 160 16\" role=\"img\" aria-label=\"{label}\"><title>{label}</title><path class=\"im\" d=\"{ticks}\"/>{interval}<circle class=\"s1 d\" cx=\"{:.1}\" cy=\"8\" r=\"3.5\"/></svg>",
        px(median)
    )
}

fn charts(s: &Scenario, detail: Detail) -> String {
    if !detail.charts {
        return String::new();
    }
    let series = s.timeline.iter().map(timeline);
    let pictures = s.artifacts.iter().map(artifact);
    let all: String = series.chain(pictures).collect();
    if all.is_empty() { all } else { format!("<div class=\"charts\">{all}</div>") }
}

fn figure_or_words(title: &str, drawn: Option<String>) -> String {
    match drawn {
        Some(svg) => format!("<figure>{svg}</figure>"),
        None => {
            format!("<figure><figcaption>{}: no points to draw.</figcaption></figure>", e(title))
        }
    }
}

pub(super) fn timeline(t: &Timeline) -> String {
    let title = format!("{} over time", t.metric);
    let chart = line_chart(&Plot {
        title: &title,
        x_label: "time since the scenario began",
        y_label: &t.metric,
        x_unit: Unit::Seconds,
        y_unit: t.unit,
        size: CHART,
        curves: vec![Curve { name: &t.metric, x: &t.t_s, y: &t.values }],
    });
    figure_or_words(&title, chart.as_ref().map(to_svg))
}

fn plot<'a>(
    title: &'a str,
    x_label: &'a str,
    y_label: &'a str,
    curves: Vec<Curve<'a>>,
) -> Plot<'a> {
    let plain = Unit::Dimensionless;
    Plot { title, x_label, y_label, x_unit: plain, y_unit: plain, size: CHART, curves }
}

fn artifact(artifact: &Artifact) -> String {
    match artifact {
        Artifact::Line { title, x_label, y_label, x, y } => {
            let chart = line_chart(&plot(title, x_label, y_label, vec![Curve { name: title, x, y }]));
            figure_or_words(title, chart.as_ref().map(to_svg))
        }
        Artifact::Scatter { title, x_label, y_label, x, y, class, class_names } => {
            let split = by_class(x, y, class);
            let names: Vec<String> = split
                .iter()
                .map(|(class, _, _)| {
                    let named = usize::try_from(*class).ok().and_then(|i| class_names.get(i));
                    named.cloned().unwrap_or_else(|| format!("class {class}"))
                })
                .collect();
            let curves = split.iter().zip(&names).map(|((_, x, y), name)| Curve { name, x, y });
            let chart = scatter(&plot(title, x_label, y_label, curves.collect()));
            figure_or_words(title, chart.as_ref().map(to_svg))
        }
        Artifact::Heatmap { title, rows, columns, values, row_label, column_label } => {
            heatmap(title, (*rows, *columns), values, row_label, column_label)
        }
        Artifact::Curves { title, x_label, y_label, log_x, curves } => {
            let chart = curves_chart((title, x_label, y_label), *log_x, curves, CHART);
            figure_or_words(title, chart.as_ref().map(to_svg))
        }
        Artifact::Matrix { title, row_label, column_label, row_names, column_names, values } => {
            let matrix = Matrix { title, row_label, column_label, row_names, column_names, values };
            figure_or_words(title, matrix_chart(&matrix).as_ref().map(to_svg))
        }
        // These stand above the measurements.
        Artifact::Intervals { .. } | Artifact::Lanes { .. } | Artifact::Table { .. } => {
            String::new()
        }
        _ => "<figure><figcaption>A kind of picture this version does not draw.</figcaption></figure>".to_owned(),
    }
}

fn by_class(x: &[f64], y: &[f64], class: &[u32]) -> Vec<(u32, Vec<f64>, Vec<f64>)> {
    let mut split: std::collections::BTreeMap<u32, (Vec<f64>, Vec<f64>)> =
        std::collections::BTreeMap::new();
    for (i, (x, y)) in x.iter().zip(y).enumerate() {
        let of = split.entry(class.get(i).copied().unwrap_or(0)).or_default();
        of.0.push(*x);
        of.1.push(*y);
    }
    split.into_iter().map(|(class, (x, y))| (class, x, y)).collect()
}

fn heatmap(
    title: &str,
    size: (usize, usize),
    values: &[f32],
    row_label: &str,
    column_label: &str,
) -> String {
    let (rows, columns) = size;
    let picture = match heatmap_png(rows, columns, values) {
        Ok(bytes) => format!(
            "<img alt=\"{} as a heat map of {rows} by {columns} values\" src=\"data:image/png;base64,{}\">",
            e(title),
            base64::encode(&bytes)
        ),
        Err(problem) => format!("<p>Cannot be drawn: {}</p>", e(&problem)),
    };
    let unknown = values.iter().filter(|v| !v.is_finite()).count();
    let unknown = if unknown > 0 {
        format!(", grey: {} not measured", percent(unknown as f64 / values.len() as f64))
    } else {
        String::new()
    };
    format!(
        "<figure class=\"heat\"><figcaption><b>{}</b><br>rows: {}; columns: {}</figcaption>{picture}<p class=\"sub scale\">−1 <span aria-hidden=\"true\"></span> +1{unknown}</p></figure>",
        e(title),
        e(row_label),
        e(column_label)
    )
}
