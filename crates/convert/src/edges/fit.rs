//! Fitting edges on the first days of each instrument.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use lob_depth::class_edges;
use lob_store::{
    Store,
    fs::{DiskSystem, SharedFs},
};
use serde::Serialize;

use super::{
    file::{EdgesInput, FittedOn, InstrumentEdges},
    temp::Temp,
};
use crate::{
    ClassEdges, ConvertConfig, ConvertError, DuplicateSummary, InputSummary, Layout, Progress,
    RecordStream,
    day::{DAY_NS, Day},
    inputs::{Found, Input, find_inputs},
    overlap::{self, Parted, Promise},
    pipeline::{MovedPart, Shared, movements_of, standard_deviation},
    progress::go_on,
    store_files::store_files,
    summary::file_name,
};

/// Bins whose movements are read at once.
const READ_ROWS: u64 = 1 << 16;

/// What [`fit_edges`] did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct EdgesSummary {
    /// Files written, in order of symbols.
    pub edges: Vec<FittedEdges>,
    /// Inputs read; files of a store count too.
    pub inputs: Vec<EdgesInput>,
    /// Inputs that were not read, as by their headers they hold no first day of an instrument.
    pub later: u64,
    /// Inputs that were left out because another one holds their market.
    pub duplicates: Vec<DuplicateSummary>,
    /// Things a user should know although nothing failed.
    pub warnings: Vec<String>,
    /// Wall time in seconds.
    pub elapsed_s: f64,
}

/// One edges file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FittedEdges {
    /// Where it lies.
    pub path: PathBuf,
    /// What it holds.
    #[serde(flatten)]
    pub edges: InstrumentEdges,
}

/// An instrument: symbol, publisher, dataset.
type Key = (String, u16, String);

/// The movements of one instrument on one day, and the inputs they come from.
#[derive(Debug, Default)]
struct DayOf {
    movements: Vec<f64>,
    inputs: BTreeSet<EdgesInput>,
}

/// The first days of every instrument.
#[derive(Debug)]
struct FirstDays {
    n: usize,
    of: BTreeMap<Key, BTreeMap<String, DayOf>>,
    /// Instruments that have more days than these.
    longer: BTreeSet<Key>,
}

/// Fits class edges on the first `days` days of each instrument of DBN files or of a store of bins,
/// and writes one edges file for each into the folder `out`, which [`ClassEdges::of`] reads.
///
/// Edges are quantiles of the movements at the ends of bins on these days, or with
/// [`ClassEdges::Volatility`] multiples of their standard deviation. They are the same whatever the
/// order of the inputs. Days, bins, windows and filters are those of `config`.
///
/// # Errors
/// An input cannot be read to its end, no instrument has a movement, `out` holds edges already, or
/// cannot be written.
pub fn fit_edges(
    inputs: &[PathBuf],
    config: &ConvertConfig,
    days: usize,
    out: &Path,
    progress: &dyn Progress,
) -> Result<EdgesSummary, ConvertError> {
    let start = Instant::now();
    let config = ConvertConfig { layout: Layout::Bins, ..config.clone() };
    check(&config, days, out)?;
    let mut first = FirstDays { n: days, of: BTreeMap::new(), longer: BTreeSet::new() };
    let mut summary = EdgesSummary::default();
    let is_store = |path: &PathBuf| Ok::<_, ConvertError>(!stored(path)?.is_empty());
    let temp = Temp::new(out)?;
    let mut of_stores = Vec::new();
    for input in inputs {
        of_stores.push(is_store(input)?);
    }
    let mut rows = format!("bins of {}", config.bin_rule);
    if !of_stores.is_empty() && of_stores.iter().all(|is| *is) {
        let rules = first.read_stores(inputs, &config, &mut summary, progress)?;
        rows = format!("bins of {}", rules.into_iter().collect::<Vec<_>>().join(" and "));
    } else if of_stores.contains(&true) {
        let found = "stores and DBN files together; expected the ones or the others".to_owned();
        return Err(ConvertError::NoInput { found });
    } else {
        first.read_records(inputs, &config, &temp.spool(), &mut summary, progress)?;
    }
    first.write(&config, &rows, out, temp, &mut summary)?;
    summary.elapsed_s = start.elapsed().as_secs_f64();
    Ok(summary)
}

/// The files of a store at `path`; none for anything else.
fn stored(path: &Path) -> Result<Vec<PathBuf>, ConvertError> {
    let is_file = path.extension().is_some_and(|extension| extension == "parquet");
    if path.is_dir() || is_file { store_files(path) } else { Ok(Vec::new()) }
}

