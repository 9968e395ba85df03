//! The allocator the program would have had: the next one in the loader's order.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::mem::transmute;
use core::ptr::copy_nonoverlapping;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

const RTLD_NEXT: usize = usize::MAX;

static FUNCTIONS: [AtomicUsize; 10] = [const { AtomicUsize::new(0) }; 10];
const NAMES: [&[u8]; 10] = [
    b"malloc\0", b"calloc\0", b"realloc\0", b"free\0", b"posix_memalign\0", b"aligned_alloc\0",
    b"memalign\0", b"valloc\0", b"pvalloc\0", b"reallocarray\0",
];
const MALLOC: usize = 0;
const CALLOC: usize = 1;
const REALLOC: usize = 2;
const FREE: usize = 3;
const POSIX_MEMALIGN: usize = 4;
const ALIGNED_ALLOC: usize = 5;
const MEMALIGN: usize = 6;
const VALLOC: usize = 7;
const PVALLOC: usize = 8;
const REALLOCARRAY: usize = 9;

const UNKNOWN: u32 = 0;
const LOOKING: u32 = 1;
const KNOWN: u32 = 2;
static STATE: AtomicU32 = AtomicU32::new(UNKNOWN);

// Weak: an old C library has it in a library of its own, and the program may not use that.
global_asm!(".weak dlsym", ".weak __libc_malloc", ".weak __libc_calloc", ".weak __libc_realloc",
    ".weak __libc_free", ".weak __libc_memalign");

/// Address of a symbol, 0 where nobody has it.
macro_rules! weak {
    ($name:literal) => {{
        let address: usize;
        // SAFETY: the loader has filled in the address.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            asm!(concat!("mov {0}, qword ptr [rip + ", $name, "@GOTPCREL]"), out(reg) address);
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            asm!(
                concat!("adrp {0}, :got:", $name),
                concat!("ldr {0}, [{0}, :got_lo12:", $name, "]"),
                out(reg) address,
            );
        }
        address
    }};
}

/// The next function, 0 while it is being looked up or where there is none.
fn function(which: usize) -> usize {
    let known = FUNCTIONS[which].load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    look_up();
    FUNCTIONS[which].load(Ordering::Relaxed)
}

#[cold]
fn look_up() {
    if STATE.compare_exchange(UNKNOWN, LOOKING, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        return;
    }
    let dlsym = weak!("dlsym");
    if dlsym == 0 {
        let old = [
            (MALLOC, weak!("__libc_malloc")), (CALLOC, weak!("__libc_calloc")),
            (REALLOC, weak!("__libc_realloc")), (FREE, weak!("__libc_free")),
            (MEMALIGN, weak!("__libc_memalign")), (ALIGNED_ALLOC, weak!("__libc_memalign")),
        ];
        for (which, address) in old {
            FUNCTIONS[which].store(address, Ordering::Relaxed);
        }
    } else {
        // SAFETY: dlsym(3) has this type, and the names end with a zero.
        unsafe {
            let dlsym: extern "C" fn(usize, *const u8) -> usize = transmute(dlsym);
            for (function, name) in FUNCTIONS.iter().zip(NAMES) {
                function.store(dlsym(RTLD_NEXT, name.as_ptr()), Ordering::Relaxed);
            }
        }
    }
    STATE.store(KNOWN, Ordering::Release);
}

fn call1(function: usize, a: usize) -> usize {
    // SAFETY: the function was found by the name of one with this type.
    unsafe { transmute::<usize, extern "C" fn(usize) -> usize>(function)(a) }
}

fn call2(function: usize, a: usize, b: usize) -> usize {
    // SAFETY: as above.
    unsafe { transmute::<usize, extern "C" fn(usize, usize) -> usize>(function)(a, b) }
}

fn call3(function: usize, a: usize, b: usize, c: usize) -> usize {
    // SAFETY: as above.
    unsafe { transmute::<usize, extern "C" fn(usize, usize, usize) -> usize>(function)(a, b, c) }
}

pub(crate) fn malloc(size: usize) -> usize {
    match function(MALLOC) {
        0 => early(size),
        next => call1(next, size),
    }
}

pub(crate) fn calloc(count: usize, size: usize) -> usize {
    match function(CALLOC) {
        // Zeroed, since none is given out twice.
        0 => count.checked_mul(size).map_or(0, early),
        next => call2(next, count, size),
    }
}

pub(crate) fn realloc(old: usize, size: usize) -> usize {
    match function(REALLOC) {
        0 => early(size),
        next => call2(next, old, size),
    }
}

pub(crate) fn reallocarray(old: usize, count: usize, size: usize) -> usize {
    match function(REALLOCARRAY) {
        0 => 0,
        next => call3(next, old, count, size),
    }
}

pub(crate) fn free(block: usize) {
    match function(FREE) {
        0 => {}
        next => _ = call1(next, block),
    }
}

pub(crate) fn posix_memalign(place: usize, alignment: usize, size: usize) -> usize {
    const ENOMEM: usize = 12;
    match function(POSIX_MEMALIGN) {
        0 => ENOMEM,
        next => call3(next, place, alignment, size),
    }
}

pub(crate) fn aligned_alloc(alignment: usize, size: usize) -> usize {
    match function(ALIGNED_ALLOC) {
        0 => 0,
        next => call2(next, alignment, size),
    }
}

pub(crate) fn memalign(alignment: usize, size: usize) -> usize {
    match function(MEMALIGN) {
        0 => 0,
        next => call2(next, alignment, size),
    }
}

pub(crate) fn valloc(size: usize) -> usize {
    match function(VALLOC) {
        0 => 0,
        next => call1(next, size),
    }
}

pub(crate) fn pvalloc(size: usize) -> usize {
    match function(PVALLOC) {
        0 => 0,
        next => call1(next, size),
    }
}

/// Room for what the loader asks for while it looks the functions up; never given back. Each block
/// follows its size.
const EARLY_BYTES: usize = 64 << 10;
const HEAD: usize = 16;

#[repr(align(16))]
struct Early(UnsafeCell<[u8; EARLY_BYTES]>);

// SAFETY: every part is given to one caller.
unsafe impl Sync for Early {}

static EARLY: Early = Early(UnsafeCell::new([0; EARLY_BYTES]));
static EARLY_USED: AtomicUsize = AtomicUsize::new(0);

fn early(size: usize) -> usize {
    if size > EARLY_BYTES {
        return 0;
    }
    let bytes = size.next_multiple_of(HEAD) + HEAD;
    let at = EARLY_USED.fetch_add(bytes, Ordering::Relaxed);
    if at + bytes > EARLY_BYTES {
        return 0;
    }
    let block = EARLY.0.get() as usize + at;
    // SAFETY: inside the room, aligned, and nobody else's.
    unsafe { *(block as *mut usize) = size };
    block + HEAD
}

pub(crate) fn is_early(block: usize) -> bool {
    block.wrapping_sub(EARLY.0.get() as usize) < EARLY_BYTES
}

/// An early block as an ordinary one.
pub(crate) fn moved(old: usize, size: usize) -> usize {
    let block = malloc(size);
    if block != 0 {
        // SAFETY: the size stands before the block; both blocks have at least the smaller one.
        unsafe {
            let bytes = size.min(*((old - HEAD) as *const usize));
            copy_nonoverlapping(old as *const u8, block as *mut u8, bytes);
        }
    }
    block
}
