//! An allocator that counts, for programs that opt in.
//!
//! Counts live in a table of slots, one slot a thread, each written by its thread alone: no
//! contended atomic, no lock, no allocation inside the hook, and nothing to run when a thread
//! ends. Threads beyond the table share its last slots by atomic addition.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use crate::Unavailable;

/// Slots in all; 64 KiB of zero pages that cost nothing until used.
const SLOTS: usize = 1024;
/// Slots that belong to one thread; the rest is shared by all later ones.
const OWNED_SLOTS: usize = SLOTS - 32;
/// A thread tells the others of its live bytes whenever they moved by this much, so the peak is
/// exact to this many bytes a thread.
const FLUSH_BYTES: i64 = 64 << 10;
/// "This thread has no slot yet."
const NO_SLOT: usize = usize::MAX;

static TABLE: [Slot; SLOTS] = [const { Slot::new() }; SLOTS];
static NEXT_SLOT: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);
/// An `extern "C" fn(usize)` that is called for every block; null while there is none.
static HOOK: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

thread_local! {
    // Const-initialised and without a destructor: reading it neither allocates nor can fail.
    static SLOT: Cell<usize> = const { Cell::new(NO_SLOT) };
}

/// One thread's counts, on a cache line of its own.
#[repr(align(64))]
struct Slot {
    allocations: AtomicU64,
    deallocations: AtomicU64,
    reallocations: AtomicU64,
    allocated: AtomicU64,
    freed: AtomicU64,
    /// Live bytes not yet added to [`LIVE`].
    pending: AtomicI64,
}

impl Slot {
    const fn new() -> Self {
        Self {
            allocations: AtomicU64::new(0),
            deallocations: AtomicU64::new(0),
            reallocations: AtomicU64::new(0),
            allocated: AtomicU64::new(0),
            freed: AtomicU64::new(0),
            pending: AtomicI64::new(0),
        }
    }
}

/// Counts of allocator calls and bytes. Bytes are those asked for, not those the allocator rounds
/// up to. All zero unless [`CountingAllocator`] is the global allocator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AllocStats {
    /// Blocks allocated.
    pub allocations: u64,
    /// Blocks freed.
    pub deallocations: u64,
    /// Blocks grown or shrunk.
    pub reallocations: u64,
    /// Bytes allocated; growing a block adds what it grew by.
    pub allocated_bytes: u64,
    /// Bytes freed; shrinking a block adds what it shrank by.
    pub freed_bytes: u64,
    /// Bytes allocated and not freed. A single thread's figure may be negative: it frees what
    /// others allocated.
    pub live_bytes: i64,
    /// Largest `live_bytes` of the process since the start or [`reset_alloc_peak`], exact to
    /// 64 KiB per thread. For one thread, as the process's.
    pub peak_bytes: i64,
}

/// A global allocator that passes every call to the system's and counts it.
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: lob_scope::CountingAllocator = lob_scope::CountingAllocator;
///
/// let before = lob_scope::alloc_stats();
/// let block = std::hint::black_box(vec![0u8; 1 << 20]);
/// let after = lob_scope::alloc_stats();
/// assert!(after.allocated_bytes - before.allocated_bytes >= 1 << 20);
/// drop(block);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct CountingAllocator;

// SAFETY: every call goes to `System` unchanged, and the bookkeeping around it neither allocates
// nor unwinds, so `System`'s guarantees are this allocator's.
unsafe impl GlobalAlloc for CountingAllocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, which is the one of `System.alloc`.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            count_alloc(layout.size());
        }
        block
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for `alloc`.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            count_alloc(layout.size());
        }
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block came from `System` with this layout, by the caller's contract.
        unsafe { System.dealloc(block, layout) };
        let bytes = layout.size() as u64;
        update(|add, slot| {
            add(&slot.deallocations, 1);
            add(&slot.freed, bytes);
            -(bytes as i64)
        });
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the block came from `System` with this layout, by the caller's contract.
        let moved = unsafe { System.realloc(block, layout, new_size) };
        if !moved.is_null() {
            notify(new_size.saturating_sub(layout.size()));
            let (old, new) = (layout.size() as u64, new_size as u64);
            update(|add, slot| {
                add(&slot.reallocations, 1);
                add(&slot.allocated, new.saturating_sub(old));
                add(&slot.freed, old.saturating_sub(new));
                new as i64 - old as i64
            });
        }
        moved
    }
}

#[inline]
fn count_alloc(bytes: usize) {
    notify(bytes);
    update(|add, slot| {
        add(&slot.allocations, 1);
        add(&slot.allocated, bytes as u64);
        bytes as i64
    });
}

/// Calls `hook` with the size in bytes of every block that [`CountingAllocator`] allocates, and with
/// the growth of every block that it reallocates, on the thread that asked for it; `None` ends it.
/// One hook at a time: a second one takes the place of the first.
///
/// The hook runs inside the allocator: it must not allocate, which would call it again, and a panic
/// in it ends the process, as in every `extern "C"` function. A call may still be under way on
/// another thread when this returns.
pub fn set_alloc_hook(hook: Option<extern "C" fn(usize)>) {
    let hook = hook.map_or(std::ptr::null_mut(), |hook| hook as *mut ());
    HOOK.store(hook, Ordering::Release);
}

