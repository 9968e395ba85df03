//! The reference workload: a fixed piece of work, timed beside every scenario.
//!
//! A history of absolute times mistakes a busy machine for a slow program. Divided by the time of
//! this piece of work in the same process a minute apart at most, they say what changed in us.
//! It must never change: every stored ratio rests on it.

use std::hint::black_box;
use std::time::Instant;

use lob_metrics::stats::SplitMix64;

/// Words of the buffer: 256 KiB, inside a second-level cache.
const WORDS: usize = 32 * 1024;
/// Passes over the buffer a sample; near a millisecond.
const PASSES: usize = 12;
/// Samples of one burst.
const SAMPLES: usize = 15;

/// Seconds of one burst of samples, after one that warms up.
pub(crate) fn burst() -> Vec<f64> {
    let mut rng = SplitMix64::new(0x10B1_AB00);
    let mut buffer: Vec<u64> = (0..WORDS).map(|_| rng.next_u64()).collect();
    black_box(work(&mut buffer));
    (0..SAMPLES)
        .map(|_| {
            let begun = Instant::now();
            black_box(work(black_box(&mut buffer)));
            begun.elapsed().as_secs_f64()
        })
        .collect()
}

/// Integer mixing, a dependent chain and a floating-point sum: some of everything the pipeline does.
fn work(buffer: &mut [u64]) -> f64 {
    let (mut chain, mut sum) = (1_u64, 0.0_f64);
    for _ in 0..PASSES {
        for word in buffer.iter_mut() {
            *word = (*word ^ (*word >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            chain = chain.rotate_left(7) ^ *word;
            sum += (*word >> 40) as f64;
        }
    }
    sum + (chain >> 40) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_never_changes() {
        let mut rng = SplitMix64::new(0x10B1_AB00);
        let mut buffer: Vec<u64> = (0..WORDS).map(|_| rng.next_u64()).collect();
        assert_eq!(work(&mut buffer).to_bits(), EXPECTED, "stored ratios lose their meaning");
        assert_eq!(burst().len(), SAMPLES);
    }

    /// Bits of the result of the first sample.
    const EXPECTED: u64 = 0x4287_F8D1_F399_D800;
}
