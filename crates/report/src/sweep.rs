//! Measurements that form a series over a size: batch, window, workers, features.

use lob_metrics::{Axis, Measurement, Run, Scenario, Unit};

use crate::analysis::percent;

/// One metric over a growing size.
pub(crate) struct Sweep<'a> {
    pub(crate) scenario: &'a Scenario,
    /// Name of the series.
    pub(crate) name: &'a str,
    /// What grows.
    pub(crate) over: Axis,
    pub(crate) unit: Unit,
    /// Size and measurement, smallest size first; at least two.
    pub(crate) points: Vec<(u32, &'a Measurement)>,
}

impl Sweep<'_> {
    fn is_rate(&self) -> bool {
        !matches!(self.unit, Unit::Seconds | Unit::Bytes | Unit::Joules)
    }

    /// The value at every size when the first one scales as well as it can.
    pub(crate) fn ideal(&self) -> Vec<(u32, f64)> {
        let (n0, first) = self.points[0];
        let y0 = first.value().unwrap_or(f64::NAN);
        let growth = |n: u32| f64::from(n) / f64::from(n0);
        let at = |n: u32| match (self.over.is_parallel(), self.is_rate(), self.unit) {
            (true, true, _) => y0 * growth(n),
            (true, false, Unit::Seconds) => y0 / growth(n),
            (false, false, _) => y0 * growth(n),
            (true, false, _) | (false, true, _) => y0,
        };
        self.points.iter().map(|(n, _)| (*n, at(*n))).collect()
    }

    /// Whether the line is what scaling can reach, not only the first value for comparison: a
    /// larger batch may well do better per sample.
    fn has_ideal(&self) -> bool {
        self.over.is_parallel() || !self.is_rate()
    }

    /// What the line beside the measured one means.
    pub(crate) fn ideal_name(&self) -> &'static str {
        match (self.over.is_parallel(), self.is_rate(), self.unit) {
            (true, true, _) => "ideal: in proportion",
            (true, false, Unit::Seconds) => "ideal: the work shared out",
            (true, false, _) => "ideal: as at the first",
            (false, false, _) => "in proportion",
            (false, true, _) => "as at the first",
        }
    }

    /// The last point against the line, in words.
    pub(crate) fn verdict(&self) -> Option<String> {
        let ((first, _), (n, last)) = (self.points[0], self.points[self.points.len() - 1]);
        let (ideal, found) = (self.ideal().last()?.1, last.value()?);
        let share = if self.is_rate() { found / ideal } else { ideal / found };
        let against = match self.has_ideal() {
            true => format!("{} of the ideal", percent(share)),
            false => format!("{share:.2} times that of {}", self.over.sized(first)),
        };
        let value = self.unit.format(found);
        share.is_finite().then(|| format!("{}: {value}, {against}", self.over.sized(n)))
    }
}

/// Every sweep of a run, in the order of the pipeline.
pub(crate) fn sweeps(run: &Run) -> Vec<Sweep<'_>> {
    run.scenarios.iter().flat_map(of_scenario).collect()
}

fn of_scenario(scenario: &Scenario) -> Vec<Sweep<'_>> {
    let mut found: Vec<Sweep<'_>> = Vec::new();
    for m in scenario.measurements.iter().filter(|m| m.value().is_some()) {
        let Some(over) = &m.over else { continue };
        let is_of = |s: &&mut Sweep<'_>| {
            (s.name, s.over, s.unit) == (over.series.as_str(), over.axis, m.unit)
        };
        match found.iter_mut().find(is_of) {
            Some(sweep) => sweep.points.push((over.n, m)),
            None => found.push(Sweep {
                scenario,
                name: &over.series,
                over: over.axis,
                unit: m.unit,
                points: vec![(over.n, m)],
            }),
        }
    }
    for sweep in &mut found {
        sweep.points.sort_by_key(|p| p.0);
        sweep.points.dedup_by_key(|p| p.0);
    }
    found.retain(|s| s.points.len() > 1);
    found
}

#[cfg(test)]
mod tests {
    use lob_metrics::Direction;

    use super::*;

    #[test]
    fn the_ideal_of_workers_is_proportional_and_of_batches_level() {
        let mut run = lob_fixtures::sample_run();
        let sweep = sweeps(&run);
        assert_eq!((sweep.len(), sweep[0].over), (1, Axis::Batch));
        let sizes: Vec<u32> = sweep[0].points.iter().map(|p| p.0).collect();
        assert_eq!(sizes, [16, 32, 64]);
        assert_eq!(Some(sweep[0].ideal()[2].1), sweep[0].points[0].1.value());
        let rate = |metric: &str, n: u32, value: f64| {
            let (unit, higher) = (Unit::SamplesPerSecond, Direction::HigherIsBetter);
            Measurement::measured(metric, unit, higher, &[value]).over("x", Axis::Workers, n)
        };
        run.scenarios[2].measurements = vec![rate("a", 4, 300.0), rate("b", 1, 100.0)];
        let sweep = sweeps(&run);
        assert_eq!(sweep[0].ideal(), [(1, 100.0), (4, 400.0)]);
        assert_eq!(sweep[0].verdict().unwrap(), "4 workers: 300 samples/s, 75 % of the ideal");
    }
}
