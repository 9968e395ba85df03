//! A look at a DBN file or a store.

mod edges;
mod journals;
mod labels;

use std::path::{Path, PathBuf};

use lob_metrics::shown;
use lob_store::{NamedLabel, Store, TickMeta, read_tick_meta};
use serde::Serialize;

use crate::{ClassReport, ConvertError, Progress, VerifyReport, progress::go_on, verify::look};

pub use self::{edges::EdgesInspection, journals::JournalInspection, labels::LabelCounts};
use self::{edges::EdgesOfFiles, labels::FileLabels};

/// What [`inspect`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Inspection {
    /// A DBN file.
    Dbn(Box<DbnInspection>),
    /// A store, or one file of it.
    Store(Box<StoreInspection>),
}

/// A DBN file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DbnInspection {
    /// Symbols asked for.
    pub symbols: Vec<String>,
    /// Symbols the vendor could resolve for a part of the time only.
    pub partial: Vec<String>,
    /// Symbols the vendor could not resolve.
    pub not_found: Vec<String>,
    /// Start and end of the request, nanoseconds since the Unix epoch.
    pub requested: (u64, Option<u64>),
    /// Most records asked for, if there was a limit.
    pub limit: Option<u64>,
    /// Counts, time range, instruments and health.
    #[serde(flatten)]
    pub report: VerifyReport,
}

/// A store.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StoreInspection {
    /// The folder or file.
    pub path: PathBuf,
    /// Bins.
    pub rows: u64,
    /// Bins with a label.
    pub samples: u64,
    /// Book updates in the bins.
    pub updates: u64,
    /// First and last exchange time of bins, nanoseconds since the Unix epoch.
    pub ts_event_range: Option<(u64, u64)>,
    /// Bins of each class, lowest class first.
    pub class_counts: Vec<u64>,
    /// Largest deviation of a class from an equal share, in percentage points; `None` without
    /// labels.
    pub class_deviation_points: Option<f64>,
    /// That in a word, see [`ClassReport::verdict`](crate::ClassReport::verdict).
    pub class_verdict: Option<&'static str>,
    /// How many bins have each label, in the order in which files first name them.
    pub label_counts: Vec<LabelCounts>,
    /// Files in path order.
    pub files: Vec<StoreFileInspection>,
    /// Class edges of instruments, and how many files have them.
    pub edges: Vec<EdgesInspection>,
    /// Journals of the runs, shards and tasks that wrote it.
    pub journals: Vec<JournalInspection>,
    /// What a user should know: damaged pages, settings that differ between files.
    pub health: Vec<String>,
}

/// One file of a store.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoreFileInspection {
    /// The file.
    pub path: PathBuf,
    /// Day of the partition.
    pub day: String,
    /// Its instrument.
    pub instrument_id: u32,
    /// The instrument's symbol that day.
    pub symbol: String,
    /// Schema of the source: `mbp-10` or `mbo`.
    pub source_schema: String,
    /// One price step in 1e-9 price units.
    pub price_step: i64,
    /// When a bin ends, such as `updates=100`.
    pub bin_rule: String,
    /// Bins.
    pub rows: u64,
    /// Bins with a label.
    pub samples: u64,
    /// Book updates in the bins.
    pub updates: u64,
    /// Stretches without a break.
    pub segments: usize,
    /// Bins of the longest of them: the longest window that fits.
    pub longest_segment: u64,
    /// Files the bins were made from.
    pub sources: Vec<String>,
    /// Version of the file's format.
    pub format_version: u32,
    /// Labels of each row.
    pub labels: Vec<NamedLabel>,
    /// What the file leaves unsaid of its rows, such as `order_flow`.
    pub unknown: Vec<String>,
}

/// Looks at a DBN file or a store, told by their content.
///
/// # Errors
/// The path cannot be read, or is neither.
pub fn inspect(path: impl AsRef<Path>) -> Result<Inspection, ConvertError> {
    inspect_with(path, &())
}

/// [`inspect`], which `progress` can stop.
///
/// # Errors
/// As [`inspect`], and [`ConvertError::Interrupted`].
pub fn inspect_with(
    path: impl AsRef<Path>,
    progress: &dyn Progress,
) -> Result<Inspection, ConvertError> {
    let path = path.as_ref();
    if path.is_dir() || path.extension().is_some_and(|extension| extension == "parquet") {
        let mut found = inspect_store(path, progress)?;
        if path.is_dir() {
            let (journals, health) = journals::read(path)?;
            found.journals = journals;
            found.health.extend(health);
        }
        return Ok(Inspection::Store(Box::new(found)));
    }
    let (report, metadata) = look(path, progress)?;
    let metadata = metadata?;
    Ok(Inspection::Dbn(Box::new(DbnInspection {
        symbols: metadata.symbols,
        partial: metadata.partial,
        not_found: metadata.not_found,
        requested: (metadata.start, metadata.end.map(std::num::NonZeroU64::get)),
        limit: metadata.limit.map(std::num::NonZeroU64::get),
        report,
    })))
}

