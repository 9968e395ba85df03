//! What scenarios hand on to later ones: a small JSON document in the working folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lob_metrics::{Input, Roof, Scenario, shown};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::fit::Fit;
use crate::options::Options;

/// Facts found so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// The machine's limits.
    pub roof: Roof,
    /// Share of the cores that other programs used while the limits were measured, 0..=1.
    #[serde(default)]
    pub others_cpu: Option<f64>,
    /// The DBN files the pipeline runs on.
    pub dbn: Vec<PathBuf>,
    /// The synthetic market once more as single orders, for the replay path.
    pub mbo_twin: Option<PathBuf>,
    /// What was decoded from them.
    pub inputs: Vec<Input>,
    /// The bin and label sizes that fit the data.
    pub fit: Option<Fit>,
    /// The store of tick bins.
    pub store: Option<PathBuf>,
    /// Cost of one profiler scope, in seconds.
    pub scope_cost_s: Option<f64>,
    /// Choices the reader should know.
    pub notes: Vec<String>,
    /// What the self-test asks of its launches.
    #[serde(default)]
    pub self_test: Option<crate::injection::Injection>,
}

/// What the parent hands to a scenario process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Scenario to run.
    pub id: String,
    /// Settings of the launch.
    pub options: Options,
    /// Facts found so far.
    pub state: State,
}

/// What a scenario process hands back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct JobResult {
    /// The scenario with everything measured.
    pub scenario: Scenario,
    /// The facts, with what this scenario added.
    pub state: State,
    /// CPU seconds of the process.
    pub cpu_s: Option<f64>,
    /// Number of profiler scopes entered.
    pub scope_calls: u64,
}

/// Writes a JSON document, whole or not at all.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec(value).context("cannot encode JSON")?;
    Ok(lob_runs::write_file(path, &text)?)
}

/// Reads a JSON document.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text =
        std::fs::read(path).with_context(|| format!("cannot read `{}`", shown(path.display())))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("`{}` is not what we wrote", shown(path.display())))
}
