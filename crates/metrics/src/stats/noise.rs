//! Made-up noise of machines, to try a test of regressions on.
//!
//! The figures are assumptions about kinds of machine, not fits to any: they say how a procedure
//! behaves under noise of this shape, not how noisy a machine is.

use super::SplitMix64;

/// Memory of the drift from one sample to the next.
const DRIFT_MEMORY: f64 = 0.99;
/// Samples a burst lasts: at least, and how many more at most.
const BURST_SAMPLES: (usize, usize) = (5, 29);

/// Noise of timings on the log scale: 0.01 is one per cent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoiseModel {
    /// Standard deviation of every sample.
    pub jitter: f64,
    /// Share of samples with a one-sided exponential tail on top.
    pub tail_share: f64,
    /// Mean of that tail.
    pub tail_mean: f64,
    /// Standard deviation between launches of one program.
    pub launch: f64,
    /// Standard deviation of the machine's slow drift (first-order autoregression, memory 0.99).
    pub drift: f64,
    /// Probability that a burst of interference begins at a sample; it lasts 5 to 34 of them.
    pub burst_share: f64,
    /// Mean height of a burst (exponential).
    pub burst_mean: f64,
}

impl NoiseModel {
    /// A machine of one's own.
    pub const QUIET: Self = Self {
        jitter: 0.01,
        tail_share: 0.02,
        tail_mean: 0.05,
        launch: 0.003,
        drift: 0.005,
        burst_share: 0.0005,
        burst_mean: 0.05,
    };
    /// A shared virtual machine.
    pub const SHARED_VM: Self = Self {
        jitter: 0.03,
        tail_share: 0.08,
        tail_mean: 0.15,
        launch: 0.01,
        drift: 0.05,
        burst_share: 0.003,
        burst_mean: 0.20,
    };
    /// A crowded runner of a hosted CI.
    pub const CROWDED_CI: Self = Self {
        jitter: 0.06,
        tail_share: 0.15,
        tail_mean: 0.30,
        launch: 0.015,
        drift: 0.12,
        burst_share: 0.006,
        burst_mean: 0.50,
    };
}

/// A machine making noise, sample after sample.
#[derive(Debug, Clone)]
pub struct NoiseSource {
    model: NoiseModel,
    rng: SplitMix64,
    drift: f64,
    burst_left: usize,
    burst_height: f64,
}

impl NoiseSource {
    /// A machine whose whole noise follows from `seed`.
    #[must_use]
    pub fn new(model: NoiseModel, seed: u64) -> Self {
        let mut rng = SplitMix64::new(seed);
        let drift = model.drift * gauss(&mut rng);
        Self { model, rng, drift, burst_left: 0, burst_height: 0.0 }
    }

    /// The offset of a new launch of a program.
    pub fn launch(&mut self) -> f64 {
        self.model.launch * gauss(&mut self.rng)
    }

    /// The noise of the next sample, without its launch's offset.
    pub fn sample(&mut self) -> f64 {
        let model = self.model;
        let innovation = (1.0 - DRIFT_MEMORY * DRIFT_MEMORY).sqrt() * model.drift;
        self.drift = DRIFT_MEMORY * self.drift + innovation * gauss(&mut self.rng);
        if self.burst_left > 0 {
            self.burst_left -= 1;
        } else if self.rng.next_f64() < model.burst_share {
            self.burst_left = BURST_SAMPLES.0 + self.rng.below(BURST_SAMPLES.1 + 1);
            self.burst_height = model.burst_mean * exponential(&mut self.rng);
        }
        let burst = if self.burst_left > 0 { self.burst_height } else { 0.0 };
        let has_tail = self.rng.next_f64() < model.tail_share;
        let tail = if has_tail { model.tail_mean * exponential(&mut self.rng) } else { 0.0 };
        model.jitter * gauss(&mut self.rng) + tail + self.drift + burst
    }
}

/// Standard normal (Box and Muller 1958).
fn gauss(rng: &mut SplitMix64) -> f64 {
    let radius = (2.0 * exponential(rng)).sqrt();
    radius * (2.0 * std::f64::consts::PI * rng.next_f64()).cos()
}

/// Exponential with mean 1.
fn exponential(rng: &mut SplitMix64) -> f64 {
    -(1.0 - rng.next_f64()).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::quantile;

    #[test]
    fn noise_has_the_spread_it_is_asked_for() {
        let only_jitter = NoiseModel {
            tail_share: 0.0,
            launch: 0.02,
            drift: 0.0,
            burst_share: 0.0,
            ..NoiseModel::SHARED_VM
        };
        let mut source = NoiseSource::new(only_jitter, 5);
        let samples: Vec<f64> = (0..4000).map(|_| source.sample()).collect();
        let launches: Vec<f64> = (0..4000).map(|_| source.launch()).collect();
        // 68.27 % of a normal distribution lie within one standard deviation.
        for (values, sd) in [(&samples, 0.03), (&launches, 0.02)] {
            let sizes: Vec<f64> = values.iter().map(|x| x.abs()).collect();
            let found = quantile(&sizes, 0.6827).unwrap();
            assert!((found / sd - 1.0).abs() < 0.06, "{found} {sd}");
            assert!(quantile(values, 0.5).unwrap().abs() < 0.1 * sd);
        }
    }

    #[test]
    fn bursts_and_tails_only_slow_down() {
        let model = NoiseModel { jitter: 0.0, drift: 0.0, ..NoiseModel::CROWDED_CI };
        let mut source = NoiseSource::new(model, 6);
        let samples: Vec<f64> = (0..4000).map(|_| source.sample()).collect();
        assert!(samples.iter().all(|x| *x >= 0.0));
        let slowed = samples.iter().filter(|x| **x > 0.0).count() as f64 / 4000.0;
        assert!((0.15..0.40).contains(&slowed), "{slowed}");
    }
}
