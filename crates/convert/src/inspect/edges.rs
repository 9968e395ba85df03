//! The class edges that files of a store have.

use std::collections::BTreeMap;

use lob_store::LabelMeta;
use serde::Serialize;

use crate::{
    MOVEMENT_UNIT,
    edges::{SeenEdges, id::edges_id},
};

/// Class edges that files of an instrument have in common.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EdgesInspection {
    /// The instrument.
    pub symbol: String,
    /// Publisher of its updates, if there is a single one.
    pub publisher_id: Option<u16>,
    /// Number of classes.
    pub classes: u32,
    /// Ascending edges between the classes.
    pub edges: Vec<f64>,
    /// What they are measured in.
    pub unit: &'static str,
    /// What they were fitted on, in words.
    pub fitted_on: String,
    /// Files with these edges.
    pub files: usize,
}

/// Those of all files looked at so far, by symbol, publisher and a name of the edges.
#[derive(Debug, Default)]
pub(super) struct EdgesOfFiles(BTreeMap<(String, Option<u16>, String), EdgesInspection>);

impl EdgesOfFiles {
    pub(super) fn add(&mut self, symbol: &str, publisher_id: Option<u16>, label: &LabelMeta) {
        let Some(id) = edges_id(&label.edges) else { return };
        let found = self.0.entry((symbol.to_owned(), publisher_id, id)).or_insert_with(|| {
            EdgesInspection {
                symbol: symbol.to_owned(),
                publisher_id,
                classes: label.classes,
                edges: label.edges.clone(),
                unit: MOVEMENT_UNIT,
                fitted_on: label.fitted_on.clone(),
                files: 0,
            }
        });
        found.files += 1;
    }

    /// All edges, and a warning where those of an instrument differ.
    pub(super) fn finish(self) -> (Vec<EdgesInspection>, Option<String>) {
        let mut seen = SeenEdges::default();
        for ((symbol, publisher_id, id), found) in &self.0 {
            let publisher = publisher_id.map(|id| id.to_string()).unwrap_or_default();
            seen.add(symbol, &publisher, Some(id), found.files);
        }
        (self.0.into_values().collect(), seen.warning())
    }
}
