//! Writing and copying memory, in every way the CPU has.

use std::hint::black_box;

/// A way to write or to copy memory. Which one is the fastest depends on the CPU and on where the
/// memory lies, so that a limit is what the best of them reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// What the C library does.
    Library,
    /// 256-bit stores.
    Avx2,
    /// 512-bit stores.
    Avx512,
    /// 256-bit stores past the caches.
    Stream,
    /// 512-bit stores past the caches.
    Stream512,
    /// The CPU's string instructions (`rep stosb`, `rep movsb`).
    String,
}

impl Method {
    /// What it does, in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Library => "memset, memcpy",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
            Self::Stream => "AVX2, non-temporal",
            Self::Stream512 => "AVX-512, non-temporal",
            Self::String => "rep stosb, movsb",
        }
    }

    /// Those this CPU has.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::Library];
        #[cfg(target_arch = "x86_64")]
        {
            all.push(Self::String);
            if is_x86_feature_detected!("avx2") {
                all.extend([Self::Avx2, Self::Stream]);
            }
            if is_x86_feature_detected!("avx512f") {
                all.extend([Self::Avx512, Self::Stream512]);
            }
        }
        all
    }

    /// Writes `value` to every byte. Only for a method that [`Self::all`] lists.
    pub(super) fn fill_unchecked(self, target: &mut [u8], value: u8) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `all` lists a method only where the CPU has its instructions.
        unsafe {
            match self {
                Self::Library => target.fill(value),
                Self::Avx2 => x86::fill_avx2::<false>(target, value),
                Self::Stream => x86::fill_avx2::<true>(target, value),
                Self::Avx512 => x86::fill_avx512::<false>(target, value),
                Self::Stream512 => x86::fill_avx512::<true>(target, value),
                Self::String => x86::fill_string(target, value),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        target.fill(value);
    }

    /// Writes `value` to every byte, by what the CPU has where that is not this method.
    pub fn fill(self, target: &mut [u8], value: u8) {
        if Self::all().contains(&self) {
            self.fill_unchecked(target, value);
        } else {
            target.fill(value);
        }
    }

    /// Copies `source` to `target`, which must be as long.
    pub(super) fn copy(self, source: &[u8], target: &mut [u8]) {
        assert_eq!(source.len(), target.len(), "a copy has the length of its source");
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `all` lists a method only where the CPU has its instructions, and the lengths are
        // equal.
        unsafe {
            match self {
                Self::Library => target.copy_from_slice(source),
                Self::Avx2 => x86::copy_avx2::<false>(source, target),
                Self::Stream => x86::copy_avx2::<true>(source, target),
                Self::Avx512 => x86::copy_avx512::<false>(source, target),
                Self::Stream512 => x86::copy_avx512::<true>(source, target),
                Self::String => x86::copy_string(source, target),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        target.copy_from_slice(source);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::asm;
    use core::arch::x86_64::*;

    /// Bytes of a turn of each loop.
    const STEP: usize = 256;

    /// The part of a buffer that consists of whole steps at addresses a vector store past the
    /// caches may have.
    fn aligned(target: &mut [u8]) -> (usize, usize) {
        let head = target.as_ptr().align_offset(64).min(target.len());
        (head, head + (target.len() - head) / STEP * STEP)
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn fill_avx2<const PAST: bool>(target: &mut [u8], value: u8) {
        let (from, to) = aligned(target);
        let v = _mm256_set1_epi8(value.cast_signed());
        let start = target.as_mut_ptr();
        for at in (from..to).step_by(STEP) {
            for k in 0..STEP / 32 {
                // SAFETY: `at + STEP` is within the buffer, and `from` is at a multiple of 64.
                unsafe {
                    let to = start.add(at + 32 * k).cast();
                    if PAST { _mm256_stream_si256(to, v) } else { _mm256_store_si256(to, v) }
                }
            }
        }
        _mm_sfence();
        target[..from].fill(value);
        target[to..].fill(value);
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn fill_avx512<const PAST: bool>(target: &mut [u8], value: u8) {
        let (from, to) = aligned(target);
        let v = _mm512_set1_epi32(i32::from_ne_bytes([value; 4]));
        let start = target.as_mut_ptr();
        for at in (from..to).step_by(STEP) {
            for k in 0..STEP / 64 {
                // SAFETY: as in `fill_avx2`.
                unsafe {
                    let to = start.add(at + 64 * k);
                    if PAST {
                        _mm512_stream_si512(to.cast(), v)
                    } else {
                        _mm512_store_si512(to.cast(), v)
                    }
                }
            }
        }
        _mm_sfence();
        target[..from].fill(value);
        target[to..].fill(value);
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn copy_avx2<const PAST: bool>(source: &[u8], target: &mut [u8]) {
        let (from, to) = aligned(target);
        let (read, written) = (source.as_ptr(), target.as_mut_ptr());
        for at in (from..to).step_by(STEP) {
            for k in 0..STEP / 32 {
                // SAFETY: both buffers hold `at + STEP` bytes, and `from` is at a multiple of 64 of
                // the target.
                unsafe {
                    let v = _mm256_loadu_si256(read.add(at + 32 * k).cast());
                    let to = written.add(at + 32 * k).cast();
                    if PAST { _mm256_stream_si256(to, v) } else { _mm256_store_si256(to, v) }
                }
            }
        }
        _mm_sfence();
        target[..from].copy_from_slice(&source[..from]);
        target[to..].copy_from_slice(&source[to..]);
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn copy_avx512<const PAST: bool>(source: &[u8], target: &mut [u8]) {
        let (from, to) = aligned(target);
        let (read, written) = (source.as_ptr(), target.as_mut_ptr());
        for at in (from..to).step_by(STEP) {
            for k in 0..STEP / 64 {
                // SAFETY: as in `copy_avx2`.
                unsafe {
                    let v = _mm512_loadu_si512(read.add(at + 64 * k).cast());
                    let to = written.add(at + 64 * k);
                    if PAST {
                        _mm512_stream_si512(to.cast(), v)
                    } else {
                        _mm512_store_si512(to.cast(), v)
                    }
                }
            }
        }
        _mm_sfence();
        target[..from].copy_from_slice(&source[..from]);
        target[to..].copy_from_slice(&source[to..]);
    }

    pub(super) fn fill_string(target: &mut [u8], value: u8) {
        // SAFETY: the instruction writes `rcx` bytes from `rdi` on, which is the whole buffer.
        unsafe {
            asm!("rep stosb", inout("rcx") target.len() => _, inout("rdi") target.as_mut_ptr() => _,
                in("al") value, options(nostack, preserves_flags));
        }
    }

    pub(super) fn copy_string(source: &[u8], target: &mut [u8]) {
        // SAFETY: the instruction copies `rcx` bytes from `rsi` to `rdi`; the lengths are equal.
        unsafe {
            asm!("rep movsb", inout("rcx") target.len() => _, inout("rsi") source.as_ptr() => _,
                inout("rdi") target.as_mut_ptr() => _, options(nostack, preserves_flags));
        }
    }
}

/// Bytes of a [`Stretch`]: milliseconds of work, so that some repetitions fit between the turns of
/// other programs.
const STRETCH_BYTES: usize = 32 << 20;

/// What the memory probes do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    Fill,
    Copy,
}

/// A source and a target. A repetition walks over them `rounds` times.
pub(super) struct Stretch {
    source: Vec<u8>,
    target: Vec<u8>,
    rounds: usize,
}

impl Stretch {
    fn new(bytes: usize, rounds: usize) -> Self {
        // Not 0: such a buffer has no pages before each is written to, and the first pass would time
        // the kernel giving them.
        Self { source: vec![1; bytes], target: vec![2; bytes], rounds }
    }

    /// Stretches that are larger together than the last-level cache: by the time one comes round
    /// again the others have pushed it out.
    pub(super) fn large(bytes: usize, threads: usize) -> Vec<Self> {
        let size = STRETCH_BYTES.min(bytes);
        let count = (bytes / size).max(threads);
        std::iter::repeat_with(|| Self::new(size, 1)).take(count).collect()
    }

    /// Buffers of one depth image that are used again and again and so stay in the cache, as a
    /// loader's recycled buffers do. Several for each thread: where a buffer's pages lie decides how
    /// well it fits the cache, and a single one may be unlucky for the whole run.
    pub(super) fn recycled(bytes: usize, threads: usize) -> Vec<Self> {
        let each = if threads > 4 { 4 } else { 16 / threads.max(1) };
        std::iter::repeat_with(|| Self::new(bytes, 48)).take(each * threads).collect()
    }

    /// Bytes a repetition writes; copied bytes count once.
    pub(super) fn bytes(&self) -> f64 {
        (self.target.len() * self.rounds) as f64
    }

    pub(super) fn run(&mut self, act: Act, method: Method) {
        for _ in 0..self.rounds {
            match act {
                Act::Fill => method.fill_unchecked(black_box(&mut self.target), 1),
                Act::Copy => method.copy(black_box(&self.source), black_box(&mut self.target)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_writes_every_byte_and_no_other() {
        for method in Method::all() {
            for bytes in [0, 1, 63, 64, 255, 256, 257, 1000, 4096 + 77] {
                for offset in [0, 1, 31, 64] {
                    let mut room = vec![9u8; offset + bytes + 70];
                    method.fill_unchecked(&mut room[offset..offset + bytes], 3);
                    let (before, rest) = room.split_at(offset);
                    let (inside, after) = rest.split_at(bytes);
                    let name = method.name();
                    assert!(inside.iter().all(|b| *b == 3), "{name} {bytes} at {offset}");
                    assert!(before.iter().chain(after).all(|b| *b == 9), "{name} {bytes}");
                    let source: Vec<u8> = (0..=250u8).cycle().take(bytes).collect();
                    method.copy(&source, &mut room[offset..offset + bytes]);
                    assert_eq!(room[offset..offset + bytes], source, "{name} {bytes} at {offset}");
                    assert!(room[offset + bytes..].iter().all(|b| *b == 9), "{name} {bytes}");
                }
            }
        }
    }

    #[test]
    fn every_thread_has_a_stretch() {
        assert_eq!(Stretch::large(3 * STRETCH_BYTES + 5, 2).len(), 3);
        assert_eq!(Stretch::large(100, 4).len(), 4);
        assert_eq!((Stretch::recycled(10, 1).len(), Stretch::recycled(10, 2).len()), (16, 16));
        assert_eq!(Stretch::recycled(10, 64).len(), 256);
    }

    /// Pages that the kernel has given this thread when it first wrote to them.
    fn first_writes() -> i64 {
        // SAFETY: every bit pattern is a valid value of the structure, and the call fills it.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the structure is there and may be written to.
        assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) }, 0);
        usage.ru_minflt
    }

    #[test]
    fn no_page_is_first_written_to_while_the_time_is_taken() {
        let mut large = Stretch::large(2 * STRETCH_BYTES, 1);
        let before = first_writes();
        for stretch in &mut large {
            stretch.run(Act::Fill, Method::Library);
            stretch.run(Act::Copy, Method::Library);
        }
        // Untouched buffers of this size have 32,768 pages, or 64 huge ones.
        let found = first_writes() - before;
        assert!(found < 16, "{found}");
    }
}
