//! Whether the files of an instrument have the same class edges.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{
    ConvertConfig, ConvertSummary, OutputSummary,
    summary::{InputOutcome, file_name},
};

/// The edges that files of instruments have.
#[derive(Debug, Default)]
pub(crate) struct SeenEdges {
    /// By symbol and publisher: the edges, and the number of files with any.
    of: BTreeMap<(String, String), (BTreeSet<String>, usize)>,
}

impl SeenEdges {
    /// Takes in files of an instrument and the name of their edges.
    pub(crate) fn add(&mut self, symbol: &str, publisher: &str, id: Option<&str>, n_files: usize) {
        let Some(id) = id else { return };
        let (ids, n) = self.of.entry((symbol.to_owned(), publisher.to_owned())).or_default();
        ids.insert(id.to_owned());
        *n += n_files;
    }

    /// What a user should know, if the files of an instrument differ.
    pub(crate) fn warning(&self) -> Option<String> {
        let mut differing = self.of.iter().filter(|(_, (ids, _))| ids.len() > 1);
        let ((symbol, _), (ids, n)) = differing.next()?;
        let more = match differing.count() {
            0 => String::new(),
            more => format!(", and those of {more} more instruments"),
        };
        Some(format!(
            "the {n} files of `{symbol}` have {} sets of class edges{more}: a class is another \
             movement in each; fit them once with `lob convert --fit-edges INPUT --out EDGES`, and \
             convert with `--label-edges EDGES`",
            ids.len()
        ))
    }
}

/// Says so where the files of an instrument, of this run and of those `earlier`, have different
/// class edges.
pub(crate) fn differing_edges(
    summary: &ConvertSummary,
    earlier: &[InputOutcome],
    config: &ConvertConfig,
) -> Option<String> {
    if !config.class_edges.are_per_file() {
        return None;
    }
    let mut seen = SeenEdges::default();
    let before = earlier.iter().flat_map(|outcome| &outcome.outputs);
    let all: BTreeMap<&Path, &OutputSummary> =
        before.chain(&summary.outputs).map(|output| (&*output.path, output)).collect();
    for output in all.into_values().filter(|output| output.path.exists()) {
        let name = file_name(&output.path);
        let publisher = name.split('-').nth(1).unwrap_or_default();
        seen.add(&output.symbol, publisher, output.edges.as_deref(), 1);
    }
    seen.warning()
}
