//! What a conversion did.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use dbn::Metadata;
use lob_store::{LabelKind, LabelUnit, NamedLabel};
use serde::{Deserialize, Serialize};

use crate::{ClassReport, DuplicateSummary};

/// The account of a conversion: what went in, what came out, and what was left out and why.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ConvertSummary {
    /// Records read from all inputs, of any kind.
    pub records: u64,
    /// Book updates among them, after the replay of market-by-order records.
    pub updates: u64,
    /// Bins written.
    pub rows: u64,
    /// Bins with a class label.
    pub samples: u64,
    /// Records or updates left out, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Updates kept although something about them was odd and was set right, by reason: the clock
    /// that a record was placed by, an event time far from it, a quote that is no price.
    pub oddities: BTreeMap<String, u64>,
    /// How the samples spread over the classes; `None` without labels.
    pub classes: Option<ClassReport>,
    /// The labels of each row, the first that of `classes`.
    pub labels: Vec<LabelSummary>,
    /// Bins that got the truth of a synthetic market; `None` where none was given.
    pub truth: Option<TruthCounts>,
    /// Files written.
    pub outputs: Vec<OutputSummary>,
    /// Files read.
    pub inputs: Vec<InputSummary>,
    /// Inputs that were left out because another one holds their market. They count nowhere else.
    pub duplicates: Vec<DuplicateSummary>,
    /// Things a user should know although nothing failed.
    pub warnings: Vec<String>,
    /// Wall time in seconds.
    pub elapsed_s: f64,
    /// Time that the fingerprints of the inputs took, on all threads together, in seconds by the
    /// clock.
    pub fingerprint_s: f64,
    /// CPU time of the process during the conversion in seconds; `None` where it is not told.
    pub cpu_s: Option<f64>,
    /// Peak resident memory of the process so far in bytes; `None` where it is not told.
    pub peak_rss_bytes: Option<u64>,
}

/// A label that the rows of all files have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelSummary {
    /// What readers ask for it by.
    pub name: String,
    /// What it says.
    pub kind: LabelKind,
    /// How far it looks forward; 0 of what is true at the row.
    pub horizon: u64,
    /// In what.
    pub unit: LabelUnit,
    /// Number of classes, 0 where values are not put into any.
    pub classes: u32,
    /// What the classes are, in words.
    pub rule: String,
}

impl From<NamedLabel> for LabelSummary {
    fn from(label: NamedLabel) -> Self {
        let NamedLabel { name, kind, horizon, unit, classes, rule, .. } = label;
        Self { name, kind, horizon, unit, classes, rule }
    }
}

/// How many bins have a truth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruthCounts {
    /// Bins whose last update is in the truth file.
    pub joined: u64,
    /// Bins whose last update is not: their labels are null.
    pub missing: u64,
}

impl TruthCounts {
    /// Adds those of another input.
    pub(crate) fn add(&mut self, more: Self) {
        self.joined += more.joined;
        self.missing += more.missing;
    }
}

/// One file of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputSummary {
    /// Final path.
    pub path: PathBuf,
    /// Instrument of the partition.
    pub instrument_id: u32,
    /// Its symbol that day; the instrument id as text if the input maps none.
    pub symbol: String,
    /// Day of the partition, `YYYY-MM-DD`.
    pub day: String,
    /// One price step in 1e-9 price units; 1 for ticks, whose prices are in these units.
    pub price_step: i64,
    /// Where it comes from; `None` for ticks.
    #[serde(default)]
    pub price_step_from: Option<PriceStepSource>,
    /// Bins, or updates in the layout of ticks.
    pub rows: u64,
    /// Bins with a class label.
    pub samples: u64,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
    /// A short name of the class edges: files with the same have the same. `None` without labels,
    /// and in journals of version 1.
    #[serde(default)]
    pub edges: Option<String>,
    /// Bins of each class, lowest class first; empty if there are no labels.
    pub class_counts: Vec<u64>,
}

/// Where the price step of an instrument comes from, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceStepSource {
    /// It was given, for all instruments or this one.
    Given,
    /// The instrument's definition record.
    Definition,
    /// The greatest common divisor of the prices seen.
    Detected,
    /// Too few prices to be sure: a power of ten that divides them, or their sparse divisor.
    Guessed,
}

