//! Panels of the picture files: dot plots by unit, memory over time, learning curves, scaling and
//! the machine.

use lob_metrics::{Artifact, Means, Measurement, Role, Run, Scenario, Timeline, Unit};

use super::series::{Curve, Plot, line_chart};
use super::{Anchor, Ink, Scene, dot_plot, roofline_chart, scaling_chart, shortened};
use crate::analysis::{is_stage, limits};
use crate::hardware::{DEVICES, PRECISIONS, no_gpu_reason, pairs, roofline};
use crate::sweep::sweeps;

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

/// Stages of the pipeline; of a run that has none, all its scenarios.
fn stages(run: &Run) -> Vec<&Scenario> {
    run.scenarios.iter().filter(|s| is_stage(s)).collect()
}

fn of_unit<'a>(scenarios: &[&'a Scenario], unit: Unit) -> Vec<&'a Measurement> {
    let all = scenarios.iter().flat_map(|s| &s.measurements);
    // A process's whole life is no latency; its peak memory is what a reader wants. The points of a
    // sweep have charts of their own.
    let wanted = |m: &&Measurement| {
        m.unit == unit
            && (unit == Unit::Bytes || !m.role.is_process())
            && (m.over.is_none() || m.role == Role::Headline)
    };
    all.filter(wanted).collect()
}

fn throughput_panels(scenarios: &[&Scenario]) -> Vec<Scene> {
    let panel = |unit: Unit| {
        let title = format!("Throughput, {unit} (median, 95 % interval)");
        dot_plot(&title, unit, &of_unit(scenarios, unit), WIDTH)
    };
    RATES.into_iter().filter_map(panel).collect()
}

fn latency_panel(scenarios: &[&Scenario]) -> Option<Scene> {
    let title = "Latency (median, 95 % interval; hollow: p99)";
    dot_plot(title, Unit::Seconds, &of_unit(scenarios, Unit::Seconds), WIDTH)
}

fn memory_panels(scenarios: &[&Scenario]) -> Vec<Scene> {
    let dots = dot_plot("Memory and sizes", Unit::Bytes, &of_unit(scenarios, Unit::Bytes), WIDTH);
    let mut series: Vec<(&str, &Timeline)> = scenarios
        .iter()
        .flat_map(|s| s.timeline.iter().map(move |t| (s.id.as_str(), t)))
        .filter(|(_, t)| t.unit == Unit::Bytes && t.metric == "rss")
        .collect();
    let peak = |t: &Timeline| t.values.iter().copied().fold(0.0, f64::max);
    series.sort_by(|a, b| peak(b.1).total_cmp(&peak(a.1)));
    let title = match series.len().saturating_sub(MAX_CURVES) {
        0 => "Resident memory over time".to_owned(),
        _ => format!("Resident memory over time, the {MAX_CURVES} largest scenarios"),
    };
    series.truncate(MAX_CURVES);
    let curves = series.iter().map(|(id, t)| Curve { name: id, x: &t.t_s, y: &t.values });
    let lines = line_chart(&Plot {
        title: &title,
        x_label: "time since the scenario began",
        y_label: "memory",
        x_unit: Unit::Seconds,
        y_unit: Unit::Bytes,
        size: (WIDTH, 380.0),
        curves: curves.collect(),
    });
    dots.into_iter().chain(lines).collect()
}

/// Throughput, one panel a unit: samples and bytes do not share an axis.
pub(super) fn throughput(run: &Run) -> Scene {
    let nothing = "no throughput was measured in this run";
    stacked(throughput_panels(&stages(run)), "Throughput", nothing)
}

/// Latencies: medians with their intervals, p99 hollow.
pub(super) fn latency(run: &Run) -> Scene {
    let panel = latency_panel(&stages(run));
    stacked(panel, "Latency", "no latency was measured in this run")
}

/// Memory figures and memory over time.
pub(super) fn memory(run: &Run) -> Scene {
    stacked(memory_panels(&stages(run)), "Memory", "no memory was measured in this run")
}

/// Everything of one suite.
pub(super) fn suite(run: &Run, suite: &str) -> Scene {
    let scenarios: Vec<&Scenario> = run.scenarios.iter().filter(|s| s.suite == suite).collect();
    let mut panels = throughput_panels(&scenarios);
    panels.extend(latency_panel(&scenarios));
    panels.extend(memory_panels(&scenarios));
    stacked(panels, &format!("Suite {suite}"), "no scenario of this suite has a value to draw")
}

