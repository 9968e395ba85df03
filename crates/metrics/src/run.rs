//! The Run document: everything one launch of the suite found, versioned.

mod version_1;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Artifact, Finding, Measurement, MetricsError, REFERENCE, Recommendation, TargetResult, Unit,
    nan,
};

/// Metric of the share of the cores that other programs used while the machine's limits were
/// measured, 0..=1.
pub const OTHERS_CPU: &str = "machine.others_cpu";

/// Share of the cores in other programs' hands above which a measured limit is a lower bound, and a
/// share of it an upper one.
pub const BUSY_SHARE: f64 = 0.1;

/// Version of the JSON layout; raised when a reader of the old one would misread the new.
pub const SCHEMA_VERSION: u32 = 2;

/// Everything one launch found. The only type of the workspace that is a file format of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Version of this layout: [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Unique name of the run, sortable by time.
    pub id: String,
    /// Start time, RFC 3339 in UTC.
    pub started_at: String,
    /// Wall time of the whole run in seconds.
    #[serde(deserialize_with = "nan::number")]
    pub elapsed_s: f64,
    /// Title shown at the top of reports.
    pub title: String,
    /// What produced the run.
    pub tool: Tool,
    /// The machine.
    pub host: Host,
    /// The machine's limits, measured in the same run.
    pub roof: Roof,
    /// Files read.
    pub inputs: Vec<Input>,
    /// The settings of the launch; `order` lists the scenarios as they ran, `order_seed` draws that
    /// order again.
    #[serde(default)]
    pub settings: BTreeMap<String, Value>,
    /// The scenarios, in the order of the suite's list.
    pub scenarios: Vec<Scenario>,
    /// Targets judged.
    pub targets: Vec<TargetResult>,
    /// Advice, most important first.
    pub recommendations: Vec<Recommendation>,
    /// What measuring itself cost.
    pub overhead: Overhead,
    /// Choices the run made by itself and the reader should know (fitted bin size, fallbacks).
    #[serde(default)]
    pub notes: Vec<String>,
}

/// The program that ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Program name.
    pub name: String,
    /// Package version.
    pub version: String,
    /// Source revision, when known at build time.
    pub revision: Option<String>,
    /// Why there is no revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision_unknown: Option<String>,
    /// Cargo features switched on.
    pub features: Vec<String>,
    /// Command line.
    pub command: Vec<String>,
}

/// The machine. Unknown facts are `None`, never zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// CPU model.
    pub cpu: Option<String>,
    /// Logical cores this process may use.
    pub cores: Option<u32>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Operating system and kernel release.
    pub kernel: Option<String>,
    /// Frequency governor.
    pub governor: Option<String>,
    /// Compiler that built the tool.
    pub compiler: Option<String>,
    /// GPUs found.
    pub gpu: Vec<String>,
    /// Hash of the facts that make two machines comparable.
    pub fingerprint: String,
}

/// The machine's measured limits; `None` where a limit was not measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Roof {
    /// Writing a constant into memory, one core, buffers larger than the last-level cache.
    pub fill_bytes_per_s: Option<f64>,
    /// Copying memory (bytes copied, not bytes moved), one core.
    pub copy_bytes_per_s: Option<f64>,
    /// Decompressed bytes per second of zstd level 3 on order-book records, one core.
    pub zstd_decode_bytes_per_s: Option<f64>,
    /// f32 matrix product, one core.
    pub gemm_flop_per_s: Option<f64>,
    /// Seconds for an fsync of a small file.
    pub fsync_s: Option<f64>,
    /// Further limits by name.
    #[serde(flatten, deserialize_with = "nan::known")]
    pub more: BTreeMap<String, f64>,
}

impl Roof {
    /// Unit of a further limit: the keys of `roof` end in their unit, `_bytes_per_s`,
    /// `_flop_per_s`, `_per_s` or `_s`.
    #[must_use]
    pub fn unit_of(name: &str) -> Unit {
        match name {
            _ if name.ends_with("bytes_per_s") => Unit::BytesPerSecond,
            _ if name.ends_with("flop_per_s") => Unit::FlopPerSecond,
            _ if name.ends_with("_per_s") => Unit::ValuesPerSecond,
            _ if name.ends_with("_s") => Unit::Seconds,
            _ => Unit::Dimensionless,
        }
    }
}

/// One file read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Path as given.
    pub path: String,
    /// SHA-256 of the bytes, lower-case hexadecimal.
    pub sha256: String,
    /// XXH3-128 of the decompressed records, lower-case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Size in bytes.
    pub bytes: u64,
    /// Records decoded.
    pub records: u64,
    /// Schema found, such as `mbo`.
    pub schema: String,
    /// MBP-10 updates that came out of replaying an mbo file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mbp10_updates: Option<u64>,
}

/// How a scenario ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It ran to its end.
    Passed,
    /// It ran to its end, but figures that it is there for are unavailable; `reason` names them.
    Partly,
    /// It failed; `reason` says how.
    Failed,
    /// It was stopped at its time cap.
    TimedOut,
    /// It did not apply here; `reason` says why.
    Skipped,
}

/// One scenario and what it found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Unique name, such as `convert.bins`.
    pub id: String,
    /// Suite it belongs to.
    pub suite: String,
    /// One line for people.
    pub title: String,
    /// The settings it ran with.
    pub config: BTreeMap<String, Value>,
    /// How it ended.
    pub status: Status,
    /// Why it failed, was skipped or passed only partly.
    #[serde(default)]
    pub reason: Option<String>,
    /// Wall time in seconds.
    #[serde(deserialize_with = "nan::number")]
    pub elapsed_s: f64,
    /// What was measured.
    pub measurements: Vec<Measurement>,
    /// Profiler scopes, parents before children.
    pub scopes: Vec<ScopeStat>,
    /// Sampled series (memory, utilisation).
    pub timeline: Vec<Timeline>,
    /// Observations.
    pub findings: Vec<Finding>,
    /// Small data for pictures in the report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
}

