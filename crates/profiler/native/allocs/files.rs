//! The files of a process, which whoever profiles it reads: `PID-N`, `PID-N.stacks`, `PID-N.maps`,
//! in the folder this library lies in.
//!
//! The first begins with a page: magic number, version, process number, number of contexts, length
//! of the program's path, the path from byte 64 on. Then come 64 bytes of each context: bytes and
//! blocks that live, bytes and blocks ever allocated, instruction pointer, stack pointer, frame
//! pointer, return address. All numbers have 64 bits. Context 0 is for those that found no room.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};

use super::kernel::{self, PAGE};
use super::table::Known;

const MAGIC: u64 = u64::from_ne_bytes(*b"lobheap1");
const VERSION: u64 = 1;
/// Contexts of a process.
pub(crate) const MAX_CONTEXTS: usize = 8192;
/// Contexts room is made for at a time.
const STEP: usize = 256;
const RECORD: usize = 64;
/// Bytes of stack kept of a context.
pub(crate) const STACK_BYTES: usize = 4096;
const MAX_PATH: usize = 512;
const BYTES: usize = PAGE + MAX_CONTEXTS * RECORD;

const WORD_CONTEXTS: usize = 3;

#[repr(C)]
pub(crate) struct Files {
    inner: UnsafeCell<Inner>,
}

#[repr(C)]
struct Inner {
    base: *mut u8,
    /// Where this library lies: its code is none of the program's.
    own: [usize; 2],
    /// Path without an ending.
    path: [u8; MAX_PATH],
    path_bytes: usize,
    /// Contexts there is room for.
    room: usize,
}

impl Files {
    fn inner(&self) -> &Inner {
        // SAFETY: written by `open`, before anybody else sees it; later only by `make_room` under
        // the lock of the contexts.
        unsafe { &*self.inner.get() }
    }

    /// Makes the files; false where that cannot be.
    pub(crate) fn open(&self) -> bool {
        // SAFETY: only one thread opens, and nobody reads before it is done.
        let inner = unsafe { &mut *self.inner.get() };
        if !inner.find_own() {
            return false;
        }
        let folder = inner.path_bytes;
        let pid = kernel::process();
        for n in 0..10_000 {
            inner.path_bytes = folder;
            inner.push_number(pid);
            inner.push(b"-");
            inner.push_number(n);
            let flags = kernel::O_RDWR | kernel::O_CREAT | kernel::O_EXCL;
            let Some(file) = kernel::open(inner.zero_ended(), flags) else { continue };
            let is_open = kernel::set_length(file, BYTES)
                && kernel::make_room(file, 0, PAGE + STEP * RECORD)
                && inner.map(file);
            kernel::close(file);
            if is_open {
                inner.room = STEP;
                inner.begin(pid);
            }
            return is_open;
        }
        false
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: the caller stays inside the mapping; the words are aligned.
        unsafe { &*self.inner().base.add(8 * at).cast::<AtomicU64>() }
    }

    /// Word `n` of a context.
    fn of(&self, context: u32, n: usize) -> &AtomicU64 {
        self.word((PAGE + (context as usize % MAX_CONTEXTS) * RECORD) / 8 + n)
    }

    pub(crate) fn add(&self, context: u32, size: usize) {
        self.of(context, 0).fetch_add(size as u64, Ordering::Relaxed);
        self.of(context, 1).fetch_add(1, Ordering::Relaxed);
        self.of(context, 2).fetch_add(size as u64, Ordering::Relaxed);
        self.of(context, 3).fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, known: Known) {
        self.of(known.context, 0).fetch_sub(known.size as u64, Ordering::Relaxed);
        self.of(known.context, 1).fetch_sub(1, Ordering::Relaxed);
    }

