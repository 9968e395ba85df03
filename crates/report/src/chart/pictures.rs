//! The picture files of a run.

use std::collections::BTreeSet;

use lob_metrics::{Artifact, Run};

use super::svg::to_svg_file;
use super::{
    Matrix, Scene, curves_chart, forest_chart, heatmap_png, matrix_chart, panel, png::to_png,
};
use crate::{Rendered, ReportError, escape::slug};

/// Pixels of the picture of an artifact.
const SIZE: (f64, f64) = (900.0, 420.0);

/// The charts whose copy under `plots/` carries the name a seed document gives it.
const IN_PLOTS: [&str; 3] =
    ["training_performance", "scalability_analysis", "hardware_optimization"];

fn charts(run: &Run) -> [(&'static str, Scene); 7] {
    [
        ("performance_charts", panel::overview(run)),
        ("latency", panel::latency(run)),
        ("memory", panel::memory(run)),
        ("throughput", panel::throughput(run)),
        ("training_performance", panel::training(run)),
        ("scalability_analysis", panel::scalability(run)),
        ("hardware_optimization", panel::hardware(run)),
    ]
}

/// Draws every picture of a run: seven charts, one of each suite, and one file a heat map.
pub(crate) fn pictures(
    run: &Run,
    suites: &[(String, String)],
) -> Result<Vec<Rendered>, ReportError> {
    let mut files = Vec::new();
    for (name, scene) in charts(run) {
        let file_name = format!("{name}.png");
        let bytes = drawn(&file_name, to_png(&scene))?;
        if IN_PLOTS.contains(&name) {
            files.push(Rendered { file_name: format!("plots/{file_name}"), bytes: bytes.clone() });
        }
        files.push(Rendered { file_name, bytes });
    }
    // The charts of the whole run come first.
    files.sort_by_key(|f| f.file_name.contains('/'));
    for (suite, name) in suites {
        let file_name = format!("suites/{name}_plots.png");
        let bytes = drawn(&file_name, to_png(&panel::suite(run, suite)))?;
        files.push(Rendered { file_name, bytes });
    }
    let mut taken: BTreeSet<String> = files.iter().map(|f| f.file_name.clone()).collect();
    for artifact in run.scenarios.iter().flat_map(|s| &s.artifacts) {
        let (title, png) = match artifact {
            Artifact::Heatmap { title, rows, columns, values, .. } => {
                (title, heatmap_png(*rows, *columns, values))
            }
            _ => match artifact_chart(artifact) {
                Some((title, scene)) => (title, to_png(&scene)),
                None => continue,
            },
        };
        let file_name = free_name(&slug(title), &mut taken);
        let bytes = drawn(&file_name, png)?;
        files.push(Rendered { file_name, bytes });
    }
    Ok(files)
}

/// The picture of an artifact that is curves, a matrix or estimates, with its title.
fn artifact_chart(artifact: &Artifact) -> Option<(&String, Scene)> {
    let (title, scene) = match artifact {
        Artifact::Curves { title, x_label, y_label, log_x, curves } => {
            (title, curves_chart((title, x_label, y_label), *log_x, curves, SIZE))
        }
        Artifact::Matrix { title, row_label, column_label, row_names, column_names, values } => (
            title,
            matrix_chart(&Matrix {
                title,
                row_label,
                column_label,
                row_names,
                column_names,
                values,
            }),
        ),
        Artifact::Intervals { title, x_label, groups } => {
            (title, forest_chart(title, x_label, groups, SIZE.0))
        }
        _ => return None,
    };
    Some((title, scene?))
}

/// The seven charts as vector graphics.
pub(crate) fn vector_pictures(run: &Run) -> Vec<Rendered> {
    let file = |(name, scene): (&str, Scene)| Rendered {
        file_name: format!("{name}.svg"),
        bytes: to_svg_file(&scene).into_bytes(),
    };
    charts(run).into_iter().map(file).collect()
}

fn drawn(chart: &str, result: Result<Vec<u8>, String>) -> Result<Vec<u8>, ReportError> {
    result.map_err(|problem| ReportError::Chart { chart: chart.to_owned(), problem })
}

/// `name.png`, or with the first free number when two titles are alike.
fn free_name(slug: &str, taken: &mut BTreeSet<String>) -> String {
    let mut name = format!("{slug}.png");
    let mut number = 2;
    while !taken.insert(name.clone()) {
        name = format!("{slug}_{number}.png");
        number += 1;
    }
    name
}
