//! The table as a Run document with its pictures.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use lob_contrastive::EvaluationTable;
use lob_metrics::{Artifact, Finding, Scenario, Severity, Status};
use serde_json::Value;

use crate::version;

/// What a report says beside the table.
pub(super) struct Beside {
    pub(super) settings: BTreeMap<String, Value>,
    pub(super) notes: Vec<String>,
    pub(super) gallery: Vec<Artifact>,
    pub(super) elapsed_s: f64,
}

/// Writes `run.json`, the reports and a picture file for each artifact into `out`.
pub(super) fn write(table: &EvaluationTable, beside: Beside, out: &Path) -> Result<()> {
    let Beside { settings, notes, gallery, elapsed_s } = beside;
    let finding = |text: String| Finding { severity: Severity::Info, text };
    let scenario = Scenario {
        id: "evaluation".to_owned(),
        suite: "contrastive".to_owned(),
        title: "What trained features tell against features nobody trained".to_owned(),
        config: settings.clone(),
        status: Status::Passed,
        reason: None,
        elapsed_s,
        measurements: table.measurements(),
        scopes: Vec::new(),
        timeline: Vec::new(),
        findings: table.findings().into_iter().chain(notes).map(finding).collect(),
        artifacts: table.artifacts().into_iter().chain(gallery).collect(),
    };
    let settings = settings.iter().map(|(key, value)| (key.as_str(), value.clone()));
    let mut run = lob_runs::open_run("Evaluation of features", &version::build(), settings);
    run.elapsed_s = elapsed_s;
    run.scenarios.push(scenario);
    lob_runs::write_reports(&run, &lob_report::Beside::default(), out)?;
    Ok(())
}
