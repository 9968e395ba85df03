//! What earlier runs put into the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use lob_store::{BinFile, read_tick_meta};

use super::{Node, bytes, header::Promise, profile::Profile};
use crate::{
    day::{DAY_NS, days_of_date},
    inputs::Input,
    summary::{InputOutcome, OutputSummary},
};

/// Folders beside those of the inputs that are looked into, at most, of each.
const FOLDERS_MAX: usize = 1_000;

/// An earlier input whose file is not found.
pub(super) struct Gone {
    /// Its place among the earlier ones.
    pub(super) at: usize,
    /// Inputs of this run with the same instruments on the same days.
    pub(super) concerns: BTreeSet<usize>,
}

/// The earlier inputs that may share a record with one of this run: those that can be read, and the
/// others. A store holds no paths, so they are looked for by name beside the inputs of this run.
/// An input of this run is compared neither with itself nor with what it is a new delivery of.
pub(super) fn nodes(
    earlier: &[InputOutcome],
    inputs: &[Input],
    promises: &[Option<Promise>],
) -> (Vec<Node>, Vec<Gone>) {
    let ours: BTreeSet<PathBuf> = inputs.iter().map(|input| place(&input.path)).collect();
    let sources: BTreeSet<&str> = inputs
        .iter()
        .filter(|input| !input.is_one_of_several)
        .filter_map(|input| input.source.as_deref())
        .collect();
    let folders = Folders::around(inputs);
    let (mut nodes, mut gone) = (Vec::new(), Vec::new());
    for (at, outcome) in earlier.iter().enumerate() {
        if sources.contains(&*outcome.input.source()) {
            continue;
        }
        let meets =
            |promise: &Promise| outcome.outputs.iter().any(|output| is_near(output, promise));
        let concerns: BTreeSet<usize> = promises
            .iter()
            .enumerate()
            .filter(|(_, promise)| promise.as_ref().is_some_and(meets))
            .map(|(n, _)| n)
            .collect();
        if concerns.is_empty() {
            continue;
        }
        match folders.find(outcome) {
            // One of this run's own, under a source that several share.
            Some((path, _)) if ours.contains(&place(&path)) => {}
            Some((path, promise)) => {
                let promise = Some(promise);
                nodes.push(Node { path, promise, earlier: Some(at), profile: None });
            }
            None => gone.push(Gone { at, concerns }),
        }
    }
    (nodes, gone)
}

/// Where files of earlier runs are looked for: the folders of this run's inputs, and those beside
/// them.
struct Folders(BTreeSet<PathBuf>);

impl Folders {
    fn around(inputs: &[Input]) -> Self {
        let own: BTreeSet<PathBuf> = inputs
            .iter()
            .filter_map(|input| place(&input.path).parent().map(Path::to_owned))
            .collect();
        let above: BTreeSet<&Path> = own.iter().filter_map(|folder| folder.parent()).collect();
        let listed = above.iter().filter_map(|folder| std::fs::read_dir(folder).ok());
        let beside = listed.flat_map(|entries| {
            let folders = entries.flatten().map(|entry| entry.path());
            folders.filter(|path| path.is_dir()).take(FOLDERS_MAX).collect::<Vec<_>>()
        });
        let beside: Vec<_> = beside.collect();
        Self(own.into_iter().chain(beside).collect())
    }

    /// The file that an earlier run converted: its name, length and header.
    fn find(&self, outcome: &InputOutcome) -> Option<(PathBuf, Promise)> {
        let input = &outcome.input;
        let named = self.0.iter().map(|folder| folder.join(input.name()));
        let mut all = named.filter(|path| bytes(path) == Some(input.bytes));
        all.find_map(|path| {
            let promise = Promise::read(&path)?;
            (promise.source == input.source()).then_some((path, promise))
        })
    }
}

/// One file under whatever name.
fn place(path: &Path) -> PathBuf {
    std::fs::canonicalize(path)
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_owned())
}

/// Whether an input may have records of the instrument and day of an output. A day of the store may
/// begin at any hour.
fn is_near(output: &OutputSummary, promise: &Promise) -> bool {
    let has_id = match &promise.names {
        Some(names) => names.contains_key(&output.instrument_id),
        None => true,
    };
    let Some(day) = days_of_date(&output.day).and_then(|days| days.checked_mul(DAY_NS)) else {
        return has_id;
    };
    has_id
        && promise.window.0 < day.saturating_add(2 * DAY_NS)
        && promise.window.1 > day.saturating_sub(DAY_NS)
}

/// Instruments whose rows in the store cover a time that an input has records of.
pub(super) fn met(outcome: &InputOutcome, profile: &Profile) -> BTreeSet<u32> {
    let mut rows: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
    for output in &outcome.outputs {
        if let Some(span) = span(&output.path) {
            rows.entry(output.instrument_id).or_default().push(span);
        }
    }
    let is_met = |id: u32, first: u64, last: u64| {
        let spans = rows.get(&id).map_or(&[][..], Vec::as_slice);
        spans.iter().any(|(from, to)| first < *to && *from < last)
    };
    let parts = profile.parts.iter();
    parts
        .filter(|(key, part)| is_met(key.instrument_id, part.first, part.last))
        .map(|(key, _)| key.instrument_id)
        .collect()
}

/// Event times of the first and last row of a file of the store. `None` where it cannot be read,
/// which `lob inspect` names.
fn span(path: &Path) -> Option<(u64, u64)> {
    if let Ok(Some(meta)) = read_tick_meta(path) {
        return meta.ts_event_range;
    }
    let file = BinFile::open(path).ok()?;
    let last = file.len().checked_sub(1)?;
    Some((file.ts_event(0).ok()?, file.ts_event(last).ok()?))
}
