//! What the machine can do and what was reached of it: the roofline, CPU against GPU, precisions.

use lob_metrics::{Bound, By, Direction, Means, Measurement, Reading, Role, Run, Unit};

use crate::analysis::is_stage;

/// One metric measured two ways.
pub(crate) struct Pair<'a> {
    pub(crate) name: &'a str,
    pub(crate) base: &'a Measurement,
    pub(crate) other: &'a Measurement,
    /// How many times better the other is; below one it is worse.
    pub(crate) gain: f64,
}

/// Means that are compared, the usual one first.
pub(crate) const DEVICES: (Means, &[Means]) = (Means::Cpu, &[Means::Gpu]);
pub(crate) const PRECISIONS: (Means, &[Means]) = (Means::F32, &[Means::F16, Means::Bf16]);

/// Figures reached by the usual means and by another.
pub(crate) fn pairs<'a>(run: &'a Run, (usual, others): (Means, &[Means])) -> Vec<Pair<'a>> {
    let figures = || run.measurements().filter_map(|(_, m)| m.by.as_ref().map(|by| (by, m)));
    let mut pairs = Vec::new();
    for (by, base) in figures().filter(|(by, _)| by.means == usual) {
        let is_other = |(other, m): &(&By, &Measurement)| {
            others.contains(&other.means) && other.figure == by.figure && m.unit == base.unit
        };
        let Some((_, other)) = figures().find(is_other) else { continue };
        let (Some(from), Some(to)) = (base.value(), other.value()) else { continue };
        let gain = if base.direction == Direction::HigherIsBetter { to / from } else { from / to };
        if gain.is_finite() {
            pairs.push(Pair { name: &by.figure, base, other, gain });
        }
    }
    pairs
}

/// Whether a figure is one of a GPU.
pub(crate) fn is_of_gpu(m: &Measurement) -> bool {
    m.role == Role::GpuUtilisation || m.by.as_ref().is_some_and(|by| by.means == Means::Gpu)
}

/// Why nothing is known of a GPU.
pub(crate) fn no_gpu_reason(run: &Run) -> String {
    let mut of_gpu = run.measurements().map(|(_, m)| m).filter(|m| is_of_gpu(m));
    let reason = of_gpu.find_map(|m| match &m.reading {
        Reading::Unavailable { reason } => Some(reason.clone()),
        _ => None,
    });
    reason.unwrap_or_else(|| match run.host.gpu.is_empty() {
        true => "no GPU was found on this machine".to_owned(),
        false => "no scenario measures one metric on both".to_owned(),
    })
}

/// What is known of one measurement on the roofline.
#[derive(Debug, PartialEq)]
pub(crate) enum Reached {
    /// Floating-point operations a second and operations a byte.
    Point { flop_per_s: f64, flop_per_byte: f64 },
    /// Only the rate of operations: how many bytes they take is unknown.
    Flop(f64),
    /// Only the rate of bytes.
    Bytes(f64),
}

/// The machine's roof and what the stages reach of it.
pub(crate) struct Roofline<'a> {
    /// Matrix product, FLOP/s.
    pub(crate) flop_per_s: f64,
    /// Memory fill, B/s.
    pub(crate) bytes_per_s: f64,
    pub(crate) reached: Vec<(&'a str, Reached)>,
}

/// `None` when one of the two limits was not measured.
pub(crate) fn roofline(run: &Run) -> Option<Roofline<'_>> {
    let positive = |v: &f64| v.is_finite() && *v > 0.0;
    let flop_per_s = run.roof.gemm_flop_per_s.filter(positive)?;
    let bytes_per_s = run.roof.fill_bytes_per_s.filter(positive)?;
    let mut reached = Vec::new();
    for scenario in run.scenarios.iter().filter(|s| is_stage(s)) {
        let rate = |unit| {
            let mut of_unit = scenario.measurements.iter().filter(|m| m.unit == unit);
            of_unit.find_map(|m| Some((m, m.value().filter(positive)?)))
        };
        match (rate(Unit::FlopPerSecond), rate(Unit::BytesPerSecond)) {
            (Some((m, flop)), Some((_, bytes))) => {
                let point = Reached::Point { flop_per_s: flop, flop_per_byte: flop / bytes };
                reached.push((m.metric.as_str(), point));
            }
            (Some((m, flop)), None) => reached.push((m.metric.as_str(), Reached::Flop(flop))),
            (None, Some((m, bytes))) => reached.push((m.metric.as_str(), Reached::Bytes(bytes))),
            (None, None) => reached.extend(scenario.measurements.iter().filter_map(by_demand)),
        }
    }
    Some(Roofline { flop_per_s, bytes_per_s, reached })
}

/// What a rate asks of the machine.
fn by_demand(m: &Measurement) -> Option<(&str, Reached)> {
    let demand = m.demand.filter(|demand| demand.per_s > 0.0)?;
    let reached = match demand.of {
        Bound::Arithmetic => Reached::Flop(demand.per_s),
        Bound::Memory => Reached::Bytes(demand.per_s),
        _ => return None,
    };
    Some((&m.metric, reached))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_differ_in_their_means_are_a_pair() {
        let mut run = lob_fixtures::sample_run();
        let step = |metric: &str, value, means| {
            let (unit, lower) = (Unit::Seconds, Direction::LowerIsBetter);
            Measurement::measured(metric, unit, lower, &[value]).by("step", means)
        };
        run.scenarios[0].measurements =
            vec![step("a", 0.5, Means::Cpu), step("b", 0.3, Means::F32)];
        run.scenarios[1].measurements = vec![step("c", 0.1, Means::Gpu)];
        let found = pairs(&run, DEVICES);
        assert_eq!((found.len(), found[0].name), (1, "step"));
        assert!((found[0].gain - 5.0).abs() < 1e-12);
        assert!(pairs(&run, PRECISIONS).is_empty());
        assert_eq!(no_gpu_reason(&run), "no NVIDIA driver on this machine");
    }

    #[test]
    fn a_demand_has_a_place_below_the_roof() {
        let m = |of| {
            let (unit, higher) = (Unit::SamplesPerSecond, Direction::HigherIsBetter);
            Measurement::measured("x", unit, higher, &[1.0]).with_demand(of, 2e9)
        };
        assert_eq!(by_demand(&m(Bound::Arithmetic)), Some(("x", Reached::Flop(2e9))));
        assert_eq!(by_demand(&m(Bound::Memory)), Some(("x", Reached::Bytes(2e9))));
    }
}
