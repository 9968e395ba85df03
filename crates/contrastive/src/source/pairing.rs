use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{PairKey, sampling::distinct};
use crate::{ContrastiveError, Rng};

/// Anchors tried for one pair before giving up.
const MAX_TRIES: usize = 64;

/// Which windows of a segment are positives of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Positives {
    /// Windows that share nothing, so that a common stretch cannot give the answer away.
    Apart {
        /// Most rows between the end of the earlier one and the start of the later one.
        max_gap: usize,
    },
    /// Windows that begin at most this many rows apart, and at least one.
    Near {
        /// Most rows from one start to the other.
        max_shift: usize,
    },
    /// The same window twice: augmentation alone makes the views differ.
    Same,
}

impl Positives {
    /// Least and largest distance between the starts of a pair's windows.
    pub(super) fn distances(self, window: usize) -> (usize, usize) {
        match self {
            Self::Apart { max_gap } => (window, window + max_gap),
            Self::Near { max_shift } => (1, max_shift.max(1)),
            Self::Same => (0, 0),
        }
    }

    /// Starts that may go with `start`, all windows of the segment beginning in
    /// `first..=last`: those before and those after.
    pub(super) fn partners(
        self,
        start: usize,
        window: usize,
        first: usize,
        last: usize,
    ) -> Partners {
        let (least, most) = self.distances(window);
        if most == 0 {
            return Partners { before: 0..0, after: start..start + 1 };
        }
        let before_end = start.checked_sub(least).filter(|&s| s >= first).map_or(first, |s| s + 1);
        Partners {
            before: start.saturating_sub(most).max(first).min(before_end)..before_end,
            after: start + least..(start + most).min(last).max(start + least - 1) + 1,
        }
    }
}

/// Starts of the windows that may be a window's positive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Partners {
    before: std::ops::Range<usize>,
    after: std::ops::Range<usize>,
}

impl Partners {
    pub(super) fn len(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// One of them, all equally likely; `None` when there is none.
    pub(super) fn pick(&self, rng: &mut Rng) -> Option<usize> {
        let n_before = self.before.len();
        match self.len() {
            0 => None,
            n => match rng.below(n) {
                at if at < n_before => Some(self.before.start + at),
                at => Some(self.after.start + at - n_before),
            },
        }
    }
}

/// Where the two windows of a pair go.
pub(super) type Out<'a> = (&'a mut [f32], &'a mut [f32]);

/// Fills a batch: draws different anchors and has `pair` choose a positive for each, and write both
/// windows for the pairs of `part`. Where `pair` gives `None` (no partner, nothing to draw), another
/// anchor takes its place.
pub(super) fn draw(
    n_windows: usize,
    n_inputs: usize,
    rng: &mut Rng,
    part: Range<usize>,
    (anchors, positives): Out<'_>,
    keys: &mut [PairKey],
    mut pair: impl FnMut(usize, &mut Rng, Option<Out<'_>>) -> Result<Option<PairKey>, ContrastiveError>,
) -> Result<(), ContrastiveError> {
    let drawn = distinct(keys.len(), n_windows, rng);
    let mut rows = anchors.chunks_exact_mut(n_inputs).zip(positives.chunks_exact_mut(n_inputs));
    for (place, (key, mut anchor)) in keys.iter_mut().zip(drawn).enumerate() {
        let mut out = if part.contains(&place) { rows.next() } else { None };
        let mut tries = 0;
        *key = loop {
            let out = out.as_mut().map(|(anchor, positive)| (&mut **anchor, &mut **positive));
            if let Some(found) = pair(anchor, rng, out)? {
                break found;
            }
            tries += 1;
            if tries == MAX_TRIES {
                return Err(ContrastiveError::NotEnoughData {
                    reason: format!("{tries} of {n_windows} windows drawn have no partner"),
                    hint: "use a shorter window, smaller bins or a longer recording",
                });
            }
            anchor = rng.below(n_windows);
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Place, Rng};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn partners_are_exactly_the_starts_at_an_allowed_distance(
            first in 0_usize..20, room in 0_usize..40, at in 0_usize..40, window in 1_usize..10,
            most in 0_usize..12, kind in 0_u8..3,
        ) {
            let last = first + room;
            let start = first + at.min(room);
            let rule = match kind {
                0 => Positives::Apart { max_gap: most },
                1 => Positives::Near { max_shift: most },
                _ => Positives::Same,
            };
            let (low, high) = rule.distances(window);
            let expected: Vec<usize> =
                (first..=last).filter(|s| (low..=high).contains(&s.abs_diff(start))).collect();
            let partners = rule.partners(start, window, first, last);
            let found: Vec<usize> = partners.before.clone().chain(partners.after.clone()).collect();
            prop_assert_eq!(&found, &expected);
            let picked = partners.pick(&mut Rng::new(at as u64));
            prop_assert_eq!(picked.is_some(), !expected.is_empty());
            prop_assert!(picked.is_none_or(|p| expected.contains(&p)));
        }
    }

    #[test]
    fn anchors_without_a_partner_are_replaced() {
        let mut keys = [PairKey::default(); 4];
        let (mut a, mut p) = (vec![0.0; 4], vec![0.0; 4]);
        let only_even = |idx: usize, _: &mut Rng, out: Option<Out<'_>>| {
            if let Some((a, _)) = out {
                a[0] = 1.0;
            }
            let anchor = Place { row: i64::try_from(idx).unwrap(), ts_event: None };
            Ok(idx.is_multiple_of(2).then_some(PairKey { anchor, ..PairKey::default() }))
        };
        let mut rng = Rng::new(1);
        draw(100, 1, &mut rng, 0..4, (&mut a, &mut p), &mut keys, only_even).unwrap();
        assert!(keys.iter().all(|key| key.anchor.row % 2 == 0) && a == [1.0; 4]);
        let none = |_: usize, _: &mut Rng, _: Option<Out<'_>>| Ok(None);
        let error = draw(100, 1, &mut rng, 0..4, (&mut a, &mut p), &mut keys, none).unwrap_err();
        assert!(error.to_string().contains("64 of 100 windows drawn have no partner"));
    }
}
