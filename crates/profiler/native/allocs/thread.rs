//! What each thread keeps: whether it is in here already, and which of its stack can be read.

use core::arch::{asm, global_asm};
use core::sync::atomic::{Ordering, compiler_fence};

use super::kernel;

/// Words of a thread: a mark, and pages of its stack with what lies above.
const WORDS: usize = 1 + 2 * PAGES;
const PAGES: usize = 4;

// Where the loader finds room for a thread's own words before the program begins; their offset
// from the thread's base is then fixed ("initial exec").
global_asm!(
    ".section .tbss,\"awT\",@nobits",
    ".p2align 3",
    ".globl lob_allocs_thread",
    ".hidden lob_allocs_thread",
    ".type lob_allocs_thread, @object",
    ".size lob_allocs_thread, {bytes}",
    "lob_allocs_thread:",
    ".zero {bytes}",
    ".text",
    bytes = const WORDS * 8,
);

fn words() -> *mut usize {
    let words: *mut usize;
    // SAFETY: the offset is where the loader has put it.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "mov {0}, qword ptr [rip + lob_allocs_thread@GOTTPOFF]",
            "add {0}, qword ptr fs:[0]",
            out(reg) words, options(nostack, pure, readonly),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "adrp {0}, :gottprel:lob_allocs_thread",
            "ldr {0}, [{0}, :gottprel_lo12:lob_allocs_thread]",
            "mrs {1}, tpidr_el0",
            "add {0}, {0}, {1}",
            out(reg) words, out(reg) _, options(nostack, pure, readonly),
        );
    }
    words
}

/// Does something unless this thread is doing it already: in a signal handler, or because it needs
/// memory itself.
pub(crate) fn once(work: impl FnOnce(&mut StackPages)) {
    let words = words();
    // SAFETY: the words are this thread's own; a signal handler in between leaves the mark as it
    // was, and sees it before it touches the others.
    unsafe {
        if words.read_volatile() != 0 {
            return;
        }
        words.write_volatile(1);
        compiler_fence(Ordering::SeqCst);
        work(&mut *words.add(1).cast::<StackPages>());
        compiler_fence(Ordering::SeqCst);
        words.write_volatile(0);
    }
}

/// Pages of stacks met last, each with the address up to which memory can be read.
#[repr(transparent)]
pub(crate) struct StackPages([[usize; 2]; PAGES]);

impl StackPages {
    /// An address above `sp`, at most two pages, up to which memory can be read.
    pub(crate) fn readable_until(&mut self, sp: usize) -> usize {
        let page = sp & !(kernel::PAGE - 1);
        let slot = (page / kernel::PAGE) % PAGES;
        if let Some([known, until]) = self.0.get_mut(slot) {
            if *known != page {
                let next = page + kernel::PAGE;
                *known = page;
                *until = if kernel::is_readable(next) { next + kernel::PAGE } else { next };
            }
            return *until;
        }
        sp
    }
}
