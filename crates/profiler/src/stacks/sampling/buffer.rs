//! The memory the kernel writes samples to.

use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use lob_scope::{Unavailable, procfs};

use crate::perf::imp::Event as Perf;

/// One CPU's buffer: written by the kernel, emptied here (`perf_event_mmap_page`).
pub(super) struct Buffer {
    /// Closing it would unhook the kernel's end.
    event: Perf,
    base: NonNull<u8>,
    mapped: usize,
    data: Range<usize>,
}

/// Offsets of the two ends in the first page.
const DATA_HEAD: usize = 1024;
const DATA_TAIL: usize = 1032;

// SAFETY: the mapping belongs to this value alone, and the kernel does not care which thread reads.
unsafe impl Send for Buffer {}

impl Buffer {
    /// What `poll` waits on.
    pub(super) fn fd(&self) -> i32 {
        self.event.fd()
    }

    pub(super) fn map(event: Perf, choice: &[usize]) -> Result<Self, Unavailable> {
        let page = usize::try_from(procfs::page_bytes()).unwrap_or(4096).max(4096);
        for pages in choice {
            let mapped = (pages + 1) * page;
            // SAFETY: a fresh mapping of the event's own buffer, at an address the kernel picks.
            let base = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    mapped,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_SHARED,
                    event.fd(),
                    0,
                )
            };
            if base != libc::MAP_FAILED
                && let Some(base) = NonNull::new(base.cast::<u8>())
            {
                return Ok(Self { event, base, mapped, data: page..mapped });
            }
        }
        let error = std::io::Error::last_os_error();
        Err(Unavailable::new(format!("no memory for samples (`ulimit -l`): {error}")))
    }

    fn end(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: the first page is mapped, holds an aligned number at either offset, and is only
        // accessed atomically on this side.
        unsafe { &*self.base.as_ptr().add(offset).cast::<AtomicU64>() }
    }

    /// Copies what the kernel has written since the last call, and gives the room back.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let (head, tail) = (
            self.end(DATA_HEAD).load(Ordering::Acquire),
            self.end(DATA_TAIL).load(Ordering::Relaxed),
        );
        let size = self.data.len();
        let length = usize::try_from(head.wrapping_sub(tail)).unwrap_or(0).min(size);
        let start = usize::try_from(tail % size as u64).unwrap_or(0);
        let first = length.min(size - start);
        let mut bytes = vec![0; length];
        // SAFETY: both pieces lie inside the mapping, and the kernel does not write between tail
        // and head until the tail is moved below.
        unsafe {
            let data = self.base.as_ptr().add(self.data.start);
            std::ptr::copy_nonoverlapping(data.add(start), bytes.as_mut_ptr(), first);
            let rest = bytes.as_mut_ptr().add(first);
            std::ptr::copy_nonoverlapping(data, rest, length - first);
        }
        self.end(DATA_TAIL).store(head, Ordering::Release);
        bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` with this length, and no reference into it is left.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.mapped) };
    }
}
