//! Bytes that each thread may still allocate before one allocation of it is sampled.

use std::cell::Cell;

thread_local! {
    // Const-initialised and without a destructor, like the allocator's own.
    static LEFT_BYTES: Cell<i64> = const { Cell::new(0) };
}

/// Counts down; what is left, or `None` in a thread that is ending. Called from the allocator: no
/// allocation, no panic.
#[inline]
pub(super) fn take(bytes: i64) -> Option<i64> {
    let left = LEFT_BYTES.try_with(Cell::get).ok()?.saturating_sub(bytes);
    LEFT_BYTES.try_with(|cell| cell.set(left)).ok().map(|()| left)
}

/// Begins again from here.
pub(super) fn set(bytes: i64) {
    let _ = LEFT_BYTES.try_with(|cell| cell.set(bytes));
}

/// Takes the calling thread, which works for the profiler, out of the tracking.
pub(super) fn exempt_this_thread() {
    LEFT_BYTES.set(i64::MAX);
}
