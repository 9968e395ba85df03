//! The kernel, called without the C library.

use core::arch::asm;

#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const READ: usize = 0;
    pub(super) const WRITE: usize = 1;
    pub(super) const CLOSE: usize = 3;
    pub(super) const MMAP: usize = 9;
    pub(super) const MUNMAP: usize = 11;
    pub(super) const SIGPROCMASK: usize = 14;
    pub(super) const PWRITE: usize = 18;
    pub(super) const SCHED_YIELD: usize = 24;
    pub(super) const MADVISE: usize = 28;
    pub(super) const GETPID: usize = 39;
    pub(super) const FTRUNCATE: usize = 77;
    pub(super) const CLOCK_GETTIME: usize = 228;
    pub(super) const EXIT_GROUP: usize = 231;
    pub(super) const OPENAT: usize = 257;
    pub(super) const READLINKAT: usize = 267;
    pub(super) const FALLOCATE: usize = 285;
}
#[cfg(target_arch = "aarch64")]
mod number {
    pub(super) const READ: usize = 63;
    pub(super) const WRITE: usize = 64;
    pub(super) const CLOSE: usize = 57;
    pub(super) const MMAP: usize = 222;
    pub(super) const MUNMAP: usize = 215;
    pub(super) const SIGPROCMASK: usize = 135;
    pub(super) const PWRITE: usize = 68;
    pub(super) const SCHED_YIELD: usize = 124;
    pub(super) const MADVISE: usize = 233;
    pub(super) const GETPID: usize = 172;
    pub(super) const FTRUNCATE: usize = 46;
    pub(super) const CLOCK_GETTIME: usize = 113;
    pub(super) const EXIT_GROUP: usize = 94;
    pub(super) const OPENAT: usize = 56;
    pub(super) const READLINKAT: usize = 78;
    pub(super) const FALLOCATE: usize = 47;
}

pub(crate) const O_RDONLY: usize = 0;
pub(crate) const O_WRONLY: usize = 1;
pub(crate) const O_RDWR: usize = 2;
pub(crate) const O_CREAT: usize = 0o100;
pub(crate) const O_EXCL: usize = 0o200;
pub(crate) const O_APPEND: usize = 0o2000;
const O_CLOEXEC: usize = 0o2_000_000;
const O_NOFOLLOW: usize = if cfg!(target_arch = "x86_64") { 0o400_000 } else { 0o100_000 };
const AT_FDCWD: usize = -100_isize as usize;
const PROT_READ_WRITE: usize = 3;
const MAP_SHARED: usize = 1;
const MAP_PRIVATE_ANONYMOUS: usize = 0x22;
const MADV_DONTFORK: usize = 10;
const MADV_WIPEONFORK: usize = 18;
const EFAULT: isize = 14;
const CLOCK_MONOTONIC_COARSE: usize = 6;

pub(crate) const PAGE: usize = 4096;

/// # Safety
/// The arguments must be what the system call with this number takes.
unsafe fn call(number: usize, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    // SAFETY: the kernel keeps all registers but those named.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
        );
    }
    result
}

/// Fresh zeroed pages.
pub(crate) fn map(bytes: usize) -> Option<*mut u8> {
    mapped([0, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, usize::MAX, 0])
}

/// Fresh pages that a child made by `fork` does not get.
pub(crate) fn map_own(bytes: usize) -> Option<*mut u8> {
    let pages = map(bytes)?;
    // SAFETY: advice on the pages just mapped.
    unsafe { call(number::MADVISE, [pages as usize, bytes, MADV_DONTFORK, 0, 0, 0]) };
    Some(pages)
}

/// The beginning of a file, shared with whoever reads it; not with children.
pub(crate) fn map_file(file: usize, bytes: usize) -> Option<*mut u8> {
    let pages = mapped([0, bytes, PROT_READ_WRITE, MAP_SHARED, file, 0])?;
    // SAFETY: advice on the pages just mapped.
    unsafe { call(number::MADVISE, [pages as usize, bytes, MADV_DONTFORK, 0, 0, 0]) };
    Some(pages)
}

fn mapped(arguments: [usize; 6]) -> Option<*mut u8> {
    // SAFETY: a new mapping at an address the kernel picks.
    let address = unsafe { call(number::MMAP, arguments) };
    (address > 0 || address < -4095).then_some(address as *mut u8)
}

/// Whether the kernel will zero the pages in a child.
pub(crate) fn wipe_on_fork(pages: *mut u8, bytes: usize) -> bool {
    let bytes = bytes.next_multiple_of(PAGE);
    // SAFETY: advice on pages the caller has mapped.
    unsafe { call(number::MADVISE, [pages as usize, bytes, MADV_WIPEONFORK, 0, 0, 0]) == 0 }
}

