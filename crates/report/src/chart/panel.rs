//! Panels of the picture files: dot plots by unit, memory over time, learning curves.

use lob_metrics::{Artifact, Measurement, Run, Timeline, Unit};

use super::series::{Curve, Plot, line_chart};
use super::{Anchor, Ink, Scene, dot_plot};

const WIDTH: f64 = 860.0;

/// Memory series drawn before the rest is left to the page.
const MAX_CURVES: usize = 6;

const RATES: [Unit; 5] = [
    Unit::SamplesPerSecond,
    Unit::RecordsPerSecond,
    Unit::ValuesPerSecond,
    Unit::BytesPerSecond,
    Unit::FlopPerSecond,
];

fn of_unit(run: &Run, unit: Unit) -> Vec<&Measurement> {
    run.measurements().map(|(_, m)| m).filter(|m| m.unit == unit).collect()
}

/// Throughput, one panel a unit: samples and bytes do not share an axis.
pub(super) fn throughput(run: &Run) -> Scene {
    let panels = RATES.map(|unit| {
        let title = format!("Throughput, {unit} (median, 95 % interval)");
        dot_plot(&title, unit, &of_unit(run, unit), WIDTH)
    });
    stacked(panels.into_iter().flatten(), "Throughput", "no throughput was measured in this run")
}

/// Latencies: medians with their intervals, p99 hollow.
pub(super) fn latency(run: &Run) -> Scene {
    let title = "Latency (median, 95 % interval; hollow: p99)";
    let panel = dot_plot(title, Unit::Seconds, &of_unit(run, Unit::Seconds), WIDTH);
    stacked(panel.into_iter(), "Latency", "no latency was measured in this run")
}

/// Memory figures and memory over time.
pub(super) fn memory(run: &Run) -> Scene {
    let dots = dot_plot("Memory and sizes", Unit::Bytes, &of_unit(run, Unit::Bytes), WIDTH);
    let series: Vec<(&str, &Timeline)> = run
        .scenarios
        .iter()
        .flat_map(|s| s.timeline.iter().map(move |t| (s.id.as_str(), t)))
        .filter(|(_, t)| t.unit == Unit::Bytes)
        .take(MAX_CURVES)
        .collect();
    let names: Vec<String> = series.iter().map(|(id, t)| format!("{id} {}", t.metric)).collect();
    let curves =
        series.iter().zip(&names).map(|((_, t), name)| Curve { name, x: &t.t_s, y: &t.values });
    let lines = line_chart(&Plot {
        title: "Memory over time",
        x_label: "time since the scenario began",
        y_label: "memory",
        x_unit: Unit::Seconds,
        y_unit: Unit::Bytes,
        size: (WIDTH, 340.0),
        curves: curves.collect(),
    });
    stacked(dots.into_iter().chain(lines), "Memory", "no memory was measured in this run")
}

/// Learning curves and the figures of the training scenarios.
pub(super) fn training(run: &Run) -> Scene {
    let learns = |suite: &str| suite.contains("train") || suite.contains("contrastive");
    let scenarios: Vec<_> = run.scenarios.iter().filter(|s| learns(&s.suite)).collect();
    let mut panels = Vec::new();
    for artifact in scenarios.iter().flat_map(|s| &s.artifacts).take(MAX_CURVES) {
        if let Artifact::Line { title, x_label, y_label, x, y } = artifact {
            panels.extend(line_chart(&Plot {
                title,
                x_label,
                y_label,
                x_unit: Unit::Dimensionless,
                y_unit: Unit::Dimensionless,
                size: (WIDTH, 340.0),
                curves: vec![Curve { name: title, x, y }],
            }));
        }
    }
    for (unit, title) in [
        (Unit::SamplesPerSecond, "Training throughput"),
        (Unit::Seconds, "Training latency (hollow: p99)"),
    ] {
        let rows: Vec<&Measurement> =
            scenarios.iter().flat_map(|s| &s.measurements).filter(|m| m.unit == unit).collect();
        panels.extend(dot_plot(title, unit, &rows, WIDTH));
    }
    stacked(panels.into_iter(), "Training performance", "no training was measured in this run")
}

/// Panels below each other, or the plain statement that there is nothing to draw.
fn stacked(panels: impl Iterator<Item = Scene>, title: &str, nothing: &str) -> Scene {
    let mut whole = Scene::new(title, WIDTH, 8.0);
    let mut any = false;
    for panel in panels {
        any = true;
        whole.stack(panel);
    }
    if !any {
        whole.height = 90.0;
        whole.text((16.0, 24.0), 16.0, Anchor::Start, Ink::Text, title);
        whole.text(
            (16.0, 56.0),
            14.0,
            Anchor::Start,
            Ink::Muted,
            format!("Not measured: {nothing}."),
        );
    }
    whole
}

/// The three main panels in one picture.
pub(super) fn overview(run: &Run) -> Scene {
    let parts = [throughput(run), latency(run), memory(run)];
    stacked(parts.into_iter(), "Performance", "nothing was measured in this run")
}
