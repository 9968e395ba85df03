//! Every block that lives: its size and where it was allocated.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering};

use super::kernel;

/// Parts with a lock each.
const SHARDS: usize = 64;
/// Entries of a part at first: one page.
const FIRST: usize = 256;
const CONTEXT_BITS: u32 = 16;

/// A block.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) size: usize,
    pub(crate) context: u32,
}

/// Open addressing with linear probing; address 0 is an empty place.
#[derive(Clone, Copy)]
#[repr(C)]
struct Entry {
    address: usize,
    /// Size, then the context in the low bits.
    what: usize,
}

impl Entry {
    fn known(self) -> Known {
        let context = self.what as u32 & ((1 << CONTEXT_BITS) - 1);
        Known { size: self.what >> CONTEXT_BITS, context }
    }
}

#[repr(C, align(64))]
struct Shard {
    lock: AtomicU32,
    inner: UnsafeCell<Inner>,
}

#[repr(C)]
struct Inner {
    entries: *mut Entry,
    capacity: usize,
    used: usize,
}

#[repr(C)]
pub(crate) struct Table {
    shards: [Shard; SHARDS],
}

/// Spins, then lets others go first.
pub(crate) fn lock(lock: &AtomicU32) {
    let mut tries = 0_u32;
    while lock.compare_exchange_weak(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
        tries = tries.wrapping_add(1);
        if tries % 64 == 0 {
            kernel::give_way();
        }
        core::hint::spin_loop();
    }
}

pub(crate) fn unlock(lock: &AtomicU32) {
    lock.store(0, Ordering::Release);
}

fn hash(address: usize) -> usize {
    (address >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Table {
    /// Notes a block; returns what stood under its address: a block given back unseen.
    pub(crate) fn insert(&self, address: usize, size: usize, context: u32) -> Option<Known> {
        let what = size << CONTEXT_BITS | context as usize;
        self.with(address, |inner| inner.insert(Entry { address, what }))
    }

    pub(crate) fn remove(&self, address: usize) -> Option<Known> {
        self.with(address, |inner| inner.remove(address))
    }

    fn with(
        &self,
        address: usize,
        work: impl FnOnce(&mut Inner) -> Option<Known>,
    ) -> Option<Known> {
        let shard = self.shards.get(hash(address) >> (usize::BITS - SHARDS.ilog2()))?;
        lock(&shard.lock);
        // SAFETY: the lock is held, and this thread is in here once only.
        let result = work(unsafe { &mut *shard.inner.get() });
        unlock(&shard.lock);
        result
    }
}

impl Inner {
    /// Where the address stands or would stand, in a table that has an empty place.
    fn find(&self, address: usize) -> *mut Entry {
        let mask = self.capacity - 1;
        let mut at = (hash(address) >> 16) & mask;
        loop {
            // SAFETY: the mask keeps it inside.
            let entry = unsafe { self.entries.add(at) };
            // SAFETY: as above.
            let found = unsafe { (*entry).address };
            if found == address || found == 0 {
                return entry;
            }
            at = (at + 1) & mask;
        }
    }

    fn insert(&mut self, new: Entry) -> Option<Known> {
        if (self.used + 1) * 4 > self.capacity * 3 && !self.grow() {
            return None;
        }
        let place = self.find(new.address);
        // SAFETY: a place in the table, whose lock is held.
        let old = unsafe { place.replace(new) };
        if old.address == 0 {
            self.used += 1;
            return None;
        }
        Some(old.known())
    }

    fn grow(&mut self) -> bool {
        let capacity = if self.capacity == 0 { FIRST } else { self.capacity * 2 };
        let Some(entries) = kernel::map_own(capacity * size_of::<Entry>()) else {
            // Full to the last place, nothing would be found any more.
            return self.used + 1 < self.capacity;
        };
        let old = core::mem::replace(
            self,
            Self { entries: entries.cast(), capacity, used: self.used },
        );
        for at in 0..old.capacity {
            // SAFETY: inside the old table.
            let entry = unsafe { *old.entries.add(at) };
            if entry.address != 0 {
                // SAFETY: a place in the new table.
                unsafe { *self.find(entry.address) = entry };
            }
        }
        if old.capacity > 0 {
            kernel::unmap(old.entries.cast(), old.capacity * size_of::<Entry>());
        }
        true
    }

    /// Knuth, The Art of Computer Programming 3, section 6.4, algorithm R: those behind move up.
    fn remove(&mut self, address: usize) -> Option<Known> {
        if self.capacity == 0 {
            return None;
        }
        let place = self.find(address);
        // SAFETY: a place in the table, whose lock is held.
        let removed = unsafe { *place };
        if removed.address == 0 {
            return None;
        }
        let mask = self.capacity - 1;
        // SAFETY: both point into the table.
        let mut hole = unsafe { place.offset_from(self.entries) } as usize;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            // SAFETY: the mask keeps it inside.
            let entry = unsafe { *self.entries.add(at) };
            if entry.address == 0 {
                break;
            }
            let home = (hash(entry.address) >> 16) & mask;
            // Whether the hole lies between its home and where it stands.
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                // SAFETY: as above.
                unsafe { *self.entries.add(hole) = entry };
                hole = at;
            }
        }
        // SAFETY: as above.
        unsafe { *self.entries.add(hole) = Entry { address: 0, what: 0 } };
        self.used -= 1;
        Some(removed.known())
    }
}