pub(crate) fn unmap(pages: *mut u8, bytes: usize) {
    // SAFETY: the caller has mapped them and uses them no more.
    unsafe { call(number::MUNMAP, [pages as usize, bytes, 0, 0, 0, 0]) };
}

/// Opens a file by a path that ends with a zero; what is a link is refused.
pub(crate) fn open(path: &[u8], flags: usize) -> Option<usize> {
    let flags = flags | O_CLOEXEC | if flags == O_RDONLY { 0 } else { O_NOFOLLOW };
    let path = path.as_ptr() as usize;
    // SAFETY: the path ends with a zero.
    let file = unsafe { call(number::OPENAT, [AT_FDCWD, path, flags, 0o600, 0, 0]) };
    usize::try_from(file).ok()
}

pub(crate) fn close(file: usize) {
    // SAFETY: a descriptor this library has opened.
    unsafe { call(number::CLOSE, [file, 0, 0, 0, 0, 0]) };
}

/// # Safety
/// `bytes` bytes at `to` can be written to.
pub(crate) unsafe fn read(file: usize, to: *mut u8, bytes: usize) -> usize {
    // SAFETY: as promised by the caller.
    let read = unsafe { call(number::READ, [file, to as usize, bytes, 0, 0, 0]) };
    usize::try_from(read).unwrap_or(0)
}

/// Writes all bytes, as far as it can.
pub(crate) fn write(file: usize, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let (at, length) = (bytes.as_ptr() as usize, bytes.len());
        // SAFETY: the bytes are there.
        let written = unsafe { call(number::WRITE, [file, at, length, 0, 0, 0]) };
        match usize::try_from(written) {
            Ok(n) if n > 0 => bytes = bytes.get(n..).unwrap_or_default(),
            _ => return,
        }
    }
}

/// Writes memory at an address to a place of a file; stops where there is none to read.
pub(crate) fn write_memory(file: usize, address: usize, bytes: usize, offset: usize) {
    // SAFETY: the kernel reads the memory, and fails where there is none.
    unsafe { call(number::PWRITE, [file, address, bytes, offset, 0, 0]) };
}

pub(crate) fn set_length(file: usize, bytes: usize) -> bool {
    // SAFETY: no memory is touched.
    unsafe { call(number::FTRUNCATE, [file, bytes, 0, 0, 0, 0]) == 0 }
}

/// Makes room for part of a file, so that a full disk is an error here and no signal later.
pub(crate) fn make_room(file: usize, offset: usize, bytes: usize) -> bool {
    // SAFETY: no memory is touched.
    if unsafe { call(number::FALLOCATE, [file, 0, offset, bytes, 0, 0]) } == 0 {
        return true;
    }
    // Some file systems have no such call: zeros written are as good.
    let zeros = [0_u8; 1024];
    (offset..offset + bytes).step_by(zeros.len()).all(|at| {
        let from = zeros.as_ptr() as usize;
        // SAFETY: the bytes are there.
        let written = unsafe { call(number::PWRITE, [file, from, zeros.len(), at, 0, 0]) };
        written == zeros.len() as isize
    })
}

/// The path of the program; returns its length.
pub(crate) fn program(to: &mut [u8]) -> usize {
    let path = b"/proc/self/exe\0".as_ptr() as usize;
    let (at, length) = (to.as_mut_ptr() as usize, to.len());
    // SAFETY: the path ends with a zero; no more than the length is written.
    let written = unsafe { call(number::READLINKAT, [AT_FDCWD, path, at, length, 0, 0]) };
    usize::try_from(written).unwrap_or(0)
}

pub(crate) fn process() -> usize {
    // SAFETY: no memory is touched.
    unsafe { call(number::GETPID, [0; 6]) as usize }
}

/// Milliseconds of a clock that goes on.
pub(crate) fn clock_ms() -> u64 {
    let mut time = [0_u64; 2];
    let to = time.as_mut_ptr() as usize;
    // SAFETY: the call writes two words.
    unsafe { call(number::CLOCK_GETTIME, [CLOCK_MONOTONIC_COARSE, to, 0, 0, 0, 0]) };
    time[0] * 1000 + time[1] / 1_000_000
}

pub(crate) fn give_way() {
    // SAFETY: no memory is touched.
    unsafe { call(number::SCHED_YIELD, [0; 6]) };
}

/// Whether a word can be read there. The call fails for lack of such an operation, but only after
/// it has read the word.
pub(crate) fn is_readable(address: usize) -> bool {
    // SAFETY: the kernel reads the word, and fails where there is none; nothing is changed.
    unsafe { call(number::SIGPROCMASK, [usize::MAX, address, 0, 8, 0, 0]) != -EFAULT }
}

pub(crate) fn abort() -> ! {
    loop {
        // SAFETY: ends the process.
        unsafe { call(number::EXIT_GROUP, [134, 0, 0, 0, 0, 0]) };
    }
}
