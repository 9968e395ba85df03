//! Copies of registers and stacks, handed from interrupted code to the thread that unwinds them.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Bytes of stack copied; deeper frames are cut off and the stack is marked as such.
pub(super) const STACK_BYTES: usize = 32 << 10;
const SLOTS: usize = 128;
/// Slots tried before a sample is given up.
const TRIES: usize = 8;
/// Pages `STACK_BYTES` can touch, with the smallest pages there are.
const MAX_PAGES: usize = STACK_BYTES / MIN_PAGE_BYTES + 1;
const MIN_PAGE_BYTES: usize = 4096;

const FREE: u32 = 0;
const WRITING: u32 = 1;
const FULL: u32 = 2;

/// The registers unwinding begins with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Registers {
    pub(super) ip: u64,
    pub(super) sp: u64,
    pub(super) fp: u64,
    /// The link register; 0 on CPUs without one.
    pub(super) lr: u64,
}

impl Registers {
    /// Those of this very place. Inlined, so that they are those of the caller's frame.
    #[inline(always)]
    pub(super) fn here() -> Self {
        let mut here = Self::default();
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the instructions copy registers and change nothing.
        unsafe {
            core::arch::asm!(
                "lea {ip}, [rip]", "mov {sp}, rsp", "mov {fp}, rbp",
                ip = out(reg) here.ip, sp = out(reg) here.sp, fp = out(reg) here.fp,
                options(nomem, nostack, preserves_flags),
            );
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: the instructions copy registers and change nothing.
        unsafe {
            core::arch::asm!(
                "adr {ip}, .", "mov {sp}, sp", "mov {fp}, x29", "mov {lr}, x30",
                ip = out(reg) here.ip, sp = out(reg) here.sp,
                fp = out(reg) here.fp, lr = out(reg) here.lr,
                options(nomem, nostack, preserves_flags),
            );
        }
        here
    }
}

/// One copy, as the unwinding thread sees it.
pub(super) struct Sample<'a> {
    pub(super) registers: Registers,
    /// The stack from `registers.sp` upwards; empty where it could not be read.
    pub(super) stack: &'a [u8],
    /// What the sample stands for: 1 for a tick, bytes for an allocation.
    pub(super) weight: u64,
    /// The part of it that one call makes up: 1 for a tick, the block for an allocation.
    pub(super) size: u64,
}

struct Slot {
    state: AtomicU32,
    content: UnsafeCell<Content>,
}

struct Content {
    registers: Registers,
    weight: u64,
    size: u64,
    bytes: usize,
    stack: [u8; STACK_BYTES],
}

/// Room for samples between two visits of the unwinding thread. Any thread may write at any time,
/// also a signal handler that interrupts another writer.
pub(super) struct Captures {
    slots: Box<[Slot]>,
    next: AtomicUsize,
    lost: AtomicU64,
    page_bytes: usize,
}

// SAFETY: `content` is only touched by whoever has moved `state` from `FREE` to `WRITING`, until
// `FULL` is released, and then by the one reader until `FREE` is released.
unsafe impl Sync for Captures {}

impl Captures {
    pub(super) fn new() -> Self {
        let slot = || Slot {
            state: AtomicU32::new(FREE),
            content: UnsafeCell::new(Content {
                registers: Registers::default(),
                weight: 0,
                size: 0,
                bytes: 0,
                stack: [0; STACK_BYTES],
            }),
        };
        let page_bytes = usize::try_from(lob_scope::procfs::page_bytes()).unwrap_or(MIN_PAGE_BYTES);
        Self {
            slots: std::iter::repeat_with(slot).take(SLOTS).collect(),
            next: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            page_bytes: page_bytes.max(MIN_PAGE_BYTES),
        }
    }