#[inline]
fn notify(bytes: usize) {
    let hook = HOOK.load(Ordering::Acquire);
    if !hook.is_null() {
        call(hook, bytes);
    }
}

#[cold]
fn call(hook: *mut (), bytes: usize) {
    // SAFETY: a pointer that is not null was stored by `set_alloc_hook` and came from an
    // `extern "C" fn(usize)`; functions are never freed. It cannot unwind.
    let hook = unsafe { std::mem::transmute::<*mut (), extern "C" fn(usize)>(hook) };
    hook(bytes);
}

/// Applies `change`, which returns the change of live bytes, to this thread's slot.
#[inline]
fn update(change: impl FnOnce(fn(&AtomicU64, u64), &Slot) -> i64) {
    let index = SLOT.try_with(Cell::get).unwrap_or(SLOTS - 1);
    if index < OWNED_SLOTS {
        let slot = &TABLE[index];
        let pending = slot.pending.load(Ordering::Relaxed) + change(add_owned, slot);
        if pending.abs() < FLUSH_BYTES {
            slot.pending.store(pending, Ordering::Relaxed);
        } else {
            slot.pending.store(0, Ordering::Relaxed);
            flush(pending);
        }
    } else {
        update_shared(index, change);
    }
}

/// The slow ways: a thread's first call, and threads without a slot of their own.
#[cold]
fn update_shared(index: usize, change: impl FnOnce(fn(&AtomicU64, u64), &Slot) -> i64) {
    let index = if index == NO_SLOT { claim_slot() } else { index };
    let slot = &TABLE[index];
    if index < OWNED_SLOTS {
        let pending = slot.pending.load(Ordering::Relaxed) + change(add_owned, slot);
        slot.pending.store(pending, Ordering::Relaxed);
        return;
    }
    let add = |cell: &AtomicU64, by| {
        cell.fetch_add(by, Ordering::Relaxed);
    };
    flush(change(add, slot));
}

/// Numbers are given out once and not returned: a slot keeps the counts of its thread for good.
fn claim_slot() -> usize {
    let number = NEXT_SLOT.fetch_add(1, Ordering::Relaxed);
    let shared = SLOTS - OWNED_SLOTS;
    let index = if number < OWNED_SLOTS { number } else { OWNED_SLOTS + number % shared };
    let _ = SLOT.try_with(|slot| slot.set(index));
    index
}

#[inline]
fn add_owned(cell: &AtomicU64, by: u64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}

fn flush(pending: i64) {
    let live = LIVE.fetch_add(pending, Ordering::Relaxed) + pending;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

/// Counts of all threads, ended ones too.
#[must_use]
pub fn alloc_stats() -> AllocStats {
    let used = NEXT_SLOT.load(Ordering::Relaxed);
    let slots = if used < OWNED_SLOTS { &TABLE[..used] } else { &TABLE[..] };
    sum(slots)
}

/// Counts of the calling thread (shared with others past the first 992 threads).
#[must_use]
pub fn thread_alloc_stats() -> AllocStats {
    match SLOT.try_with(Cell::get) {
        Ok(index) if index < SLOTS => sum(&TABLE[index..=index]),
        _ => sum(&[]),
    }
}

/// Starts a new peak at the bytes live now.
pub fn reset_alloc_peak() {
    PEAK.store(alloc_stats().live_bytes, Ordering::Relaxed);
}

fn sum(slots: &[Slot]) -> AllocStats {
    let mut total = AllocStats::default();
    for slot in slots {
        total.allocations += slot.allocations.load(Ordering::Relaxed);
        total.deallocations += slot.deallocations.load(Ordering::Relaxed);
        total.reallocations += slot.reallocations.load(Ordering::Relaxed);
        total.allocated_bytes += slot.allocated.load(Ordering::Relaxed);
        total.freed_bytes += slot.freed.load(Ordering::Relaxed);
    }
    total.live_bytes = total.allocated_bytes.wrapping_sub(total.freed_bytes).cast_signed();
    total.peak_bytes = PEAK.load(Ordering::Relaxed).max(total.live_bytes);
    total
}

/// Whether allocations are counted: whether [`CountingAllocator`] is the global allocator.
///
/// # Errors
/// Where it is not.
pub fn allocations_are_counted() -> Result<(), Unavailable> {
    // Every program allocates before `main`.
    if NEXT_SLOT.load(Ordering::Relaxed) > 0 {
        return Ok(());
    }
    Err(Unavailable::new("`CountingAllocator` is not the global allocator of this program"))
}

/// Blocks allocated, bytes allocated and bytes freed by the calling thread; `None` where it has no
/// slot of its own, so that the counts would not be its own either.
#[inline]
pub(crate) fn thread_counts() -> Option<[u64; 3]> {
    let index = SLOT.try_with(Cell::get).ok()?;
    if index >= OWNED_SLOTS {
        // A thread that has not allocated yet has counted nothing so far.
        return (index == NO_SLOT).then_some([0; 3]);
    }
    let slot = &TABLE[index];
    Some([
        slot.allocations.load(Ordering::Relaxed) + slot.reallocations.load(Ordering::Relaxed),
        slot.allocated.load(Ordering::Relaxed),
        slot.freed.load(Ordering::Relaxed),
    ])
}