    /// A number for a new context with its registers and stack; 0 where there is no room. Under the
    /// lock of the contexts.
    pub(crate) fn new_context(&self, registers: [usize; 4]) -> u32 {
        let n = self.word(WORD_CONTEXTS).load(Ordering::Relaxed) as usize;
        if n >= MAX_CONTEXTS || (n >= self.inner().room && !self.make_room()) {
            return 0;
        }
        for (at, value) in registers.into_iter().enumerate() {
            self.of(n as u32, 4 + at).store(value as u64, Ordering::Relaxed);
        }
        if let Some(file) = self.open_beside(b".stacks", kernel::O_WRONLY | kernel::O_CREAT) {
            kernel::write_memory(file, registers[1], STACK_BYTES, n * STACK_BYTES);
            kernel::close(file);
        }
        self.word(WORD_CONTEXTS).store(n as u64 + 1, Ordering::Release);
        n as u32
    }

    fn make_room(&self) -> bool {
        // SAFETY: the lock is held; nobody else reads `room`.
        let inner = unsafe { &mut *self.inner.get() };
        let Some(file) = kernel::open(inner.zero_ended(), kernel::O_RDWR) else { return false };
        let is_there = kernel::make_room(file, PAGE + inner.room * RECORD, STEP * RECORD);
        kernel::close(file);
        inner.room += if is_there { STEP } else { 0 };
        is_there
    }

    fn open_beside(&self, ending: &[u8], flags: usize) -> Option<usize> {
        let inner = self.inner();
        let mut path = [0; MAX_PATH + 16];
        let name = inner.path.get(..inner.path_bytes)?;
        for (to, from) in path.iter_mut().zip(name.iter().chain(ending)) {
            *to = *from;
        }
        kernel::open(&path, flags)
    }

    /// Appends what is mapped where.
    pub(crate) fn write_maps(&self, text: &[u8]) {
        let flags = kernel::O_WRONLY | kernel::O_CREAT | kernel::O_APPEND;
        if let Some(file) = self.open_beside(b".maps", flags) {
            kernel::write(file, text);
            kernel::close(file);
        }
    }

    pub(crate) fn own(&self) -> [usize; 2] {
        self.inner().own
    }
}

impl Inner {
    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // One stays for the zero.
            if let Some(to) = self.path.get_mut(self.path_bytes).filter(|_| self.path_bytes + 1 < MAX_PATH) {
                *to = *byte;
                self.path_bytes += 1;
            }
        }
    }

    fn push_number(&mut self, mut number: usize) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.push(digits.get(at..).unwrap_or_default());
    }

    fn zero_ended(&mut self) -> &[u8] {
        if let Some(end) = self.path.get_mut(self.path_bytes) {
            *end = 0;
        }
        &self.path
    }

    fn map(&mut self, file: usize) -> bool {
        let base = kernel::map_file(file, BYTES);
        self.base = base.unwrap_or(core::ptr::null_mut());
        base.is_some()
    }

    fn begin(&self, pid: usize) {
        // SAFETY: the first page is mapped, and nobody else writes to it yet.
        unsafe {
            let words = self.base.cast::<u64>();
            let path = core::slice::from_raw_parts_mut(self.base.add(64), PAGE - 64);
            *words.add(4) = kernel::program(path) as u64;
            *words.add(1) = VERSION;
            *words.add(2) = pid as u64;
            *words.add(WORD_CONTEXTS) = 1;
            // Last: from here on it is whole.
            (*words.cast::<AtomicU64>()).store(MAGIC, Ordering::Release);
        }
    }

    /// The folder of this library, from what is mapped at this function.
    fn find_own(&mut self) -> bool {
        let here = Self::find_own as *const () as usize;
        self.path_bytes = 0;
        self.own = [0; 2];
        super::contexts::each_mapping(|range, _, path, _| {
            if range[0] <= here && here < range[1] && self.path_bytes == 0 {
                self.own = range;
                let folder = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
                self.push(path.get(..folder).unwrap_or_default());
            }
        });
        self.path_bytes > 0 && self.path_bytes + 64 < MAX_PATH
    }
}
