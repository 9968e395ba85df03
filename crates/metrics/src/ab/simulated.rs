//! A sitting on a machine that is made up.

use std::convert::Infallible;
use std::marker::PhantomData;

use super::{AbMetric, AbSamples, Sitting, against_itself};
use crate::stats::{NoiseModel, NoiseSource, SplitMix64};
use crate::{Direction, Unit};

/// Two programs on a noisy machine, the second slower by a known share: what the procedure of
/// [`crate::run_ab`] is tried on. Every run is a launch of its own, as under `lob ab`.
#[derive(Debug, Clone)]
pub struct SimulatedSitting<E = Infallible> {
    slow_down: f64,
    noise: NoiseSource,
    order: SplitMix64,
    pairs: Vec<(f64, f64)>,
    /// The noise of the wall clock, and the pairs it timed.
    wall: Option<(NoiseSource, Vec<(f64, f64)>)>,
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
        Self { slow_down, noise, order, pairs: Vec::new(), wall: None, error: PhantomData }
    }

    /// The same sitting on a machine that others use: a second metric, on a wall clock with noise of
    /// its own.
    #[must_use]
    pub fn with_wall_clock(mut self, model: NoiseModel) -> Self {
        self.wall = Some((NoiseSource::new(model, self.order.next_u64()), Vec::new()));
        self
    }

    /// A quadruple of runs, and the two pairs it makes.
    fn quadruple(noise: &mut NoiseSource, slow_down: f64, baseline_first: bool) -> [(f64, f64); 2] {
        let mut run = |slow_down: f64| {
            let launch = noise.launch();
            (noise.sample() + launch).exp() * (1.0 + slow_down)
        };
        if baseline_first {
            let first = (run(0.0), run(slow_down));
            let (b, a) = (run(slow_down), run(0.0));
            [first, (a, b)]
        } else {
            let (b, a) = (run(slow_down), run(0.0));
            [(a, b), (run(0.0), run(slow_down))]
        }
    }
}

impl<E> Sitting for SimulatedSitting<E> {
    type Error = E;

    fn extend(&mut self, pairs: usize) -> Result<(), E> {
        for _ in 0..pairs.div_ceil(2) {
            let baseline_first = self.order.next_u64() & 1 == 0;
            let slow_down = self.slow_down;
            self.pairs.extend(Self::quadruple(&mut self.noise, slow_down, baseline_first));
            if let Some((noise, pairs)) = &mut self.wall {
                pairs.extend(Self::quadruple(noise, slow_down, baseline_first));
            }
        }
        Ok(())
    }

    fn n_pairs(&self) -> usize {
        self.pairs.len()
    }

    fn samples(&self) -> Vec<AbSamples> {
        let samples = |name: &str, on_wall_clock: bool, pairs: &[(f64, f64)]| AbSamples {
            metric: AbMetric {
                name: name.to_owned(),
                unit: Unit::Seconds,
                direction: Direction::LowerIsBetter,
                exact: None,
                on_wall_clock,
            },
            blocks: pairs.iter().map(|pair| vec![*pair]).collect(),
            again: against_itself(pairs),
        };
        let wall = self.wall.iter().map(|(_, pairs)| samples("wall_time", true, pairs));
        std::iter::once(samples("time", false, &self.pairs)).chain(wall).collect()
    }

    fn is_disturbed(&self) -> bool {
        self.wall.is_some()
    }
}
