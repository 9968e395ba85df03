//! What one scope's node remembers of the allocator's counts.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::alloc;

/// "Not open, or opened before the switch."
const CLOSED: u64 = u64::MAX;

/// A node's share of its thread's allocator counts; written by the owning thread alone.
pub(super) struct AllocCells {
    start: [AtomicU64; 3],
    sums: [AtomicU64; 3],
}

impl AllocCells {
    pub(super) const fn new() -> Self {
        Self {
            start: [const { AtomicU64::new(CLOSED) }; 3],
            sums: [const { AtomicU64::new(0) }; 3],
        }
    }

    pub(super) fn open(&self) {
        if let Some(now) = alloc::thread_counts() {
            (0..3).for_each(|i| self.start[i].store(now[i], Ordering::Relaxed));
        }
    }

    pub(super) fn close(&self) {
        if self.start[0].load(Ordering::Relaxed) == CLOSED {
            return;
        }
        if let Some(now) = alloc::thread_counts() {
            for ((sum, start), now) in self.sums.iter().zip(&self.start).zip(now) {
                let grown = now.wrapping_sub(start.load(Ordering::Relaxed));
                sum.store(sum.load(Ordering::Relaxed).wrapping_add(grown), Ordering::Relaxed);
            }
        }
        self.start[0].store(CLOSED, Ordering::Relaxed);
    }

    pub(super) fn sums(&self) -> [u64; 3] {
        std::array::from_fn(|i| self.sums[i].load(Ordering::Relaxed))
    }
}
