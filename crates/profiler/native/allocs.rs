//! A library that notes which calls of the program's allocator were not undone; `build.rs` compiles
//! it, `lob profile --allocs` has the loader put it before the others (`LD_PRELOAD`).
//!
//! Every block is kept in a table with its size and a context: a number for the return addresses
//! on the top of the stack. Sums of each context stand in a file that is mapped, so whatever ends
//! the process, all is there. Of each new context the top of the stack is written to a second file;
//! unwinding and names are the reader's business. A third holds what was mapped where.
//!
//! No call of the C library is made but to look up the allocator that comes next; the kernel is
//! called directly, `errno` stays as it is. After `fork` the child begins with files of its own.

#![no_std]

#[path = "allocs/contexts.rs"]
mod contexts;
#[path = "allocs/files.rs"]
mod files;
#[path = "allocs/kernel.rs"]
mod kernel;
#[path = "allocs/near.rs"]
mod near;
#[path = "allocs/next.rs"]
mod next;
#[path = "allocs/table.rs"]
mod table;
#[path = "allocs/thread.rs"]
mod thread;

use core::arch::{global_asm, naked_asm};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use contexts::Contexts;
use files::Files;
use table::Table;

/// Where a call came from.
#[derive(Clone, Copy)]
struct Caller {
    /// Stack pointer after the return.
    sp: usize,
    fp: usize,
    /// Return address.
    ra: usize,
}

impl Caller {
    /// From the registers at the entry of a function.
    unsafe fn at_entry(sp: usize, fp: usize, lr: usize) -> Self {
        if cfg!(target_arch = "x86_64") {
            // SAFETY: the call has put the return address there.
            Self { sp: sp + 8, fp, ra: unsafe { *(sp as *const usize) } }
        } else {
            Self { sp, fp, ra: lr }
        }
    }
}

const NEW: u32 = 0;
const STARTING: u32 = 1;
const ON: u32 = 2;
const OFF: u32 = 3;

/// Everything that is noted of this process. The kernel zeroes it in a child made by `fork`, which
/// so finds itself new.
#[repr(C)]
struct Control {
    state: AtomicU32,
    files: Files,
    contexts: Contexts,
    table: Table,
}

static CONTROL: AtomicPtr<Control> = AtomicPtr::new(core::ptr::null_mut());

/// What is noted, once there is a place for it.
fn control() -> Option<&'static Control> {
    let mut control = CONTROL.load(Ordering::Acquire);
    if control.is_null() {
        let fresh = kernel::map(size_of::<Control>())?;
        if !kernel::wipe_on_fork(fresh, size_of::<Control>()) {
            kernel::unmap(fresh, size_of::<Control>());
            return None;
        }
        let empty = core::ptr::null_mut();
        match CONTROL.compare_exchange(empty, fresh.cast(), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => control = fresh.cast(),
            Err(others) => {
                kernel::unmap(fresh, size_of::<Control>());
                control = others;
            }
        }
    }
    // SAFETY: zeroed pages are a valid `Control`, and they are never given back.
    let control = unsafe { &*control };
    match control.state.load(Ordering::Acquire) {
        ON => Some(control),
        NEW => start(control),
        _ => None,
    }
}

