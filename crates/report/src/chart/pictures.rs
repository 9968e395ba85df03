//! The picture files of a run.

use std::collections::BTreeSet;

use lob_metrics::{Artifact, Run};

use super::{Scene, heatmap_png, panel, png::to_png};
use crate::{Rendered, ReportError, escape::slug};

/// Draws every picture of a run: five charts and one file a heat map.
pub(crate) fn pictures(run: &Run) -> Result<Vec<Rendered>, ReportError> {
    let charts: [(&str, Scene); 5] = [
        ("performance_charts.png", panel::overview(run)),
        ("latency.png", panel::latency(run)),
        ("memory.png", panel::memory(run)),
        ("throughput.png", panel::throughput(run)),
        ("training_performance.png", panel::training(run)),
    ];
    let mut files = Vec::new();
    for (name, scene) in charts {
        files.push(Rendered { file_name: name.to_owned(), bytes: drawn(name, to_png(&scene))? });
    }
    let mut taken: BTreeSet<String> = files.iter().map(|f| f.file_name.clone()).collect();
    for artifact in run.scenarios.iter().flat_map(|s| &s.artifacts) {
        if let Artifact::Heatmap { title, rows, columns, values, .. } = artifact {
            let file_name = free_name(&slug(title), &mut taken);
            let bytes = drawn(&file_name, heatmap_png(*rows, *columns, values))?;
            files.push(Rendered { file_name, bytes });
        }
    }
    Ok(files)
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
