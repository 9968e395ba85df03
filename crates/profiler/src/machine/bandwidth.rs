//! Writing and copying memory on one core.

use std::hint::black_box;
use std::ops::Range;

/// Bytes of one repetition of [`Large`]: milliseconds of work, so that some repetitions fit
/// between the turns of other programs.
const STRETCH_BYTES: usize = 32 << 20;

/// Two buffers larger than the last-level cache, walked through stretch by stretch: by the time a
/// stretch comes round again the others have pushed it out of the cache.
pub(super) struct Large {
    source: Vec<u8>,
    target: Vec<u8>,
    next: usize,
}

impl Large {
    pub(super) fn new(bytes: usize) -> Self {
        let stretches = (bytes / STRETCH_BYTES).max(1);
        let bytes = bytes.min(stretches * STRETCH_BYTES);
        // Not 0: such a buffer has no pages before each is written to, and the first pass would time
        // the kernel giving them.
        Self { source: vec![1; bytes], target: vec![2; bytes], next: 0 }
    }

    /// Bytes a repetition writes or copies; copied bytes count once.
    pub(super) fn bytes(&self) -> f64 {
        STRETCH_BYTES.min(self.target.len()) as f64
    }

    /// Repetitions that cover the buffers once.
    pub(super) fn parts(&self) -> usize {
        (self.target.len() / STRETCH_BYTES).max(1)
    }

    pub(super) fn fill(&mut self) {
        let stretch = self.stretch();
        black_box(&mut self.target[stretch]).fill(1);
    }

    pub(super) fn copy(&mut self) {
        let stretch = self.stretch();
        let source = black_box(&self.source[stretch.clone()]);
        black_box(&mut self.target[stretch]).copy_from_slice(source);
    }

    fn stretch(&mut self) -> Range<usize> {
        let from = self.next;
        let to = from + STRETCH_BYTES.min(self.target.len());
        self.next = if to < self.target.len() { to } else { 0 };
        from..to
    }
}

/// Fills or copies per repetition of [`Recycled`], so that one takes about a millisecond.
const ROUNDS: usize = 48;

/// Targets that take turns. Where a buffer's pages lie decides how well it fits the cache, and a
/// single one may be unlucky for the whole run.
const TARGETS: usize = 16;

/// Buffers that are used again and again and so stay in the cache, as a loader's recycled image
/// buffers do.
pub(super) struct Recycled {
    source: Vec<f32>,
    targets: [Vec<f32>; TARGETS],
    next: usize,
}

impl Recycled {
    pub(super) fn new(values: usize) -> Self {
        Self {
            source: vec![-1.0; values],
            targets: std::array::from_fn(|_| vec![0.0; values]),
            next: 0,
        }
    }

    /// Bytes of one repetition.
    pub(super) fn bytes(&self) -> f64 {
        (self.source.len() * size_of::<f32>() * ROUNDS) as f64
    }

    /// Repetitions that take every target once.
    pub(super) fn parts(&self) -> usize {
        TARGETS
    }

    pub(super) fn fill_value(&mut self) {
        let target = self.target();
        for _ in 0..ROUNDS {
            fill_value(black_box(target), black_box(-1.0));
        }
    }

    pub(super) fn fill_zero(&mut self) {
        let target = self.target();
        for _ in 0..ROUNDS {
            black_box(&mut target[..]).fill(0.0);
        }
    }

    pub(super) fn copy(&mut self) {
        self.next = (self.next + 1) % TARGETS;
        let target = &mut self.targets[self.next];
        for _ in 0..ROUNDS {
            black_box(&mut target[..]).copy_from_slice(black_box(&self.source));
        }
    }

    fn target(&mut self) -> &mut [f32] {
        self.next = (self.next + 1) % TARGETS;
        &mut self.targets[self.next]
    }
}

/// Writes one value with the widest stores the CPU has.
fn fill_value(target: &mut [f32], value: f32) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the line above has found AVX-512F on this CPU.
            return unsafe { fill_avx512(target, value) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the line above has found AVX2 on this CPU.
            return unsafe { fill_avx2(target, value) };
        }
    }
    target.fill(value);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn fill_avx512(target: &mut [f32], value: f32) {
    target.fill(value);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn fill_avx2(target: &mut [f32], value: f32) {
    target.fill(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_cover_the_buffers_in_turn() {
        let mut large = Large::new(2 * STRETCH_BYTES + 5);
        assert_eq!(large.target.len(), 2 * STRETCH_BYTES);
        let turns: Vec<usize> = (0..3).map(|_| large.stretch().start).collect();
        assert_eq!(turns, [0, STRETCH_BYTES, 0]);
        let mut small = Large::new(100);
        small.fill();
        small.copy();
        assert_eq!((small.stretch(), small.target.iter().sum::<u8>()), (0..100, 100));
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
        let mut large = Large::new(4 * STRETCH_BYTES);
        let before = first_writes();
        for _ in 0..large.parts() {
            large.fill();
            large.copy();
        }
        // Untouched buffers of this size have 32,768 pages, or 64 huge ones.
        let found = first_writes() - before;
        assert!(found < 16, "{found}");
    }

    #[test]
    fn every_value_is_written() {
        for n in [0, 1, 7, 8, 31, 1000] {
            let mut target = vec![0.0f32; n];
            fill_value(&mut target, 2.5);
            assert!(target.iter().all(|v| v.to_bits() == 2.5f32.to_bits()));
        }
    }
}
