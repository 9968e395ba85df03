//! The history of a machine: one line a run, and what its metrics did over time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::reference::in_reference;
use crate::stats::{ChangePoint, change_point};
use crate::{Direction, MetricsError, Run, Unit};

/// Version of a line; raised when a reader of the old one would misread the new.
pub const HISTORY_VERSION: u32 = 1;

/// One run, as a line of a history file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// [`HISTORY_VERSION`].
    pub history_version: u32,
    /// [`Run::id`].
    pub run: String,
    /// [`Run::started_at`].
    pub started_at: String,
    /// [`Run::title`]: only runs of one kind make a series.
    pub title: String,
    /// Fingerprint of the machine.
    pub fingerprint: String,
    /// Source revision, when known.
    pub revision: Option<String>,
    /// Values by `scenario metric`.
    pub metrics: BTreeMap<String, HistoryValue>,
}

/// One value of one run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HistoryValue {
    /// The headline value.
    pub value: f64,
    /// Its unit.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    /// The value in units of the reference workload of the same launch: a time divided by the
    /// reference's time, a rate multiplied with it. A slower machine moves both. `None` for what is
    /// no speed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
}

impl HistoryEntry {
    /// The line of a run: every measured value that has a better side.
    #[must_use]
    pub fn of(run: &Run) -> Self {
        let mut metrics = BTreeMap::new();
        for scenario in &run.scenarios {
            let reference_s = scenario.reference_s();
            for m in &scenario.measurements {
                let Some(value) = m.value().filter(|v| v.is_finite()) else { continue };
                if m.direction == Direction::Neutral {
                    continue;
                }
                let ratio = reference_s.and_then(|s| in_reference(m.unit, value, s));
                let found = HistoryValue { value, unit: m.unit, direction: m.direction, ratio };
                metrics.insert(format!("{} {}", scenario.id, m.metric), found);
            }
        }
        Self {
            history_version: HISTORY_VERSION,
            run: run.id.clone(),
            started_at: run.started_at.clone(),
            title: run.title.clone(),
            fingerprint: run.host.fingerprint.clone(),
            revision: run.tool.revision.clone(),
            metrics,
        }
    }

    /// The entry as one line with its line feed, ready to be appended.
    ///
    /// # Errors
    /// [`MetricsError::NotWritten`] when a value has no JSON form.
    pub fn to_line(&self) -> Result<String, MetricsError> {
        let mut line =
            serde_json::to_string(self).map_err(|source| MetricsError::NotWritten { source })?;
        line.push('\n');
        Ok(line)
    }
}

/// Reads a history file: one entry a line, oldest first; empty lines are passed over.
///
/// # Errors
/// [`MetricsError::HistoryLine`] names the first line that is no entry of a version this build
/// knows.
pub fn read_history(text: &str) -> Result<Vec<HistoryEntry>, MetricsError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| {
            let broken = |problem: String| MetricsError::HistoryLine { line: i + 1, problem };
            let entry: HistoryEntry =
                serde_json::from_str(line).map_err(|error| broken(error.to_string()))?;
            match entry.history_version {
                HISTORY_VERSION => Ok(entry),
                other => Err(broken(format!(
                    "history version `{other}`, this version reads `{HISTORY_VERSION}`"
                ))),
            }
        })
        .collect()
}

/// One metric over the runs of a machine.
#[derive(Debug, Clone, PartialEq)]
pub struct TrendLine {
    /// `scenario metric`.
    pub name: String,
    /// Unit of `values`.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    /// Start times, oldest first.
    pub started_at: Vec<String>,
    /// Values, oldest first.
    pub values: Vec<f64>,
    /// The same in units of the reference workload, where every run has them.
    pub ratios: Option<Vec<f64>>,
    /// The clearest change of level, of the ratios where there are any: a hint, not a verdict.
    pub change: Option<ChangePoint>,
}

impl TrendLine {
    /// Whether the change of level is for the worse; `None` without one.
    #[must_use]
    pub fn is_worse(&self) -> Option<bool> {
        let rises = self.change?.relative > 0.0;
        Some(rises != (self.direction == Direction::HigherIsBetter))
    }
}

/// The trend of every metric of the newest entry, over the entries of its machine and title.
#[must_use]
pub fn trends(entries: &[HistoryEntry]) -> Vec<TrendLine> {
    let Some(newest) = entries.last() else { return Vec::new() };
    let of_kind =
        |e: &&HistoryEntry| e.fingerprint == newest.fingerprint && e.title == newest.title;
    let kin: Vec<&HistoryEntry> = entries.iter().filter(of_kind).collect();
    let line = |(name, last): (&String, &HistoryValue)| {
        let points: Vec<(&HistoryEntry, &HistoryValue)> = kin
            .iter()
            .filter_map(|e| Some((*e, e.metrics.get(name).filter(|v| v.unit == last.unit)?)))
            .collect();
        let values: Vec<f64> = points.iter().map(|(_, v)| v.value).collect();
        let ratios: Option<Vec<f64>> = points.iter().map(|(_, v)| v.ratio).collect();
        let change = change_point(ratios.as_deref().unwrap_or(&values), 1);
        TrendLine {
            name: name.clone(),
            unit: last.unit,
            direction: last.direction,
            started_at: points.iter().map(|(e, _)| e.started_at.clone()).collect(),
            values,
            ratios,
            change,
        }
    };
    newest.metrics.iter().map(line).collect()
}
