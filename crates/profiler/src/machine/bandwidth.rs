//! Writing and copying memory on one core.

use std::hint::black_box;

use super::best_rate;

/// Fill and copy in bytes per second on buffers of `bytes`. Copying counts the bytes copied once.
pub(super) fn large(bytes: usize, seconds: f64) -> (f64, f64) {
    let mut target = vec![0u8; bytes];
    let fill = best_rate(bytes as f64, seconds, || black_box(&mut target[..]).fill(1));
    let source = vec![1u8; bytes];
    let copy = best_rate(bytes as f64, seconds, || {
        black_box(&mut target[..]).copy_from_slice(black_box(&source));
    });
    (fill, copy)
}

/// Fills and copies per repetition of [`recycled`], so that one takes about a millisecond.
const ROUNDS: usize = 48;

/// Fill and copy in bytes per second on buffers of `values` f32 that are used again and again and
/// so stay in the cache, as a loader's recycled image buffers do.
pub(super) fn recycled(values: usize, seconds: f64) -> (f64, f64) {
    let source = vec![-1.0f32; values];
    let mut target = vec![0.0f32; values];
    let amount = (values * size_of::<f32>() * ROUNDS) as f64;
    // Which of the two is faster depends on the CPU's string instructions; the limit is the better.
    let by_value = best_rate(amount, seconds / 2.0, || {
        for _ in 0..ROUNDS {
            fill_value(black_box(&mut target), black_box(-1.0));
        }
    });
    let by_memset = best_rate(amount, seconds / 2.0, || {
        for _ in 0..ROUNDS {
            black_box(&mut target[..]).fill(0.0);
        }
    });
    let copy = best_rate(amount, seconds, || {
        for _ in 0..ROUNDS {
            black_box(&mut target[..]).copy_from_slice(black_box(&source));
        }
    });
    (by_value.max(by_memset), copy)
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
    fn every_value_is_written() {
        for n in [0, 1, 7, 8, 31, 1000] {
            let mut target = vec![0.0f32; n];
            fill_value(&mut target, 2.5);
            assert!(target.iter().all(|v| v.to_bits() == 2.5f32.to_bits()));
        }
    }
}