fn check(config: &ConvertConfig, days: usize, out: &Path) -> Result<(), ConvertError> {
    let refuse = |setting, found: String, expected: &str| {
        Err(ConvertError::Config { setting, found, expected: expected.to_owned() })
    };
    config.validate()?;
    if days == 0 {
        return refuse("fit-days", "0".to_owned(), "at least 1");
    }
    if !matches!(config.class_edges, ClassEdges::Fit | ClassEdges::Volatility(_)) {
        let expected = "quantiles or multiples of the volatility; others need no fit";
        return refuse("fit-edges", "edges that are given".to_owned(), expected);
    }
    if config.fit_part.is_some() {
        let expected = "a number of days (`fit-days`) in place of a part";
        return refuse("fit-part", format!("{:?}", config.fit_part), expected);
    }
    match std::fs::read_dir(out).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Ok(false) => {
            let found = format!("`{}`, which is not empty", out.display());
            refuse("out", found, "a new folder: edges that stores rest on do not change")
        }
        Err(error) => Err(ConvertError::io(out, "list")(error)),
    }
}

impl FirstDays {
    fn add(&mut self, key: Key, day: String, input: &EdgesInput, movements: Vec<f64>) {
        if movements.is_empty() {
            return;
        }
        let days = self.of.entry(key.clone()).or_default();
        let of = days.entry(day).or_default();
        of.movements.extend(movements);
        of.inputs.insert(input.clone());
        // A day that is not among the first now never will be.
        while days.len() > self.n {
            days.pop_last();
            self.longer.insert(key.clone());
        }
    }

    fn read_stores(
        &mut self,
        stores: &[PathBuf],
        config: &ConvertConfig,
        summary: &mut EdgesSummary,
        progress: &dyn Progress,
    ) -> Result<BTreeSet<String>, ConvertError> {
        let windows = [config.label.lookback, config.label.lookforward, config.label.offset];
        let windows = windows.map(u64::from);
        let (mut rules, mut inputs) = (BTreeSet::new(), BTreeSet::new());
        for path in stores {
            let store = Store::open(path)?;
            for file in store.files() {
                go_on(progress)?;
                let meta = file.meta();
                let found = [meta.label.lookback, meta.label.lookforward, meta.label.offset];
                if found != windows {
                    let (path, reason) = (
                        file.path().to_owned(),
                        format!(
                            "its labels look back, forward and offset by {found:?} updates, the edges \
                         are to be for {windows:?}; give --lookback, --lookforward and --offset"
                        ),
                    );
                    return Err(ConvertError::Sidecar { path, reason });
                }
                rules.insert(meta.bin_rule.to_string());
                let mut movements = Vec::new();
                let mut at = 0;
                while at < file.len() {
                    let end = file.len().min(at + READ_ROWS);
                    movements.extend(file.labels(at..end)?.movement.into_iter().flatten());
                    at = end;
                }
                let publisher_id = meta.publisher_id.unwrap_or_default();
                let key = (meta.symbol.clone(), publisher_id, meta.dataset.clone());
                for source in &meta.sources {
                    inputs.insert(EdgesInput {
                        name: file_name(Path::new(&source.name)),
                        fingerprint: source.content().to_owned(),
                    });
                }
                let source = meta.sources.first().cloned().unwrap_or_default();
                let input = EdgesInput {
                    name: file_name(Path::new(&source.name)),
                    fingerprint: source.content().to_owned(),
                };
                self.add(key, meta.day.clone(), &input, movements);
            }
        }
        summary.inputs = inputs.into_iter().collect();
        Ok(rules)
    }

    fn read_records(
        &mut self,
        inputs: &[PathBuf],
        config: &ConvertConfig,
        spool: &Path,
        summary: &mut EdgesSummary,
        progress: &dyn Progress,
    ) -> Result<(), ConvertError> {
        let is_cancelled = || progress.is_cancelled();
        let Found { mut inputs, definitions, warnings } = find_inputs(inputs, &is_cancelled)?;
        summary.warnings.extend(warnings);
        let all = definitions.iter().chain(&config.definitions);
        let increments = RecordStream::increments_of_all(all, progress)?;
        let promises = overlap::promises(&mut inputs, progress)?;
        let parted = overlap::part(inputs, promises, &[], config, progress)?;
        let Parted { inputs, left_out, mut doubts, .. } = parted;
        if !doubts.is_empty() {
            return Err(doubts.swap_remove(0));
        }
        summary.duplicates = left_out;
        // The earliest first, so that later ones need not be read.
        let mut inputs: Vec<(Option<Promise>, Input)> =
            inputs.into_iter().map(|input| (Promise::read(&input.path), input)).collect();
        inputs.sort_by_key(|(promise, input)| {
            let from = promise.as_ref().map_or(0, |promise| promise.window.0);
            (from, file_name(&input.path), input.path.clone())
        });
        progress.started(inputs.len(), inputs.iter().map(|(_, input)| input.bytes).sum());
        let fs: SharedFs = Arc::new(DiskSystem);
        let shared = Shared {
            truth: None,
            config,
            progress,
            increments: &increments,
            fs: &fs,
            is_helped: inputs.len() == 1,
        };
        let mut read = BTreeSet::new();
        for (promise, input) in &inputs {
            if promise.as_ref().is_some_and(|promise| self.is_later(promise, config)) {
                summary.later += 1;
                continue;
            }
            let moved = movements_of(input, spool, &shared)?;
            let (name, fingerprint) = (file_name(&input.path), moved.fingerprint);
            let of = EdgesInput { name, fingerprint };
            for MovedPart { publisher_id, symbol, day, movements } in moved.parts {
                let key = (symbol, publisher_id, moved.dataset.clone());
                self.add(key, day, &of, movements);
            }
            let path = input.path.display();
            summary.warnings.extend(moved.warnings.iter().map(|line| format!("`{path}`: {line}")));
            let (path, fingerprint) = (input.path.clone(), Some(of.fingerprint.clone()));
            let done = InputSummary { path, fingerprint, ..InputSummary::default() };
            progress.input_done(&done);
            read.insert(of);
        }
        summary.inputs = read.into_iter().collect();
        Ok(())
    }

