//! Measurements that form a series over a size: batch, window, workers, features.
//!
//! The name of a metric says so: `load.samples_per_s_batch_32` and `load.batch_32.samples_per_s`
//! are points of one sweep, and so are `load.samples_per_s` and `load.samples_per_s_2_features`.

use lob_metrics::{Measurement, Run, Scenario, Unit};

use crate::analysis::percent;

/// Words that name a size in a metric, and whether more of it does more at once.
const SIZES: [(&str, bool); 7] = [
    ("batch", false),
    ("window", false),
    ("features", false),
    ("workers", true),
    ("threads", true),
    ("cores", true),
    ("jobs", true),
];

/// One metric over a growing size.
pub(crate) struct Sweep<'a> {
    pub(crate) scenario: &'a Scenario,
    /// The metric with `{n}` in place of the size.
    pub(crate) name: String,
    /// What grows.
    pub(crate) over: &'static str,
    pub(crate) unit: Unit,
    /// Size and measurement, smallest size first; at least two.
    pub(crate) points: Vec<(u32, &'a Measurement)>,
    parallel: bool,
}

impl Sweep<'_> {
    fn is_rate(&self) -> bool {
        !matches!(self.unit, Unit::Seconds | Unit::Bytes | Unit::Joules)
    }

    /// The value at every size when the first one scales as well as it can.
    pub(crate) fn ideal(&self) -> Vec<(u32, f64)> {
        let (n0, first) = self.points[0];
        let y0 = first.value.unwrap_or(f64::NAN);
        let growth = |n: u32| f64::from(n) / f64::from(n0);
        let at = |n: u32| match (self.parallel, self.is_rate(), self.unit) {
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
        self.parallel || !self.is_rate()
    }

    /// What the line beside the measured one means.
    pub(crate) fn ideal_name(&self) -> &'static str {
        match (self.parallel, self.is_rate(), self.unit) {
            (true, true, _) => "ideal: in proportion",
            (true, false, Unit::Seconds) => "ideal: the work shared out",
            (true, false, _) => "ideal: as at the first",
            (false, false, _) => "in proportion",
            (false, true, _) => "as at the first",
        }
    }

    /// A size in words, such as `batch 32` or `4 workers`.
    fn sized(&self, n: u32) -> String {
        match self.over {
            "batch" | "window" => format!("{} {n}", self.over),
            over if n == 1 => format!("1 {}", over.trim_end_matches('s')),
            over => format!("{n} {over}"),
        }
    }

    /// The last point against the line, in words.
    pub(crate) fn verdict(&self) -> Option<String> {
        let ((first, _), (n, last)) = (self.points[0], self.points[self.points.len() - 1]);
        let (ideal, found) = (self.ideal().last()?.1, last.value?);
        let share = if self.is_rate() { found / ideal } else { ideal / found };
        let against = match self.has_ideal() {
            true => format!("{} of the ideal", percent(share)),
            false => format!("{share:.2} times that of {}", self.sized(first)),
        };
        let value = self.unit.format(found);
        share.is_finite().then(|| format!("{}: {value}, {against}", self.sized(n)))
    }
}

/// Every sweep of a run, in the order of the pipeline.
pub(crate) fn sweeps(run: &Run) -> Vec<Sweep<'_>> {
    run.scenarios.iter().flat_map(of_scenario).collect()
}

fn of_scenario(scenario: &Scenario) -> Vec<Sweep<'_>> {
    let mut found: Vec<Sweep<'_>> = Vec::new();
    let known = |m: &Measurement| m.value.is_some_and(f64::is_finite);
    for m in scenario.measurements.iter().filter(|m| known(m)) {
        let Some((name, over, parallel, n)) = size_of(&m.metric) else { continue };
        match found.iter_mut().find(|s| s.name == name && s.unit == m.unit) {
            Some(sweep) => sweep.points.push((n, m)),
            None => {
                let mut points = vec![(n, m)];
                // `x_2_features` continues `x`, which has one.
                let suffix = format!("_{{n}}_{over}");
                let first = name.strip_suffix(&suffix).and_then(|stem| {
                    scenario.measurements.iter().find(|m| m.metric == stem && known(m))
                });
                points.extend(first.filter(|f| f.unit == m.unit).map(|f| (1, f)));
                found.push(Sweep { scenario, name, over, unit: m.unit, points, parallel });
            }
        }
    }
    for sweep in &mut found {
        sweep.points.sort_by_key(|p| p.0);
        sweep.points.dedup_by_key(|p| p.0);
    }
    found.retain(|s| s.points.len() > 1);
    found
}

/// Whether a metric is named as one point of a sweep.
pub(crate) fn is_sweep_point(metric: &str) -> bool {
    size_of(metric).is_some()
}

/// The metric with its size taken out, the word for the size, and the size itself.
fn size_of(metric: &str) -> Option<(String, &'static str, bool, u32)> {
    let mut words: Vec<(usize, &str)> = Vec::new();
    let mut start = 0;
    for part in metric.split(['.', '_']) {
        words.push((start, part));
        start += part.len() + 1;
    }
    words.windows(2).find_map(|pair| {
        let (word, (at, digits)) = match (pair[0], pair[1]) {
            (a, b) if is_number(b.1) => (a.1, b),
            (a, b) if is_number(a.1) => (b.1, a),
            _ => return None,
        };
        let (over, parallel) = SIZES.iter().copied().find(|(size, _)| *size == word)?;
        let n: u32 = digits.parse().ok().filter(|n| *n > 0)?;
        let name = format!("{}{{n}}{}", &metric[..at], &metric[at + digits.len()..]);
        Some((name, over, parallel, n))
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() < 10 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use lob_metrics::Direction;

    use super::*;

    #[test]
    fn sizes_are_read_from_names() {
        for (metric, expected) in [
            ("load.batch_16.samples_per_s", Some(("load.batch_{n}.samples_per_s", 16))),
            ("load.samples_per_s_workers_4", Some(("load.samples_per_s_workers_{n}", 4))),
            ("load.samples_per_s_2_features", Some(("load.samples_per_s_{n}_features", 2))),
            ("load.batch_p99", None),
            ("load.batch_0", None),
            ("market.mbp-10_records", None),
            ("größe_batch_8", Some(("größe_batch_{n}", 8))),
        ] {
            let found = size_of(metric);
            let found = found.as_ref().map(|(name, _, _, n)| (name.as_str(), *n));
            assert_eq!(found, expected, "{metric}");
        }
    }

    #[test]
    fn the_ideal_of_workers_is_proportional_and_of_batches_level() {
        let mut run = Run::sample();
        let sweep = sweeps(&run);
        assert_eq!((sweep.len(), sweep[0].over), (1, "batch"));
        let sizes: Vec<u32> = sweep[0].points.iter().map(|p| p.0).collect();
        assert_eq!(sizes, [16, 32, 64]);
        assert_eq!(Some(sweep[0].ideal()[2].1), sweep[0].points[0].1.value);
        let rate = |metric: &str, value: f64| {
            let (unit, higher) = (Unit::SamplesPerSecond, Direction::HigherIsBetter);
            Measurement::measured(metric, unit, higher, &[value])
        };
        run.scenarios[2].measurements =
            vec![rate("x_workers_4", 300.0), rate("x_workers_1", 100.0)];
        let sweep = sweeps(&run);
        assert_eq!(sweep[0].ideal(), [(1, 100.0), (4, 400.0)]);
        assert_eq!(sweep[0].verdict().unwrap(), "4 workers: 300 samples/s, 75 % of the ideal");
    }
}
