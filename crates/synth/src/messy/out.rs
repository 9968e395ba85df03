//! Where the records of a messy feed go, and the account of them.

use dbn::RecordRef;

use super::{Insertion, InsertionKind};
use crate::{SynthError, SynthSummary};

/// Takes one record.
type Put<'a> = dyn FnMut(RecordRef<'_>) -> Result<(), SynthError> + 'a;

/// One file in the making.
pub(super) struct Out<'a> {
    put: &'a mut Put<'a>,
    summary: SynthSummary,
    insertions: Vec<Insertion>,
}

impl<'a> Out<'a> {
    pub(super) fn new(instruments: Vec<(u32, String)>, put: &'a mut Put<'a>) -> Self {
        let summary = SynthSummary { instruments, ..SynthSummary::default() };
        Self { put, summary, insertions: Vec::new() }
    }

    /// Writes a record of the feed at its true time.
    pub(super) fn write<'r>(
        &mut self,
        record: impl Into<RecordRef<'r>>,
        ts: u64,
        kind: Option<InsertionKind>,
    ) -> Result<(), SynthError> {
        if let Some(kind) = kind {
            self.insert(kind);
        }
        (self.put)(record.into())?;
        self.summary.note(ts);
        Ok(())
    }

    /// Notes what the next record is.
    pub(super) fn insert(&mut self, kind: InsertionKind) {
        self.insertions.push(Insertion { record: self.summary.records, kind });
    }

    /// Records written so far.
    pub(super) fn records(&self) -> u64 {
        self.summary.records
    }

    /// Says of a snapshot that begun at record `first` how long it became.
    pub(super) fn end_snapshot(&mut self, first: u64, mid_session: bool) {
        let records = self.summary.records - first;
        let kind = InsertionKind::Snapshot { records, mid_session };
        self.insertions.push(Insertion { record: first, kind });
    }

    pub(super) fn finish(self) -> (SynthSummary, Vec<Insertion>) {
        (self.summary, self.insertions)
    }
}