/// Learning curves and the figures of the training scenarios.
pub(super) fn training(run: &Run) -> Scene {
    let learns = |suite: &str| suite.contains("train") || suite.contains("contrastive");
    let scenarios: Vec<&Scenario> = run.scenarios.iter().filter(|s| learns(&s.suite)).collect();
    let mut panels = Vec::new();
    let artifacts = scenarios.iter().flat_map(|s| s.artifacts.iter().map(move |a| (s, a)));
    for (scenario, artifact) in artifacts.take(MAX_CURVES) {
        if let Artifact::Line { title, x_label, y_label, x, y } = artifact {
            let whole = format!("{title}, {}", scenario.id);
            panels.extend(line_chart(&Plot {
                title: &whole,
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
        (Unit::SamplesPerSecond, "Training throughput (median, 95 % interval)"),
        (Unit::Seconds, "Training latency (median, 95 % interval; hollow: p99)"),
    ] {
        panels.extend(dot_plot(title, unit, &of_unit(&scenarios, unit), WIDTH));
    }
    stacked(panels, "Training performance", "no training was measured in this run")
}

/// Every sweep over a size with its ideal line.
pub(super) fn scalability(run: &Run) -> Scene {
    let mut panels = Vec::new();
    for sweep in sweeps(run) {
        let Some(mut scene) = scaling_chart(&sweep, (WIDTH, 340.0)) else { continue };
        if let Some(verdict) = sweep.verdict() {
            let text = format!("{}: {verdict}", sweep.scenario.id);
            scene.text(
                (16.0, scene.height + 6.0),
                13.0,
                Anchor::Start,
                Ink::Text,
                shortened(&text, 110),
            );
            scene.height += 30.0;
        }
        panels.push(scene);
    }
    let nothing =
        "no metric was taken at several batch sizes, windows or numbers of workers in this run";
    stacked(panels, "Scalability", nothing)
}

/// The roofline, the shares of the machine's limits, CPU against GPU, and precisions.
pub(super) fn hardware(run: &Run) -> Scene {
    let mut panels = Vec::new();
    match roofline(run) {
        Some(roof) => panels.push(roofline_chart(&roof, (WIDTH, 460.0))),
        None => panels.push(words(
            "Roofline",
            &["Not measured: the run holds no matrix product or no memory fill limit.".to_owned()],
        )),
    }
    let shares: Vec<Measurement> = limits(run, usize::MAX)
        .into_iter()
        .map(|(_, m, share)| {
            let neutral = lob_metrics::Direction::Neutral;
            Measurement::measured(&m.metric, Unit::Fraction, neutral, &[share])
        })
        .collect();
    let rows: Vec<&Measurement> = shares.iter().collect();
    panels.extend(dot_plot("Share of the machine's limit", Unit::Fraction, &rows, WIDTH));
    panels.push(words("CPU against GPU", &versus(run, DEVICES, &no_gpu_reason(run))));
    let no_precision = "no metric was taken in two precisions";
    panels.push(words("FP32 against half precision", &versus(run, PRECISIONS, no_precision)));
    stacked(panels, "Hardware", "nothing is known of the machine")
}

/// One line a pair, or why there is none.
fn versus(run: &Run, ways: (Means, &[Means]), nothing: &str) -> Vec<String> {
    let lines: Vec<String> = pairs(run, ways)
        .into_iter()
        .map(|p| {
            let value = |m: &Measurement| crate::analysis::value(m.unit, m.value());
            format!(
                "{}: {} against {}, {:.2} times as good",
                p.name,
                value(p.base),
                value(p.other),
                p.gain
            )
        })
        .collect();
    if lines.is_empty() { vec![format!("Not measured: {nothing}.")] } else { lines }
}

fn words(title: &str, lines: &[String]) -> Scene {
    let mut scene = Scene::new(title, WIDTH, 58.0 + 22.0 * lines.len() as f64);
    scene.text((16.0, 20.0), 16.0, Anchor::Start, Ink::Text, title);
    for (i, line) in lines.iter().enumerate() {
        let y = 46.0 + 22.0 * i as f64;
        scene.text((16.0, y), 14.0, Anchor::Start, Ink::Muted, shortened(line, 110));
    }
    scene
}

/// Panels below each other, or the plain statement that there is nothing to draw.
fn stacked(panels: impl IntoIterator<Item = Scene>, title: &str, nothing: &str) -> Scene {
    let mut whole = Scene::new(title, WIDTH, 8.0);
    let mut any = false;
    for panel in panels {
        any = true;
        whole.stack(panel);
    }
    if any { whole } else { words(title, &[format!("Not measured: {nothing}.")]) }
}

/// The three main panels in one picture.
pub(super) fn overview(run: &Run) -> Scene {
    stacked([throughput(run), latency(run), memory(run)], "Performance", "nothing was measured")
}
