//! Where the files of an input go, and what is told of them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use lob_depth::DepthError;
use lob_store::{SourceMeta, partition_path};

use super::{edges::Edges, notes::Notes, spool::Spool};
use crate::{ConvertConfig, ConvertError, Instrument, OutputSummary, truth::TruthJoin};

/// Files of an input under way.
pub(super) struct Output<'o, 't> {
    /// The input.
    pub(super) path: &'o Path,
    /// Paths of the store's files are relative to it.
    pub(super) folder: &'o Path,
    pub(super) config: &'o ConvertConfig,
    pub(super) meta: &'o InputMeta,
    pub(super) spool: &'o mut Spool,
    pub(super) files: &'o mut Vec<OutputSummary>,
    pub(super) notes: &'o mut Notes,
    /// Finds the truth of rows.
    pub(super) truth: Option<&'o mut TruthJoin<'t>>,
}

impl Output<'_, '_> {
    /// Says so where there should be classes and are none.
    pub(super) fn warn_of_edges(&mut self, edges: &Edges, instrument: &Instrument) {
        if edges.is_missing() {
            self.notes.warnings.push(format!("no class edges are given for {instrument}"));
        }
    }

    /// An error about the updates of an instrument.
    pub(super) fn depth_error(
        &self,
        instrument: &Instrument,
    ) -> impl FnOnce(DepthError) -> ConvertError {
        let (path, instrument) = (self.path.to_owned(), instrument.clone());
        move |source| depth_error(&path, &instrument, source)
    }
}

pub(super) fn depth_error(
    path: &Path,
    instrument: &Instrument,
    source: DepthError,
) -> ConvertError {
    let (path, instrument) = (PathBuf::from(path), instrument.to_string());
    ConvertError::Depth { path, instrument, source }
}

/// What all files of an input have in common.
pub(super) struct InputMeta {
    pub(super) dataset: String,
    pub(super) schema: &'static str,
    pub(super) source: SourceMeta,
    pub(super) skipped: BTreeMap<String, u64>,
}

impl InputMeta {
    /// Path of the file of one instrument and day in the store: two publishers, two inputs of one
    /// day and two instruments of one id never collide, and the same records give the same path
    /// again.
    pub(super) fn file_path(&self, layout: &str, day: &str, instrument: &Instrument) -> PathBuf {
        let hash = &self.source.fingerprint;
        let stem = hash.get(..12).unwrap_or(hash);
        // No stem holds a dot.
        let nth = match instrument.nth {
            0 => String::new(),
            n => format!(".{}", u64::from(n) + 1),
        };
        let name = format!("{layout}-{}-{stem}{nth}.parquet", instrument.publisher_id);
        partition_path(day, instrument.instrument_id).with_file_name(name)
    }
}

/// Counts a row's class, if it has one.
pub(super) fn count_class(counts: &mut [u64], label: Option<i32>) {
    let class = label.and_then(|label| usize::try_from(label).ok());
    if let Some(count) = class.and_then(|class| counts.get_mut(class)) {
        *count += 1;
    }
}
