//! Whether the files of an instrument have the same class edges.

use std::collections::{BTreeMap, BTreeSet};

use twox_hash::XxHash3_128;

/// A short name of inner class edges; `None` without any.
pub(crate) fn edges_id(edges: &[f64]) -> Option<String> {
    let bytes: Vec<u8> = edges.iter().flat_map(|edge| edge.to_le_bytes()).collect();
    (!edges.is_empty()).then(|| format!("{:032x}", XxHash3_128::oneshot(&bytes))[..16].to_owned())
}

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
