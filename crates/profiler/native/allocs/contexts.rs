//! Contexts: where blocks are allocated, told apart by the code addresses on the top of the stack.
//!
//! Unwinding at every call would cost more than the program. The words of the stack that are
//! addresses of code are nearly the return addresses; some are left over from earlier calls, which
//! splits a context in two and does no harm: whoever reads the files unwinds and adds up.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::files::{Files, MAX_CONTEXTS};
use super::thread::StackPages;
use super::{Caller, kernel, near, table};

/// Words of the stack looked at.
const WORDS: usize = 256;
/// Addresses of code after which no more are looked for.
const ADDRESSES: usize = 16;
/// Places of the hash table: a quarter is used at most.
const SLOTS: usize = 4 * MAX_CONTEXTS;
/// Places tried.
const PROBES: usize = 64;
/// Ranges of code kept; more are merged into the last.
const RANGES: usize = 1024;
/// Between two looks at what is mapped.
const LOOK_MS: u64 = 100;
const MAPS_BYTES: usize = 1 << 20;

#[repr(C)]
struct Slot {
    key: AtomicU64,
    context: AtomicU32,
}

#[repr(C)]
pub(crate) struct Contexts {
    lock: AtomicU32,
    slots: UnsafeCell<*const Slot>,
    /// Sorted ranges of code, and the two stretches all of them lie in.
    ranges: [[AtomicUsize; 2]; RANGES],
    n_ranges: AtomicUsize,
    boxes: [[AtomicUsize; 2]; 2],
    /// Not 0 where the CPU compares four words at a time.
    is_wide: AtomicU32,
    looked_ms: AtomicU64,
    /// A sum over the ranges of code that were written down last.
    written: AtomicU64,
}

impl Contexts {
    pub(crate) fn open(&self, files: &Files) -> bool {
        let Some(slots) = kernel::map_own(SLOTS * size_of::<Slot>()) else { return false };
        // SAFETY: only one thread opens, and nobody reads before it is done.
        unsafe { *self.slots.get() = slots.cast::<Slot>() };
        self.is_wide.store(u32::from(near::is_wide()), Ordering::Relaxed);
        self.look(files);
        true
    }

    /// The context of a call.
    pub(crate) fn of(&self, files: &Files, caller: Caller, pages: &mut StackPages) -> u32 {
        let key = self.key(caller, pages);
        self.find(key).unwrap_or_else(|| self.add(files, key, caller))
    }

    fn key(&self, caller: Caller, pages: &mut StackPages) -> u64 {
        let mut key = mix(0, caller.ra);
        let until = pages.readable_until(caller.sp).min(caller.sp + 8 * WORDS);
        let boxes = self.boxes.each_ref().map(|ends| ends.each_ref().map(|end| end.load(Ordering::Relaxed)));
        let is_wide = self.is_wide.load(Ordering::Relaxed) != 0;
        let mut left = ADDRESSES;
        let mut at = caller.sp & !7;
        while at < until {
            let words = ((until - at) / 8).min(near::CHUNK);
            // SAFETY: memory can be read up to `until`.
            let mut near = unsafe { near::near(at as *const usize, words, &boxes, is_wide) };
            while near != 0 {
                // SAFETY: as above.
                let word = unsafe { *(at as *const usize).add(near.trailing_zeros() as usize) };
                near &= near - 1;
                if self.is_code(word) {
                    key = mix(key, word);
                    left -= 1;
                    if left == 0 {
                        return key | 1;
                    }
                }
            }
            at += 8 * near::CHUNK;
        }
        // 0 is an empty place.
        key | 1
    }

    fn is_code(&self, address: usize) -> bool {
        let (mut from, mut to) = (0, self.n_ranges.load(Ordering::Acquire).min(RANGES));
        while from < to {
            let middle = usize::midpoint(from, to);
            let Some([start, end]) = self.ranges.get(middle) else { return false };
            if address < start.load(Ordering::Relaxed) {
                to = middle;
            } else if address >= end.load(Ordering::Relaxed) {
                from = middle + 1;
            } else {
                return true;
            }
        }
        false
    }

    fn slot(&self, key: u64, probe: usize) -> &Slot {
        let at = ((key >> 32) as usize + probe) % SLOTS;
        // SAFETY: inside the table, which was made by `open`.
        unsafe { &*(*self.slots.get()).add(at) }
    }

    fn find(&self, key: u64) -> Option<u32> {
        for probe in 0..PROBES {
            let slot = self.slot(key, probe);
            match slot.key.load(Ordering::Acquire) {
                0 => return None,
                found if found == key => return Some(slot.context.load(Ordering::Relaxed)),
                _ => {}
            }
        }
        Some(0)
    }

