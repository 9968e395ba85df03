//! What earlier runs put into the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use lob_store::{BinFile, read_tick_meta};

use super::{Node, bytes, header::Promise, profile::Profile};
use crate::{
    ConvertError, InputHash, Progress,
    day::{DAY_NS, days_of_date},
    input_file::InputFile,
    inputs::Input,
    summary::{InputOutcome, OutputSummary},
};

/// An earlier input whose file is gone or is another one now.
pub(super) struct Gone {
    /// Its place among the earlier ones.
    pub(super) at: usize,
    /// Inputs of this run with the same instruments on the same days.
    pub(super) concerns: BTreeSet<usize>,
}

/// The earlier inputs that may share a record with one of this run: those that can be read, and the
/// others. An input of this run is not compared with itself.
pub(super) fn nodes(
    earlier: &[InputOutcome],
    inputs: &[Input],
    promises: &[Option<Promise>],
) -> (Vec<Node>, Vec<Gone>) {
    let ours: BTreeSet<PathBuf> = inputs.iter().map(|input| place(&input.path)).collect();
    let (mut nodes, mut gone) = (Vec::new(), Vec::new());
    for (at, outcome) in earlier.iter().enumerate() {
        let path = &outcome.input.path;
        if ours.contains(&place(path)) {
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
        let is_there = bytes(path) == Some(outcome.input.bytes);
        match Promise::read(path).filter(|_| is_there) {
            Some(promise) => nodes.push(Node {
                path: path.clone(),
                promise: Some(promise),
                earlier: Some(at),
                profile: None,
            }),
            None => gone.push(Gone { at, concerns }),
        }
    }
    (nodes, gone)
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

/// Whether an input is, byte for byte, the file an earlier run converted.
pub(super) fn is_same_file(
    input: &Input,
    outcome: &InputOutcome,
    progress: &dyn Progress,
) -> Result<bool, ConvertError> {
    if input.bytes != outcome.input.bytes {
        return Ok(false);
    }
    let kind = match (&outcome.input.sha256, &outcome.input.xxh3) {
        (Some(_), _) => InputHash::Sha256,
        (None, Some(_)) => InputHash::Xxh3,
        (None, None) => return Ok(false),
    };
    let hash = InputFile::open(&input.path)?.hash(kind, &|| progress.is_cancelled())?;
    Ok((hash.sha256, hash.xxh3) == (outcome.input.sha256.clone(), outcome.input.xxh3.clone()))
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
