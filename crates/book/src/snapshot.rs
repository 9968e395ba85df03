//! Which records put a book together, and which are the market's.

use dbn::FlagSet;

/// Pause between two records from which on the later one is no part of the same snapshot, unless
/// its event is older than the clear.
const PAUSE_NS: u64 = 1_000_000_000;

/// Tells the records of an instrument that belong to a snapshot of its book.
///
/// These are the records with the flag `SNAPSHOT`, and where a feed does not set it, a clear that
/// does not end its event and the adds that follow it up to the first flag `LAST`. Some feeds never
/// set that either: such a snapshot ends before the first record that adds nothing, and before an
/// add that is younger than the clear and comes a second or more after the record before it. After
/// a clear that is an event of its own, adds count only if their event has several records.
///
/// ```
/// use dbn::FlagSet;
/// use lob_book::SnapshotTracker;
/// let (none, last) = (FlagSet::empty(), FlagSet::empty().set_last());
/// let mut tracker = SnapshotTracker::default();
/// assert!(tracker.is_part(b'R', none, 10, 10));
/// assert!(tracker.is_part(b'A', none, 3, 10));
/// assert!(tracker.is_part(b'A', last, 4, 10));
/// assert!(!tracker.is_part(b'A', last, 12, 12));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SnapshotTracker {
    pending: Option<Pending>,
}

/// A clear whose adds may follow.
#[derive(Clone, Copy, Debug)]
struct Pending {
    clear_ts: u64,
    /// Capture time of the last record of the snapshot.
    last_ts: u64,
    /// Whether the clear ended its event and no add has followed.
    is_alone: bool,
}

impl SnapshotTracker {
    /// Takes in the next record of the instrument: its action, flags, and times of event and
    /// capture. True if it belongs to a snapshot.
    #[inline]
    pub fn is_part(&mut self, action: u8, flags: FlagSet, ts_event: u64, ts_recv: u64) -> bool {
        if self.pending.is_none() && !flags.is_snapshot() && action != b'R' {
            return false;
        }
        self.look(action, flags, ts_event, ts_recv)
    }

    /// Whether the next record may be told from its action and flags alone.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.pending.is_none()
    }

    #[cold]
    fn look(&mut self, action: u8, flags: FlagSet, ts_event: u64, ts_recv: u64) -> bool {
        let before = self.pending.take();
        if action == b'R' {
            let clear_ts = if ts_recv == u64::MAX { ts_event } else { ts_recv };
            self.pending = Some(Pending { clear_ts, last_ts: ts_recv, is_alone: flags.is_last() });
            return flags.is_snapshot() || !flags.is_last();
        }
        if flags.is_snapshot() {
            return true;
        }
        let Some(Pending { clear_ts, last_ts, is_alone }) = before else { return false };
        let is_young = ts_event > clear_ts && ts_recv.saturating_sub(last_ts) >= PAUSE_NS;
        if action != b'A' || is_young || (is_alone && flags.is_last()) {
            return false;
        }
        if !flags.is_last() {
            self.pending = Some(Pending { clear_ts, last_ts: ts_recv, is_alone: false });
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;
    const NONE: FlagSet = FlagSet::empty();
    const LAST: FlagSet = FlagSet::empty().set_last();
    const SNAP: FlagSet = FlagSet::empty().set_snapshot();
    const SNAP_LAST: FlagSet = FlagSet::empty().set_snapshot().set_last();

    /// Pushes (action, flags, event time, capture time); a letter says what each record is.
    fn check(records: &[(u8, FlagSet, u64, u64)], expected: &str) {
        let mut tracker = SnapshotTracker::default();
        let found: String = records
            .iter()
            .map(
                |&(action, flags, ts_event, ts_recv)| {
                    if tracker.is_part(action, flags, ts_event, ts_recv) { 's' } else { '.' }
                },
            )
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_flag_decides_where_it_is_set() {
        check(
            &[
                (b'A', SNAP, 1, 9 * S),
                (b'A', SNAP_LAST, 2, 9 * S),
                (b'A', LAST, 10 * S, 10 * S),
                (b'R', SNAP, 3, 11 * S),
                (b'A', SNAP, 3, 11 * S),
                // No `LAST`: the first record without the flag is the market's.
                (b'A', NONE, 12 * S, 12 * S),
                (b'C', LAST, 12 * S, 12 * S),
            ],
            "ss.ss..",
        );
    }

    #[test]
    fn adds_after_a_clear_up_to_last() {
        check(
            &[
                (b'A', LAST, 1, 1),
                (b'R', NONE, 5 * S, 5 * S),
                (b'A', NONE, 2, 5 * S),
                (b'A', NONE, 6 * S, 6 * S - 1),
                (b'A', LAST, 3, 9 * S),
                (b'A', NONE, 9 * S, 9 * S),
                (b'A', LAST, 9 * S, 9 * S),
            ],
            ".ssss..",
        );
        // A clear that is an event of its own is the market's; what follows as one event is not.
        check(
            &[(b'R', LAST, 5, 5), (b'A', NONE, 5, 5), (b'A', LAST, 5, 5), (b'A', LAST, 6, 6)],
            ".ss.",
        );
        check(&[(b'R', LAST, 5, 5), (b'A', LAST, 5, 5), (b'A', NONE, 5, 5)], "...");
    }

    #[test]
    fn a_feed_without_last_is_not_swallowed() {
        check(
            &[(b'R', NONE, S, S), (b'A', NONE, S, S), (b'C', NONE, S, S), (b'A', NONE, S, S)],
            "ss..",
        );
        check(&[(b'R', NONE, S, S), (b'A', NONE, 2 * S, 2 * S), (b'A', NONE, 2 * S, 2 * S)], "s..");
    }
}