/// One input.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputSummary {
    /// Path as given or found; in a journal the name alone.
    pub path: PathBuf,
    /// XXH3-128 of the records as they stand in the decompressed file, in hex: what the input is
    /// known by, whatever it is called and however it is compressed. `None` in journals of
    /// version 1.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// What makes another input a new delivery of this one: dataset, schema and start time of its
    /// header, and its name. `None` in journals of version 1.
    #[serde(default)]
    pub source: Option<String>,
    /// SHA-256 of the content, lower-case hex; `None` if another hash was
    /// asked for or none.
    pub sha256: Option<String>,
    /// XXH3 of 128 bits of the content in hex, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xxh3: Option<String>,
    /// Records read.
    pub records: u64,
    /// Times of the first and last update that was placed, nanoseconds since the Unix epoch.
    #[serde(default)]
    pub span: Option<(u64, u64)>,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Schema: `mbp-10` or `mbo`.
    pub schema: String,
    /// Book updates, after the replay of market-by-order records.
    pub updates: u64,
    /// Whether an earlier run had converted it and this one took over its files.
    #[serde(default)]
    pub resumed: bool,
    /// Fingerprints of earlier deliveries of the source, whose files it takes the place of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<String>,
}

impl InputSummary {
    /// What the file is known by before it is read to its end: the hash of its bytes.
    pub(crate) fn content(&self) -> Option<&str> {
        self.xxh3.as_deref().or(self.sha256.as_deref())
    }

    /// The source it is a delivery of.
    pub(crate) fn source(&self) -> String {
        // Journals of version 1 hold paths, which say the same to another run at the same place.
        self.source.clone().unwrap_or_else(|| self.path.display().to_string())
    }

    /// What its records are known by.
    pub(crate) fn identity(&self) -> Option<&str> {
        self.fingerprint.as_deref().or(self.content())
    }

    pub(crate) fn name(&self) -> String {
        file_name(&self.path)
    }
}

/// The name of a file without its folder: all that a store holds of where an input lay.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// What makes two files deliveries of one source: their names and what their headers say they begin
/// with. Where they lie, how they are compressed and when they end is left out.
pub(crate) fn source_of(path: &Path, header: &Metadata) -> String {
    let schema = header.schema.map_or("none", |schema| schema.as_str());
    format!("{} {schema} {} {}", header.dataset, header.start, file_name(path))
}

impl ConvertSummary {
    /// Adds what one input gave.
    pub(crate) fn add(&mut self, outcome: InputOutcome) {
        self.records += outcome.input.records;
        self.updates += outcome.input.updates;
        for output in &outcome.outputs {
            self.rows += output.rows;
            self.samples += output.samples;
        }
        let counts = outcome.outputs.iter().map(|output| output.class_counts.as_slice());
        self.classes = ClassReport::of_all(self.classes.take(), counts);
        for (reason, n) in outcome.skipped {
            *self.skipped.entry(reason).or_default() += n;
        }
        for (reason, n) in outcome.oddities {
            *self.oddities.entry(reason).or_default() += n;
        }
        if let Some(truth) = outcome.truth {
            self.truth.get_or_insert_default().add(truth);
        }
        self.fingerprint_s += outcome.fingerprint_s;
        self.outputs.extend(outcome.outputs);
        let path = outcome.input.path.display();
        self.warnings.extend(outcome.warnings.iter().map(|line| format!("`{path}`: {line}")));
        self.inputs.push(outcome.input);
    }
}

/// What one input gave; a line of the journal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct InputOutcome {
    pub(crate) input: InputSummary,
    pub(crate) outputs: Vec<OutputSummary>,
    pub(crate) skipped: BTreeMap<String, u64>,
    #[serde(default)]
    pub(crate) oddities: BTreeMap<String, u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) truth: Option<TruthCounts>,
    /// Without the input's path, which [`ConvertSummary::add`] puts before each.
    pub(crate) warnings: Vec<String>,
    /// What the fingerprint took, in seconds; a store does not hold what differs from run to run.
    #[serde(skip)]
    pub(crate) fingerprint_s: f64,
}