#[cold]
fn start(control: &'static Control) -> Option<&'static Control> {
    control.state.compare_exchange(NEW, STARTING, Ordering::AcqRel, Ordering::Relaxed).ok()?;
    let is_on = control.files.open() && control.contexts.open(&control.files);
    control.state.store(if is_on { ON } else { OFF }, Ordering::Release);
    is_on.then_some(control)
}

/// Notes a new block.
fn note(block: usize, size: usize, caller: Caller) {
    if block == 0 {
        return;
    }
    thread::once(|pages| {
        if let Some(control) = control() {
            let context = control.contexts.of(&control.files, caller, pages);
            if let Some(replaced) = control.table.insert(block, size, context) {
                control.files.sub(replaced);
            }
            control.files.add(context, size);
        }
    });
}

/// Forgets a block that is about to be given back; returns what was known of it.
fn forget(block: usize) -> Option<table::Known> {
    let mut known = None;
    thread::once(|_| {
        if let Some(control) = control() {
            known = control.table.remove(block);
            if let Some(known) = known {
                control.files.sub(known);
            }
        }
    });
    known
}

/// Undoes [`forget`].
fn remember(block: usize, known: table::Known) {
    thread::once(|_| {
        if let Some(control) = control() {
            control.table.insert(block, known.size, known.context);
            control.files.add(known.context, known.size);
        }
    });
}

/// The functions of the C library, each of which hands its arguments on with the caller's
/// registers in the fifth place and after it.
macro_rules! entries {
    ($($name:ident => $on:ident),*) => {
        $(
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            extern "C" fn $name() {
                #[cfg(target_arch = "x86_64")]
                naked_asm!("mov r8, rsp", "mov r9, rbp", "jmp {on}", on = sym $on);
                #[cfg(target_arch = "aarch64")]
                naked_asm!("mov x4, sp", "mov x5, x29", "mov x6, x30", "b {on}", on = sym $on);
            }
        )*
    };
}

entries! {
    malloc => on_malloc, calloc => on_calloc, realloc => on_realloc, free => on_free,
    posix_memalign => on_posix_memalign, aligned_alloc => on_aligned_alloc,
    memalign => on_memalign, valloc => on_valloc, pvalloc => on_pvalloc,
    reallocarray => on_reallocarray
}

/// Declares what an entry jumps to: up to three arguments, then the registers.
macro_rules! on {
    ($name:ident($($arg:ident),*; $($unused:ident),*) $caller:ident => $body:expr) => {
        unsafe extern "C" fn $name(
            $($arg: usize,)* $($unused: usize,)* sp: usize, fp: usize, lr: usize,
        ) -> usize {
            // SAFETY: the entry has handed on the registers it was called with.
            #[allow(unused_variables, reason = "not every function notes a block")]
            let $caller = unsafe { Caller::at_entry(sp, fp, lr) };
            $body
        }
    };
}

on!(on_malloc(size; _b, _c, _d) caller => {
    let block = next::malloc(size);
    note(block, size, caller);
    block
});

on!(on_calloc(count, size; _c, _d) caller => {
    let block = next::calloc(count, size);
    note(block, count.wrapping_mul(size), caller);
    block
});

on!(on_realloc(old, size; _c, _d) caller => realloc_noted(old, size, caller));

on!(on_reallocarray(old, count, size; _d) caller => match count.checked_mul(size) {
    Some(size) => realloc_noted(old, size, caller),
    // The next one says so in `errno`.
    None => next::reallocarray(old, count, size),
});

on!(on_free(block; _b, _c, _d) caller => {
    if block != 0 && !next::is_early(block) {
        forget(block);
        next::free(block);
    }
    0
});

on!(on_posix_memalign(place, alignment, size; _d) caller => {
    let error = next::posix_memalign(place, alignment, size);
    if error as u32 == 0 {
        // SAFETY: the call has succeeded and so has written the block's address there.
        note(unsafe { *(place as *const usize) }, size, caller);
    }
    error
});

on!(on_aligned_alloc(alignment, size; _c, _d) caller => {
    let block = next::aligned_alloc(alignment, size);
    note(block, size, caller);
    block
});

on!(on_memalign(alignment, size; _c, _d) caller => {
    let block = next::memalign(alignment, size);
    note(block, size, caller);
    block
});

on!(on_valloc(size; _b, _c, _d) caller => {
    let block = next::valloc(size);
    note(block, size, caller);
    block
});

on!(on_pvalloc(size; _b, _c, _d) caller => {
    let block = next::pvalloc(size);
    note(block, size, caller);
    block
});

fn realloc_noted(old: usize, size: usize, caller: Caller) -> usize {
    if next::is_early(old) {
        let block = next::moved(old, size);
        note(block, size, caller);
        return block;
    }
    // Before the call: afterwards the address may be another thread's.
    let known = if old == 0 { None } else { forget(old) };
    let block = next::realloc(old, size);
    match known {
        Some(known) if block == 0 && size != 0 => remember(old, known),
        _ => note(block, size, caller),
    }
    block
}

/// Programs that never call the allocator leave files too: with nothing in them.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = {
    extern "C" fn at_start() {
        thread::once(|_| {
            control();
        });
    }
    at_start
};

// Named by tables of the compiled `core`; nothing here unwinds.
global_asm!(
    ".globl rust_eh_personality",
    ".hidden rust_eh_personality",
    "rust_eh_personality:",
    ".zero 16",
);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    kernel::abort()
}
