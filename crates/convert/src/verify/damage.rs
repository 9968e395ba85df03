//! What is done about a damaged place: it is noted, and the next sound record is looked for.

use dbn::rtype;

use super::{
    Defect, DefectKind, OffsetIn,
    resync::{CHAIN_BYTES, find_record, near_record},
    scan::{Scan, u32_at},
};
use crate::decode::is_companion;

impl Scan<'_> {
    /// Whether the length or the type of a damaged record is the likelier damage: one that is as
    /// long as the file's books has a wrong type.
    pub(super) fn kind_of(&self, rtype: u8, length: usize) -> DefectKind {
        let is_book = matches!(rtype, rtype::MBP_10 | rtype::MBO);
        let is_usual = self.schema.is_some_and(|schema| self.lengths.usual(schema) == length);
        if is_book || (is_companion(rtype) && !is_usual) {
            DefectKind::RecordLength
        } else {
            DefectKind::RecordType
        }
    }

    pub(super) fn defect(&mut self, kind: DefectKind, byte_offset: u64, message: String) {
        let record_index = Some(self.report.records);
        let offset_in = OffsetIn::Decoded;
        self.report.add(Defect {
            kind,
            byte_offset,
            offset_in,
            record_index,
            message,
            fatal: true,
        });
    }

    /// Notes a damaged record and looks for the next sound one.
    pub(super) fn damaged(
        &mut self,
        kind: DefectKind,
        found: String,
        bytes: &[u8],
        offset: u64,
    ) -> usize {
        let defect = Defect {
            kind,
            byte_offset: offset,
            offset_in: OffsetIn::Decoded,
            record_index: Some(self.report.records),
            message: format!("found {found}"),
            fatal: true,
        };
        self.lost = Some((defect, 0));
        let near = near_record(bytes, self.schema, self.lengths);
        if let Some(skipped) = near {
            self.settle(Some(skipped));
            return skipped;
        }
        // Whether these bytes are the last is seen when the search goes on.
        self.search(bytes, false, 1)
    }

    /// Looks for a sound record from `from` on, behind a damaged place; returns how far to move on.
    pub(super) fn search(&mut self, bytes: &[u8], is_all: bool, from: usize) -> usize {
        let found = find_record(bytes, from, self.schema, self.lengths);
        // A record that the bytes at hand hold a part of may be sound.
        let kept = if is_all { 0 } else { CHAIN_BYTES };
        let skipped = found.unwrap_or(bytes.len().saturating_sub(kept).max(from));
        match found {
            Some(_) => self.settle(Some(skipped)),
            None => {
                if let Some((_, passed)) = &mut self.lost {
                    *passed += skipped as u64;
                }
            }
        }
        skipped
    }

    /// Reports the damaged place; `found` is how much further a sound record starts.
    pub(super) fn settle(&mut self, found: Option<usize>) {
        let Some((mut defect, passed)) = self.lost.take() else { return };
        let then = match found {
            Some(more) => format!("reading goes on {} bytes further", passed + more as u64),
            None => format!("no sound record follows in the {passed} bytes to the end"),
        };
        defect.message = format!("{}; {then}", defect.message);
        self.report.add(defect);
    }

    /// A header inside the stream: the records behind it are read on.
    pub(super) fn second_file(&mut self, bytes: &[u8], offset: u64) -> usize {
        self.defect(
            DefectKind::Concatenated,
            offset,
            "a second DBN file begins here; convert the files one by one".to_owned(),
        );
        let length = bytes.get(4..8).map_or(0, |length| u64::from(u32_at(length, 0)));
        self.ahead = 8 + length;
        0
    }
}
