//! Scaling over sizes, the roofline, CPU against GPU, and precisions.

use lob_metrics::Run;

use super::{Detail, heading};
use crate::analysis::value;
use crate::chart::{roofline_chart, scaling_chart, to_svg};
use crate::escape::html as e;
use crate::hardware::{DEVICES, PRECISIONS, Reached, no_gpu_reason, pairs, roofline};
use crate::sweep::sweeps;

const CHART: (f64, f64) = (560.0, 300.0);
/// Sweeps drawn; the rest stands in `scalability_analysis.png`.
const MAX_SWEEPS: usize = 12;

pub(super) fn render(run: &Run, detail: Detail) -> String {
    if !detail.charts {
        return String::new();
    }
    format!(
        "<section id=\"performance\">{}{}<div class=\"charts\">{}{}</div></section>",
        heading(2, "performance", "Scaling and hardware"),
        scaling(run),
        roof(run),
        comparisons(run)
    )
}

fn scaling(run: &Run) -> String {
    let sweeps = sweeps(run);
    let charts: String = sweeps
        .iter()
        .take(MAX_SWEEPS)
        .filter_map(|sweep| {
            let svg = to_svg(&scaling_chart(sweep, CHART)?);
            let verdict = sweep.verdict().unwrap_or_default();
            let id = e(&sweep.scenario.id);
            Some(format!("<figure>{svg}<figcaption>{id}, {}</figcaption></figure>", e(&verdict)))
        })
        .collect();
    if charts.is_empty() {
        return "<p>Scaling: not measured, no metric was taken at several batch sizes, windows or numbers of workers.</p>".to_owned();
    }
    let hidden = sweeps.len().saturating_sub(MAX_SWEEPS);
    let note = match hidden {
        0 => String::new(),
        n => format!("<p class=\"sub\">{n} more stand in scalability_analysis.png.</p>"),
    };
    format!("<div class=\"charts\">{charts}</div>{note}")
}

fn roof(run: &Run) -> String {
    let Some(roof) = roofline(run) else {
        return "<figure><figcaption><b>Roofline</b><br>Not measured: the run holds no matrix product or no memory fill limit.</figcaption></figure>".to_owned();
    };
    let partial = roof.reached.iter().any(|(_, r)| !matches!(r, Reached::Point { .. }));
    let caption = match (roof.reached.is_empty(), partial) {
        (true, _) => "No stage measures FLOP/s or B/s: only the roof is drawn.",
        (_, false) => "Dots: stages whose operations and bytes are both known.",
        (_, true) => {
            "Of a stage on a piece of a level line only its FLOP/s are known, of one on a piece of a slope only its B/s: where on the line it lies was not measured."
        }
    };
    let svg = to_svg(&roofline_chart(&roof, (560.0, 420.0)));
    format!("<figure>{svg}<figcaption>{caption}</figcaption></figure>")
}

fn comparisons(run: &Run) -> String {
    let gpu = no_gpu_reason(run);
    let parts = [
        ("CPU against GPU", DEVICES, gpu.as_str()),
        ("FP32 against half precision", PRECISIONS, "no metric was taken in two precisions"),
    ];
    let tables: String = parts
        .into_iter()
        .map(|(title, ways, nothing)| {
            let rows: String = pairs(run, ways)
                .iter()
                .map(|p| {
                    format!(
                        "<tr><td><code>{}</code></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{:.2}×</td></tr>",
                        e(p.name),
                        value(p.base.unit, p.base.value()),
                        value(p.other.unit, p.other.value()),
                        p.gain
                    )
                })
                .collect();
            if rows.is_empty() {
                return format!("<h3>{title}</h3><p class=\"sub\">Not measured: {}.</p>", e(nothing));
            }
            format!("<h3>{title}</h3><div class=\"scroll\"><table><thead><tr><th>Metric</th><th class=\"n\">Usual</th><th class=\"n\">Other</th><th class=\"n\">Gain</th></tr></thead><tbody>{rows}</tbody></table></div>")
        })
        .collect();
    format!("<div class=\"versus\">{tables}</div>")
}