/// Totals of one profiler scope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScopeStat {
    /// Names from the outermost scope, joined by `/`.
    pub path: String,
    /// Times entered.
    pub calls: u64,
    /// Wall seconds inside, children included.
    #[serde(deserialize_with = "nan::number")]
    pub total_s: f64,
    /// Wall seconds inside, children excluded.
    #[serde(deserialize_with = "nan::number")]
    pub self_s: f64,
    /// Shortest call in seconds.
    #[serde(deserialize_with = "nan::number")]
    pub min_s: f64,
    /// Longest call in seconds.
    #[serde(deserialize_with = "nan::number")]
    pub max_s: f64,
    /// Median call in seconds.
    #[serde(deserialize_with = "nan::number")]
    pub p50_s: f64,
    /// 95th percentile in seconds.
    #[serde(deserialize_with = "nan::number")]
    pub p95_s: f64,
    /// 99th percentile in seconds.
    #[serde(deserialize_with = "nan::number")]
    pub p99_s: f64,
}

/// A series over the time of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Name of the series, such as `rss`.
    pub metric: String,
    /// Unit of the values.
    pub unit: crate::Unit,
    /// Seconds since the scenario began.
    #[serde(deserialize_with = "nan::numbers")]
    pub t_s: Vec<f64>,
    /// Values.
    #[serde(deserialize_with = "nan::numbers")]
    pub values: Vec<f64>,
}

/// What measuring itself cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Overhead {
    /// Share of the run's CPU time spent in profiler scopes and samplers, estimated as calls times
    /// the calibrated cost of one scope.
    pub profiler_share: Option<f64>,
    /// Calibrated cost of one enter and leave, in seconds.
    pub scope_cost_s: Option<f64>,
}

impl Scenario {
    /// Seconds of the reference workload that ran beside it.
    pub(crate) fn reference_s(&self) -> Option<f64> {
        let name = format!("{}.{REFERENCE}", self.id);
        let found = self.measurements.iter().find(|m| m.metric == name);
        found.and_then(|m| m.value()).filter(|s| s.is_finite() && *s > 0.0)
    }
}

impl Run {
    /// Every measurement with the scenario it belongs to.
    pub fn measurements(&self) -> impl Iterator<Item = (&Scenario, &Measurement)> {
        self.scenarios.iter().flat_map(|s| s.measurements.iter().map(move |m| (s, m)))
    }

    /// Share of the cores that other programs used while the limits were measured, where that is
    /// more than [`BUSY_SHARE`].
    #[must_use]
    pub fn busy_share(&self) -> Option<f64> {
        let (_, others) = self.measurements().find(|(_, m)| m.metric == OTHERS_CPU)?;
        others.value().filter(|share| *share > BUSY_SHARE)
    }

    /// Targets whose value lies below its floor; see [`Floor`](crate::Floor).
    pub fn below_floor(&self) -> impl Iterator<Item = &TargetResult> {
        self.targets.iter().filter(|target| target.floor_held == Some(false))
    }

    /// Whether the launch was asked to hold its floors too (`lob bench --strict`).
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.settings.get("strict").is_some_and(|strict| strict == true)
    }

    /// Whether no scenario failed or ran out of time and no target failed; in a strict run also
    /// whether no value lies below its floor.
    #[must_use]
    pub fn passed(&self) -> bool {
        if self.is_strict() && self.below_floor().next().is_some() {
            return false;
        }
        let lost = |s: &Scenario| matches!(s.status, Status::Failed | Status::TimedOut);
        let scenarios_hold = !self.scenarios.iter().any(lost);
        let targets_hold = self.targets.iter().all(|t| t.verdict != crate::Verdict::Fail);
        scenarios_hold && targets_hold
    }

    /// The document as compact JSON with a final line feed: series and images are long, and one
    /// number a line made them ten times as long. A number that is none becomes `null`.
    ///
    /// # Errors
    /// [`MetricsError::NotWritten`] when a value has no JSON form.
    pub fn to_json(&self) -> Result<String, MetricsError> {
        let mut text =
            serde_json::to_string(self).map_err(|source| MetricsError::NotWritten { source })?;
        text.push('\n');
        Ok(text)
    }

    /// Reads a document of this version or an earlier one, after a look at its `schema_version`.
    ///
    /// # Errors
    /// [`MetricsError::SchemaVersion`] for another layout, [`MetricsError::NotARun`] and
    /// [`MetricsError::NoSchemaVersion`] for anything that is no Run document.
    pub fn from_json(text: &str) -> Result<Self, MetricsError> {
        let not_a_run = |source| MetricsError::NotARun { source };
        let document: Value = serde_json::from_str(text).map_err(not_a_run)?;
        let version = match document.get("schema_version") {
            Some(version) => version
                .as_u64()
                .ok_or_else(|| MetricsError::NoSchemaVersion { found: version.to_string() })?,
            None => return Err(MetricsError::NoSchemaVersion { found: "absent".to_owned() }),
        };
        if !(1..=u64::from(SCHEMA_VERSION)).contains(&version) {
            return Err(MetricsError::SchemaVersion { found: version, expected: SCHEMA_VERSION });
        }
        // Read from the text once more: only then does an error name its line and column.
        let mut run: Self = serde_json::from_str(text).map_err(not_a_run)?;
        if version == 1 {
            version_1::upgrade(&mut run);
            run.schema_version = SCHEMA_VERSION;
        }
        Ok(run)
    }
}