    #[cold]
    fn add(&self, files: &Files, key: u64, caller: Caller) -> u32 {
        table::lock(&self.lock);
        let context = self.find(key).unwrap_or_else(|| {
            if kernel::clock_ms() - self.looked_ms.load(Ordering::Relaxed) >= LOOK_MS {
                self.look(files);
            }
            // Inside the call, so that its line is meant and not the next one.
            let ip = caller.ra.wrapping_sub(1);
            let context = files.new_context([ip, caller.sp, caller.fp, caller.ra]);
            let free = (0..PROBES).map(|probe| self.slot(key, probe));
            if let Some(slot) = free.into_iter().find(|slot| slot.key.load(Ordering::Relaxed) == 0)
            {
                slot.context.store(context, Ordering::Relaxed);
                slot.key.store(key, Ordering::Release);
            }
            context
        });
        table::unlock(&self.lock);
        context
    }

    /// Looks at what is mapped.
    fn look(&self, files: &Files) {
        self.looked_ms.store(kernel::clock_ms(), Ordering::Relaxed);
        let own = files.own();
        let (mut n, mut sum) = (0, 1);
        each_mapping(|range, is_code, _, text| {
            if !text.is_empty() && self.written.swap(sum, Ordering::Relaxed) != sum {
                files.write_maps(text);
            }
            if is_code {
                sum = mix(mix(sum, range[0]), range[1]);
            }
            if is_code && range != own && range[0] < range[1] && n < RANGES {
                self.ranges[n][0].store(range[0], Ordering::Relaxed);
                self.ranges[n][1].store(range[1], Ordering::Relaxed);
                n += 1;
            }
        });
        self.n_ranges.store(n, Ordering::Release);
        // The widest gap parts the program from its libraries.
        let start = |n: usize| self.ranges[n][0].load(Ordering::Relaxed);
        let end = |n: usize| self.ranges[n][1].load(Ordering::Relaxed);
        if n > 0 {
            let gap = |n: &usize| start(*n) - end(*n - 1);
            let parted = (1..n).max_by_key(gap).unwrap_or(n);
            let boxes = [[start(0), end(parted - 1)], [start(parted.min(n - 1)), end(n - 1)]];
            for (to, from) in self.boxes.iter().zip(boxes) {
                to[0].store(from[0], Ordering::Relaxed);
                to[1].store(from[1], Ordering::Relaxed);
            }
        }
    }
}

fn mix(key: u64, word: usize) -> u64 {
    (key ^ word as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

/// Reads `/proc/self/maps`: range, whether it is code, path; and once, at its end, the whole text.
pub(crate) fn each_mapping(mut each: impl FnMut([usize; 2], bool, &[u8], &[u8])) {
    let Some(file) = kernel::open(b"/proc/self/maps\0", kernel::O_RDONLY) else { return };
    if let Some(buffer) = kernel::map(MAPS_BYTES) {
        let mut bytes = 0;
        loop {
            // SAFETY: the rest of the buffer.
            let read = unsafe { kernel::read(file, buffer.add(bytes), MAPS_BYTES - bytes) };
            bytes += read;
            if read == 0 || bytes == MAPS_BYTES {
                break;
            }
        }
        // SAFETY: so many bytes were read.
        let text = unsafe { core::slice::from_raw_parts(buffer, bytes) };
        for line in text.split(|byte| *byte == b'\n') {
            if let Some((range, is_code, path)) = mapping(line) {
                each(range, is_code, path, &[]);
            }
        }
        each([0; 2], false, &[], text);
        kernel::unmap(buffer, MAPS_BYTES);
    }
    kernel::close(file);
}

/// `START-END RIGHTS OFFSET DEVICE INODE PATH`.
fn mapping(line: &[u8]) -> Option<([usize; 2], bool, &[u8])> {
    let (start, rest) = hexadecimal(line)?;
    let (end, rest) = hexadecimal(rest.strip_prefix(b"-")?)?;
    // What the kernel maps (`[vdso]`, `[vsyscall]`) calls no allocator, and lies by the stack.
    let is_code = rest.get(3) == Some(&b'x') && rest.last() != Some(&b']');
    let path = rest.iter().position(|byte| *byte == b'/').and_then(|at| rest.get(at..));
    Some(([start, end], is_code, path.unwrap_or_default()))
}

fn hexadecimal(text: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_usize;
    let mut digits = 0;
    for byte in text {
        let Some(digit) = (*byte as char).to_digit(16) else { break };
        value = value << 4 | digit as usize;
        digits += 1;
    }
    (digits > 0).then_some((value, text.get(digits..)?))
}