fn inspect_store(path: &Path, progress: &dyn Progress) -> Result<StoreInspection, ConvertError> {
    if let Some(found) = inspect_ticks(path, progress)? {
        return Ok(found);
    }
    let store = Store::open(path)?;
    let mut all = StoreInspection { path: path.to_owned(), ..StoreInspection::default() };
    let mut edges = EdgesOfFiles::default();
    for file in store.files() {
        go_on(progress)?;
        let mut seen = FileLabels::default();
        // A damaged page is a finding, not the end of the inspection.
        if let Err(error) = seen.read(file) {
            all.health.push(error.to_string());
        }
        let meta = file.meta();
        edges.add(&meta.symbol, meta.publisher_id, &meta.label);
        all.rows += file.len();
        all.samples += seen.samples;
        all.updates += meta.updates;
        all.ts_event_range = match (all.ts_event_range, seen.ts_event_range) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        if all.class_counts.len() < seen.class_counts.len() {
            all.class_counts.resize(seen.class_counts.len(), 0);
        }
        all.class_counts.iter_mut().zip(&seen.class_counts).for_each(|(all, n)| *all += n);
        labels::add(&mut all.label_counts, seen.counts);
        all.files.push(StoreFileInspection {
            path: file.path().to_owned(),
            day: meta.day.clone(),
            instrument_id: meta.instrument_id,
            symbol: meta.symbol.clone(),
            source_schema: meta.source_schema.clone(),
            price_step: meta.price_step,
            bin_rule: meta.bin_rule.to_string(),
            rows: file.len(),
            samples: seen.samples,
            updates: meta.updates,
            segments: meta.segments.len(),
            longest_segment: meta.segments.iter().map(|segment| segment.rows).max().unwrap_or(0),
            sources: meta.sources.iter().map(|source| source.name.clone()).collect(),
            format_version: meta.format_version,
            labels: meta.labels.clone(),
            unknown: meta.unknown.clone(),
        });
    }
    all.judge_classes();
    all.judge_edges(edges);
    all.health.extend(differing_settings(&store));
    Ok(all)
}

/// A store in the layout of ticks, told by its first file; `None` for any other.
fn inspect_ticks(
    path: &Path,
    progress: &dyn Progress,
) -> Result<Option<StoreInspection>, ConvertError> {
    let paths = crate::store_files::store_files(path)?;
    let Some(Ok(Some(_))) = paths.first().map(read_tick_meta) else { return Ok(None) };
    let mut all = StoreInspection { path: path.to_owned(), ..StoreInspection::default() };
    let mut edges = EdgesOfFiles::default();
    for path in paths {
        go_on(progress)?;
        match read_tick_meta(&path) {
            Ok(Some(meta)) => {
                edges.add(&meta.symbol, Some(meta.publisher_id), &meta.label);
                all.add_ticks(path, meta);
            }
            Ok(None) => all.health.push(format!("`{}` is no file of ticks", shown(path.display()))),
            Err(error) => all.health.push(error.to_string()),
        }
    }
    all.judge_classes();
    all.judge_edges(edges);
    Ok(Some(all))
}

impl StoreInspection {
    fn judge_classes(&mut self) {
        if let Some(report) = ClassReport::of(&self.class_counts) {
            self.class_deviation_points = Some(report.deviation_points);
            self.class_verdict = Some(report.verdict);
        }
    }

    fn judge_edges(&mut self, edges: EdgesOfFiles) {
        let (edges, warning) = edges.finish();
        self.edges = edges;
        self.health.extend(warning);
    }

    fn add_ticks(&mut self, path: PathBuf, meta: TickMeta) {
        let samples = meta.class_counts.iter().sum();
        self.rows += meta.rows;
        self.updates += meta.rows;
        self.samples += samples;
        self.ts_event_range = match (self.ts_event_range, meta.ts_event_range) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        if self.class_counts.len() < meta.class_counts.len() {
            self.class_counts.resize(meta.class_counts.len(), 0);
        }
        self.class_counts.iter_mut().zip(&meta.class_counts).for_each(|(all, n)| *all += n);
        let label = NamedLabel::reversal(&meta.label);
        let (name, class_counts) = (label.name.clone(), meta.class_counts.clone());
        labels::add(
            &mut self.label_counts,
            vec![LabelCounts { name, known: samples, class_counts }],
        );
        self.files.push(StoreFileInspection {
            path,
            day: meta.day,
            instrument_id: meta.instrument_id,
            symbol: meta.symbol,
            source_schema: meta.source_schema,
            price_step: 1,
            bin_rule: "none: one row an update".to_owned(),
            rows: meta.rows,
            samples,
            updates: meta.rows,
            segments: 0,
            longest_segment: 0,
            sources: meta.sources.into_iter().map(|source| source.name).collect(),
            format_version: meta.format_version,
            labels: vec![label],
            unknown: Vec::new(),
        });
    }
}

/// Settings in which files differ, so that windows of them do not compare.
fn differing_settings(store: &Store) -> Vec<String> {
    let mut rules: Vec<_> = store.files().iter().map(|f| f.meta().bin_rule.to_string()).collect();
    rules.sort();
    rules.dedup();
    let windows = |label: &lob_store::LabelMeta| {
        format!("{}/{}/{}", label.lookback, label.lookforward, label.offset)
    };
    let mut labels: Vec<_> = store.files().iter().map(|f| windows(&f.meta().label)).collect();
    labels.sort();
    labels.dedup();
    let names = |labels: &[NamedLabel]| {
        labels.iter().map(|label| label.name.as_str()).collect::<Vec<_>>().join("+")
    };
    let mut named: Vec<_> = store.files().iter().map(|f| names(&f.meta().labels)).collect();
    named.sort();
    named.dedup();
    [("bin rules", rules), ("label windows", labels), ("labels", named)]
        .into_iter()
        .filter(|(_, found)| found.len() > 1)
        .map(|(what, found)| format!("files have different {what}: {}", found.join(", ")))
        .collect()
}
