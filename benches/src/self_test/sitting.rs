//! Launches of this very program as a sitting.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use lob_metrics::stats::SplitMix64;
use lob_metrics::{AbMetric, AbSamples, Direction, Scenario, Sitting, Status, Unit};

use super::{CPU_METRICS, WALL_METRICS};
use crate::injection::Injection;
use crate::options::Options;
use crate::scenario::self_test_launch;
use crate::state::State;
use crate::suite::Child;

/// Pairs of one launch.
pub(super) const PAIRS_A_LAUNCH: usize = 10;

/// Pairs of the launches so far.
pub(super) struct Launches<'a> {
    executable: &'a Path,
    work: &'a Path,
    options: &'a Options,
    state: State,
    injection: Injection,
    stop: &'a AtomicBool,
    seeds: SplitMix64,
    /// Wall and CPU seconds by launch.
    launches: [Vec<Vec<(f64, f64)>>; 2],
}

impl<'a> Launches<'a> {
    pub(super) fn new(
        executable: &'a Path,
        work: &'a Path,
        options: &'a Options,
        state: &State,
        injection: Injection,
        stop: &'a AtomicBool,
    ) -> Self {
        let seeds = SplitMix64::new(injection.seed);
        let launches = Default::default();
        Self { executable, work, options, state: state.clone(), injection, stop, seeds, launches }
    }

    fn launch(&mut self) -> Result<()> {
        let seed = self.seeds.next_u64();
        self.state.self_test = Some(Injection { seed, ..self.injection.clone() });
        let child = Child {
            executable: self.executable,
            work: self.work,
            spec: self_test_launch(),
            options: self.options,
        };
        let done = child.run(&self.state, self.stop)?;
        if done.interrupted || done.scenario.status != Status::Passed {
            bail!("a launch failed: {}", done.scenario.reason.unwrap_or_default());
        }
        for (launches, names) in self.launches.iter_mut().zip([WALL_METRICS, CPU_METRICS]) {
            let [baseline, candidate] = names.map(|name| samples(&done.scenario, name));
            launches.push(baseline?.into_iter().zip(candidate?).collect());
        }
        Ok(())
    }
}

fn samples(scenario: &Scenario, metric: &str) -> Result<Vec<f64>> {
    let found = scenario.measurements.iter().find(|m| m.metric == metric);
    Ok(found.with_context(|| format!("a launch left no `{metric}`"))?.samples.clone())
}

impl Sitting for Launches<'_> {
    type Error = anyhow::Error;

    fn extend(&mut self, pairs: usize) -> Result<()> {
        for _ in 0..pairs.div_ceil(PAIRS_A_LAUNCH) {
            self.launch()?;
        }
        Ok(())
    }

    fn n_pairs(&self) -> usize {
        self.launches[0].iter().map(Vec::len).sum()
    }

    fn samples(&self) -> Vec<AbSamples> {
        let metrics = ["wall_time", "cpu_time"].into_iter().zip(&self.launches);
        let metrics = metrics.filter(|(_, launches)| launches.iter().any(|l| !l.is_empty()));
        metrics
            .map(|(name, launches)| AbSamples {
                metric: AbMetric {
                    name: name.to_owned(),
                    unit: Unit::Seconds,
                    direction: Direction::LowerIsBetter,
                    exact: None,
                    // The rates of the self-test are those of both clocks, on any machine.
                    on_wall_clock: false,
                },
                blocks: launches.clone(),
                // Each quadruple holds two runs of the baseline.
                again: launches
                    .iter()
                    .flat_map(|launch| launch.chunks_exact(2).map(|two| (two[0].0, two[1].0)))
                    .collect(),
            })
            .collect()
    }
}
