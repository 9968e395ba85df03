//! Books of MBP-10 that are put together without a flag that says so.

use dbn::Mbp10Msg;
use lob_book::SnapshotTracker;
use rustc_hash::FxHashMap;

use crate::levels::is_clear;

/// The record, or a copy of it with the flag `SNAPSHOT` where it shows a book being put together.
#[inline]
pub(super) fn as_shown<'a>(
    record: &'a Mbp10Msg,
    cleared: &mut FxHashMap<(u16, u32), SnapshotTracker>,
    copy: &'a mut Mbp10Msg,
) -> &'a Mbp10Msg {
    if (is_clear(record) || !cleared.is_empty()) && is_unflagged_snapshot(cleared, record) {
        copy.clone_from(record);
        copy.flags.set_snapshot();
        return copy;
    }
    record
}

/// Whether the record shows a book being put together although its flags do not say so.
#[cold]
fn is_unflagged_snapshot(
    cleared: &mut FxHashMap<(u16, u32), SnapshotTracker>,
    record: &Mbp10Msg,
) -> bool {
    let key = (record.hd.publisher_id, record.hd.instrument_id);
    let mut tracker = cleared.get(&key).copied().unwrap_or_default();
    let (action, flags) = (record.action.cast_unsigned(), record.flags);
    let is_part = tracker.is_part(action, flags, record.hd.ts_event, record.ts_recv);
    if tracker.is_idle() {
        cleared.remove(&key);
    } else {
        cleared.insert(key, tracker);
    }
    is_part && !flags.is_snapshot()
}