    /// Copies registers and stack. Signal-safe: no lock, no allocation, no panic, and reading the
    /// stack is left to the kernel, which stops at the end of the mapping instead of faulting.
    pub(super) fn capture(&self, registers: Registers, weight: u64, size: u64) {
        for _ in 0..TRIES {
            let index = self.next.fetch_add(1, Ordering::Relaxed) % SLOTS;
            let Some(slot) = self.slots.get(index) else { break };
            let claimed =
                slot.state.compare_exchange(FREE, WRITING, Ordering::Acquire, Ordering::Relaxed);
            if claimed.is_err() {
                continue;
            }
            // SAFETY: this call holds the slot, see `Sync`.
            let content = unsafe { &mut *slot.content.get() };
            content.registers = registers;
            content.weight = weight;
            content.size = size;
            content.bytes = self.copy_stack(registers.sp, &mut content.stack);
            slot.state.store(FULL, Ordering::Release);
            return;
        }
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Copies page by page as far as there are pages; returns the bytes copied.
    fn copy_stack(&self, from: u64, to: &mut [u8; STACK_BYTES]) -> usize {
        const NONE: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        let Ok(mut address) = usize::try_from(from) else { return 0 };
        if cfg!(miri) {
            return 0; // which checks how slots change hands, but does not know the call below
        }
        let mut pages = [NONE; MAX_PAGES];
        let (mut used, mut left) = (0, STACK_BYTES);
        // The kernel copies whole pieces only, so every piece is one page at most.
        for page in &mut pages {
            let piece = (self.page_bytes - address % self.page_bytes).min(left);
            *page = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: piece };
            (used, left, address) = (used + 1, left - piece, address.wrapping_add(piece));
            if left == 0 {
                break;
            }
        }
        let local = libc::iovec { iov_base: to.as_mut_ptr().cast(), iov_len: STACK_BYTES };
        // SAFETY: the local piece is `to`; the remote ones are read by the kernel, which checks
        // every page. Plain system calls, so a signal handler may make them. The number is asked
        // for anew, since a fork has another.
        let copied = unsafe {
            let own = libc::getpid();
            libc::process_vm_readv(own, &raw const local, 1, pages.as_ptr(), used, 0)
        };
        usize::try_from(copied).unwrap_or(0)
    }

    /// Hands over every finished copy and frees its place.
    ///
    /// # Safety
    /// One reader at a time.
    pub(super) unsafe fn drain(&self, sink: &mut impl FnMut(Sample<'_>)) {
        for slot in &self.slots {
            if slot.state.load(Ordering::Acquire) != FULL {
                continue;
            }
            // SAFETY: the slot is full and the caller is the only reader, see `Sync`.
            let content = unsafe { &*slot.content.get() };
            let stack = content.stack.get(..content.bytes).unwrap_or_default();
            let Content { registers, weight, size, .. } = *content;
            sink(Sample { registers, stack, weight, size });
            slot.state.store(FREE, Ordering::Release);
        }
    }

    /// Samples lost since the last call.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained<R>(captures: &Captures, mut each: impl FnMut(Sample<'_>) -> R) -> Vec<R> {
        let mut out = Vec::new();
        // SAFETY: a test drains on one thread only.
        unsafe { captures.drain(&mut |sample| out.push(each(sample))) };
        out
    }

    #[test]
    fn a_copy_holds_the_stack_it_was_taken_from() {
        let mark = std::hint::black_box([0x5a5a_1234_9876_a5a5_u64; 4]);
        let captures = Captures::new();
        captures.capture(Registers::here(), 7, 1);
        let found = drained(&captures, |sample| {
            let holds = sample.stack.windows(8).any(|w| w == mark[0].to_ne_bytes());
            (sample.weight, holds, sample.registers.ip != 0)
        });
        std::hint::black_box(&mark);
        assert_eq!(found, [(7, true, true)]);
        assert!(drained(&captures, |_| ()).is_empty(), "handed over twice");
    }

    #[test]
    fn unreadable_stacks_give_an_empty_copy_and_full_rings_count() {
        let captures = Captures::new();
        (0..SLOTS + 3).for_each(|_| captures.capture(Registers::default(), 1, 1));
        assert_eq!(captures.take_lost(), 3);
        assert_eq!(drained(&captures, |sample| sample.stack.len()), vec![0; SLOTS]);
    }

    #[test]
    fn writers_and_a_reader_do_not_disturb_each_other() {
        // Miri is slow.
        const N: u64 = if cfg!(miri) { 40 } else { 2000 };
        let captures = Captures::new();
        let mut seen = Vec::new();
        let whole = |sample: Sample<'_>| {
            let Registers { ip, fp, .. } = sample.registers;
            ip == sample.weight && fp == !ip
        };
        std::thread::scope(|threads| {
            let write = || {
                for n in 1..=N {
                    captures.capture(Registers { ip: n, sp: 0, fp: !n, lr: 0 }, n, 1);
                }
            };
            let writers = [threads.spawn(write), threads.spawn(write)];
            while writers.iter().any(|w| !w.is_finished()) {
                seen.extend(drained(&captures, whole));
            }
        });
        seen.extend(drained(&captures, whole));
        assert_eq!(seen.len() as u64 + captures.take_lost(), 2 * N);
        assert!(seen.iter().all(|whole| *whole), "a torn copy");
    }
}
