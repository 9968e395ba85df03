use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};

/// A small seeded generator: xoshiro256++ (Blackman and Vigna, 2019), seeded by SplitMix64.
///
/// Every random draw of this crate comes from here, never from the tensor backend, so the same
/// seed gives the same numbers whatever else runs in the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rng(Xoshiro256PlusPlus);

impl Rng {
    /// A generator for `seed`; every seed is valid.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// A generator for one purpose, independent of how much another purpose has drawn.
    #[must_use]
    pub fn stream(seed: u64, stream: u64) -> Self {
        Self::new(Self::new(seed).next_u64() ^ stream.wrapping_mul(0xd134_2543_de82_ef95))
    }

    /// A generator for one part of one step, so that a run can be resumed at any step without
    /// knowing how much the steps before it drew.
    #[must_use]
    pub fn at(seed: u64, stream: u64, step: usize, part: usize) -> Self {
        let step = (step as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let part = (part as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
        Self::new(Self::stream(seed, stream).next_u64() ^ step.rotate_left(17) ^ part)
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `[0, 1)`, with 24 random bits.
    #[expect(clippy::cast_precision_loss, reason = "24 bits fit an f32 exactly")]
    pub fn unit_f32(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform in `0..n` by the multiply-shift of Lemire (2019); `n = 0` gives 0.
    #[expect(clippy::cast_possible_truncation, reason = "the high half is below `n`")]
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    /// Standard normal by Box and Muller (1958).
    pub fn normal_f32(&mut self) -> f32 {
        let u = 1.0 - self.unit_f32();
        let angle = std::f32::consts::TAU * self.unit_f32();
        (-2.0 * u.ln()).sqrt() * angle.cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checkpoints and every figure of a seed hang on them.
    #[test]
    fn first_draws_never_change() {
        let mut rng = Rng::new(1);
        assert_eq!(
            [rng.next_u64(), rng.next_u64(), rng.next_u64()],
            [0xcfc5_d07f_6f03_c29b, 0xbf42_4132_963f_e08d, 0x19a3_7d57_57aa_f520]
        );
    }

    #[test]
    fn seeds_repeat_and_differ() {
        let draw = |seed| {
            let mut rng = Rng::new(seed);
            [rng.next_u64(), rng.next_u64(), rng.next_u64()]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_ne!(Rng::stream(7, 0), Rng::stream(7, 1));
        let mut all: Vec<_> = (0..100).map(|i| Rng::at(7, 1, i / 10, i % 10).next_u64()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 100);
        assert_eq!(Rng::at(7, 1, 2, 3), Rng::at(7, 1, 2, 3));
    }

    #[test]
    fn draws_stay_in_range_and_are_centred() {
        let mut rng = Rng::new(1);
        let mut sum = 0.0;
        let mut normal = (0.0_f64, 0.0_f64);
        for _ in 0..10_000 {
            assert!(rng.below(7) < 7);
            let u = rng.unit_f32();
            assert!((0.0..1.0).contains(&u));
            sum += f64::from(u);
            let x = f64::from(rng.normal_f32());
            normal = (normal.0 + x, normal.1 + x * x);
        }
        assert!((sum / 1e4 - 0.5).abs() < 0.02);
        assert!((normal.0 / 1e4).abs() < 0.05 && (normal.1 / 1e4 - 1.0).abs() < 0.1);
        assert_eq!(rng.below(0), 0);
    }
}
