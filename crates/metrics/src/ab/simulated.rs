//! A sitting on a machine that is made up.

use std::convert::Infallible;
use std::marker::PhantomData;

use super::{AbMetric, AbSamples, Sitting};
use crate::stats::{NoiseModel, NoiseSource, SplitMix64};
use crate::{Direction, Unit};

/// Pairs resampled as one launch.
const BLOCK: usize = 4;

/// Two programs on a noisy machine, the second slower by a known share: what the procedure of
/// [`crate::run_ab`] is tried on. Every run is a launch of its own, as under `lob ab`.
#[derive(Debug, Clone)]
pub struct SimulatedSitting<E = Infallible> {
    slow_down: f64,
    noise: NoiseSource,
    order: SplitMix64,
    pairs: Vec<(f64, f64)>,
    error: PhantomData<E>,
}

impl<E> SimulatedSitting<E> {
    /// A sitting whose noise follows from `seed`; `slow_down` of 0.05 is 5 % slower.
    #[must_use]
    pub fn new(model: NoiseModel, slow_down: f64, seed: u64) -> Self {
        // Neighbouring seeds must not share a stretch of the generator's sequence.
        let mut seeds = SplitMix64::new(seed);
        let noise = NoiseSource::new(model, seeds.next_u64());
        let order = SplitMix64::new(seeds.next_u64());
        Self { slow_down, noise, order, pairs: Vec::new(), error: PhantomData }
    }

    fn run(&mut self, slow_down: f64) -> f64 {
        let launch = self.noise.launch();
        (self.noise.sample() + launch).exp() * (1.0 + slow_down)
    }
}

impl<E> Sitting for SimulatedSitting<E> {
    type Error = E;

    fn extend(&mut self, pairs: usize) -> Result<(), E> {
        let slow_down = self.slow_down;
        for _ in 0..pairs.div_ceil(2) {
            if self.order.next_u64() & 1 == 0 {
                let first = (self.run(0.0), self.run(slow_down));
                let (b, a) = (self.run(slow_down), self.run(0.0));
                self.pairs.extend([first, (a, b)]);
            } else {
                let (b1, a1) = (self.run(slow_down), self.run(0.0));
                let second = (self.run(0.0), self.run(slow_down));
                self.pairs.extend([(a1, b1), second]);
            }
        }
        Ok(())
    }

    fn n_pairs(&self) -> usize {
        self.pairs.len()
    }

    fn samples(&self) -> Vec<AbSamples> {
        vec![AbSamples {
            metric: AbMetric {
                name: "time".to_owned(),
                unit: Unit::Seconds,
                direction: Direction::LowerIsBetter,
                exact: None,
            },
            blocks: self.pairs.chunks(BLOCK).map(<[(f64, f64)]>::to_vec).collect(),
            again: self.pairs.chunks_exact(2).map(|two| (two[0].0, two[1].0)).collect(),
        }]
    }
}
