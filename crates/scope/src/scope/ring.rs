//! One thread's events: a bounded queue with one writer and one reader, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// An event as four words; what they mean is [`super::trace`]'s business.
pub(super) type Words = [u64; 4];

/// Written by the thread that owns it, emptied by whoever holds the registry's lock. When it is
/// full, further events are counted and lost.
pub(super) struct Ring {
    slots: Box<[[AtomicU64; 4]]>,
    /// Events written since the beginning.
    written: AtomicU64,
    /// Events taken since the beginning.
    taken: AtomicU64,
    lost: AtomicU64,
}

impl Ring {
    pub(super) fn new(capacity: usize) -> Self {
        let slot = || [const { AtomicU64::new(0) }; 4];
        Self {
            slots: std::iter::repeat_with(slot).take(capacity.max(1)).collect(),
            written: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    /// Appends an event. Only the owning thread may call this.
    pub(super) fn push(&self, words: Words) {
        let written = self.written.load(Ordering::Relaxed);
        // The acquire makes sure the reader is done with a slot before it is written again.
        if written - self.taken.load(Ordering::Acquire) >= self.slots.len() as u64 {
            self.lost.store(self.lost.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            return;
        }
        for (cell, word) in self.slot(written).iter().zip(words) {
            cell.store(word, Ordering::Relaxed);
        }
        self.written.store(written + 1, Ordering::Release);
    }

    /// Hands over everything written so far, oldest first. One reader at a time.
    pub(super) fn drain(&self, sink: &mut impl FnMut(Words)) {
        let written = self.written.load(Ordering::Acquire);
        for index in self.taken.load(Ordering::Relaxed)..written {
            let slot = self.slot(index);
            sink(std::array::from_fn(|i| slot[i].load(Ordering::Relaxed)));
        }
        self.taken.store(written, Ordering::Release);
    }

    /// Events lost since the beginning.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    #[expect(clippy::cast_possible_truncation, reason = "less than the length after the remainder")]
    fn slot(&self, index: u64) -> &[AtomicU64; 4] {
        &self.slots[(index % self.slots.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(ring: &Ring) -> Vec<u64> {
        let mut out = Vec::new();
        ring.drain(&mut |words| out.push(words[0]));
        out
    }

    #[test]
    fn a_full_ring_counts_what_it_loses_and_goes_on_when_emptied() {
        let ring = Ring::new(3);
        (0..5).for_each(|n| ring.push([n; 4]));
        assert_eq!((drained(&ring), ring.lost()), (vec![0, 1, 2], 2));
        (5..7).for_each(|n| ring.push([n; 4]));
        assert_eq!((drained(&ring), ring.lost()), (vec![5, 6], 2));
        assert!(drained(&ring).is_empty());
    }

    #[test]
    fn a_reader_beside_the_writer_sees_every_event_once_and_whole() {
        // Miri is slow, but tries what weaker memories than this machine's may do.
        const N: u64 = if cfg!(miri) { 300 } else { 20_000 };
        let ring = Ring::new(if cfg!(miri) { 8 } else { 64 });
        let mut seen = Vec::new();
        std::thread::scope(|threads| {
            let writer = threads.spawn(|| (0..N).for_each(|n| ring.push([n, !n, n, !n])));
            while !writer.is_finished() {
                ring.drain(&mut |words| seen.push(words));
            }
        });
        ring.drain(&mut |words| seen.push(words));
        assert_eq!(seen.len() as u64 + ring.lost(), N);
        assert!(seen.iter().all(|w| *w == [w[0], !w[0], w[0], !w[0]]), "a torn event");
        assert!(seen.is_sorted_by(|a, b| a[0] < b[0]));
    }
}