    /// Whether an input begins after the first days of all instruments that its header names.
    fn is_later(&self, promise: &Promise, config: &ConvertConfig) -> bool {
        let Some(names) = &promise.names else { return false };
        // Records may lie a day before the header's window.
        let from =
            Day::of(promise.window.0.saturating_sub(DAY_NS), config.day_start_ns).to_string();
        let is_full = |days: &BTreeMap<String, DayOf>| {
            days.len() >= self.n && days.keys().next_back().is_some_and(|last| *last < from)
        };
        let is_done = |symbol: &String| {
            let mut of = self.of.iter().filter(|((known, ..), _)| known == symbol).peekable();
            of.peek().is_some() && of.all(|(_, days)| is_full(days))
        };
        let wanted = names.iter().filter(|(id, _)| promise.is_wanted(**id, config));
        wanted.flat_map(|(_, symbols)| symbols).all(is_done)
    }

    fn write(
        mut self,
        config: &ConvertConfig,
        rows: &str,
        out: &Path,
        temp: Temp,
        summary: &mut EdgesSummary,
    ) -> Result<(), ConvertError> {
        if self.of.is_empty() {
            let found = "no instrument with a movement: label windows that fit need fewer updates";
            return Err(ConvertError::NoInput { found: found.to_owned() });
        }
        let mut whole = Vec::new();
        for (key, days) in std::mem::take(&mut self.of) {
            if !self.longer.contains(&key) {
                whole.push(key.0.clone());
            }
            let edges = fit(key, days, config, rows)?;
            let (name, text) = (edges.file_name(), edges.to_text().map_err(std::io::Error::other));
            let path = temp.edges().join(&name);
            text.and_then(|text| lob_store::write_file(&path, text.as_bytes()))
                .map_err(ConvertError::io(&path, "write"))?;
            summary.edges.push(FittedEdges { path: out.join(name), edges });
        }
        temp.publish(out).map_err(ConvertError::io(out, "rename to"))?;
        if let Some(symbol) = whole.first() {
            let more = match whole.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} more instruments"),
            };
            summary.warnings.push(format!(
                "the edges of `{symbol}`{more} are fitted on all days there are; what is tested on \
                 these days was seen by them"
            ));
        }
        Ok(())
    }
}

/// How [`class_edges`] came by its edges.
fn method(edges: &[f64]) -> &'static str {
    let widths: Vec<f64> = edges.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let (least, most) = widths.iter().fold((f64::MAX, 0.0_f64), |(a, b), w| (a.min(*w), b.max(*w)));
    if most - least <= 1e-9 * most { "equal widths, as quantiles coincide," } else { "quantiles" }
}

fn fit(
    key: Key,
    days: BTreeMap<String, DayOf>,
    config: &ConvertConfig,
    rows: &str,
) -> Result<InstrumentEdges, ConvertError> {
    let (symbol, publisher_id, dataset) = key;
    let label = &config.label;
    let mut movements = Vec::new();
    let mut inputs = BTreeSet::new();
    let (names, days): (Vec<_>, Vec<_>) = days.into_iter().unzip();
    for mut day in days {
        movements.append(&mut day.movements);
        inputs.append(&mut day.inputs);
    }
    // Sums depend on the order of what is added.
    movements.sort_unstable_by(f64::total_cmp);
    let fitted = class_edges(&movements, label.classes).map_err(|source| {
        let (path, instrument) = (PathBuf::from(rows), symbol.clone());
        ConvertError::Depth { path, instrument, source }
    })?;
    let range = (movements[0], movements[movements.len() - 1]);
    let (edges, method) = match &config.class_edges {
        ClassEdges::Volatility(multiples) => {
            let deviation = standard_deviation(&movements);
            let edges = if deviation > 0.0 {
                multiples.iter().map(|multiple| multiple * deviation).collect()
            } else {
                vec![range.0; multiples.len()]
            };
            (edges, format!("{multiples:?} times the standard deviation"))
        }
        _ => (fitted[1..fitted.len() - 1].to_vec(), method(&fitted).to_owned()),
    };
    let fitted_on = FittedOn {
        days: names,
        movements: movements.len() as u64,
        rows: rows.to_owned(),
        method,
        inputs: inputs.into_iter().collect(),
    };
    Ok(InstrumentEdges::new((dataset, publisher_id, symbol), label, edges, range, fitted_on))
}
