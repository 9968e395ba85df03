//! Labels of kind forward: the mid some rows later less the mid now.

use lob_depth::Bin;
use lob_store::ForwardLabel;

/// In the place of a mid that is missing.
const NO_MID: i64 = i64::MIN;

/// Twice the mid of each bin of a part in price steps, in order, and where its segments end.
#[derive(Debug, Default)]
pub(super) struct Mids {
    twice: Vec<i64>,
    ends: Vec<usize>,
}

impl Mids {
    pub(super) fn push(&mut self, bin: &Bin) {
        let twice = i64::from(bin.last_bid) + i64::from(bin.last_ask);
        self.twice.push(if bin.has_mid() { twice } else { NO_MID });
    }

    /// What comes next does not go on from here.
    pub(super) fn end_segment(&mut self) {
        self.ends.push(self.twice.len());
    }

    /// The labels of one row after the other, one for each horizon in rows.
    pub(super) fn labels(self, horizons: &[u32]) -> impl FnMut() -> Vec<ForwardLabel> {
        let (mut row, mut segment) = (0, 0);
        move || {
            while self.ends.get(segment).is_some_and(|end| *end <= row) {
                segment += 1;
            }
            let end = self.ends.get(segment).copied().unwrap_or(self.twice.len());
            let mid = |row: usize| self.twice.get(row).copied().filter(|mid| *mid != NO_MID);
            let labels = horizons.iter().map(|horizon| {
                let later = row.checked_add(*horizon as usize).filter(|later| *later < end);
                let value = later.and_then(mid).zip(mid(row)).map(|(later, now)| later - now);
                ForwardLabel { value, class: None }
            });
            let labels = labels.collect();
            row += 1;
            labels
        }
    }
}
