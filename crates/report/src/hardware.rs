//! What the machine can do and what was reached of it: the roofline, CPU against GPU, precisions.

use lob_metrics::{Direction, Measurement, Provenance, Run, Unit};

use crate::analysis::is_stage;

/// One metric measured two ways.
pub(crate) struct Pair<'a> {
    pub(crate) name: String,
    pub(crate) base: &'a Measurement,
    pub(crate) other: &'a Measurement,
    /// How many times better the other is; below one it is worse.
    pub(crate) gain: f64,
}

/// Ways of calculating that a metric may name, the usual one first.
pub(crate) const DEVICES: (&[&str], &[&str]) = (&["cpu"], &["gpu", "cuda"]);
pub(crate) const PRECISIONS: (&[&str], &[&str]) = (&["fp32", "f32"], &["fp16", "f16", "bf16"]);

/// Metrics whose names differ in one word only, such as `train.cpu.step` and `train.gpu.step`.
pub(crate) fn pairs<'a>(run: &'a Run, (usual, others): (&[&str], &[&str])) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    for (_, base) in run.measurements() {
        let Some(name) = without(&base.metric, usual) else { continue };
        let matching = |m: &&Measurement| {
            m.unit == base.unit && without(&m.metric, others).is_some_and(|n| n == name)
        };
        let Some(other) = run.measurements().map(|(_, m)| m).find(matching) else { continue };
        let (Some(from), Some(to)) = (base.value, other.value) else { continue };
        let gain = if base.direction == Direction::HigherIsBetter { to / from } else { from / to };
        if gain.is_finite() {
            pairs.push(Pair { name, base, other, gain });
        }
    }
    pairs
}

/// The metric with one of `words` replaced by `*`; `None` when it holds none of them.
fn without(metric: &str, words: &[&str]) -> Option<String> {
    let mut start = 0;
    for part in metric.split(['.', '_']) {
        if words.contains(&part) {
            return Some(format!("{}*{}", &metric[..start], &metric[start + part.len()..]));
        }
        start += part.len() + 1;
    }
    None
}

/// Why nothing is known of a GPU.
pub(crate) fn no_gpu_reason(run: &Run) -> String {
    let gpu = |m: &&Measurement| {
        m.provenance == Provenance::Unavailable && m.metric.split(['.', '_']).any(|w| w == "gpu")
    };
    let reason = run.measurements().map(|(_, m)| m).find(gpu).and_then(|m| m.reason.clone());
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
            of_unit.find_map(|m| Some((m, m.value.filter(positive)?)))
        };
        match (rate(Unit::FlopPerSecond), rate(Unit::BytesPerSecond)) {
            (Some((m, flop)), Some((_, bytes))) => {
                let point = Reached::Point { flop_per_s: flop, flop_per_byte: flop / bytes };
                reached.push((m.metric.as_str(), point));
            }
            (Some((m, flop)), None) => reached.push((m.metric.as_str(), Reached::Flop(flop))),
            (None, Some((m, bytes))) => reached.push((m.metric.as_str(), Reached::Bytes(bytes))),
            (None, None) => reached.extend(scenario.measurements.iter().filter_map(by_share)),
        }
    }
    Some(Roofline { flop_per_s, bytes_per_s, reached })
}

/// A share of a named limit is a rate: `11 %` of `matrix product 75.5 GFLOP/s`.
fn by_share(m: &Measurement) -> Option<(&str, Reached)> {
    let share = m.share_of_limit.filter(|s| s.is_finite() && *s > 0.0)?;
    let name = m.limit_name.as_deref()?;
    // Decompression is limited by its own arithmetic, not by memory.
    if name.contains("zstd") {
        return None;
    }
    let (number, unit) = name.rsplit_once(' ').and_then(|(rest, unit)| {
        let number: f64 = rest.rsplit(' ').next()?.parse().ok()?;
        Some((number, unit))
    })?;
    let (prefix, flop) = match unit.strip_suffix("FLOP/s") {
        Some(prefix) => (prefix, true),
        None => (unit.strip_suffix("B/s")?, false),
    };
    let factor = [("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)]
        .into_iter()
        .find_map(|(p, f)| (p == prefix).then_some(f))?;
    let rate = share * number * factor;
    Some((&m.metric, if flop { Reached::Flop(rate) } else { Reached::Bytes(rate) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_that_differ_in_one_word_are_a_pair() {
        let mut run = Run::sample();
        let step = |metric: &str, value| {
            let (unit, lower) = (Unit::Seconds, Direction::LowerIsBetter);
            Measurement::measured(metric, unit, lower, &[value])
        };
        run.scenarios[0].measurements =
            vec![step("train.cpu.step", 0.5), step("train.f32_step", 0.3)];
        run.scenarios[1].measurements = vec![step("train.gpu.step", 0.1), step("x.cpu_time", 9.0)];
        let found = pairs(&run, DEVICES);
        assert_eq!((found.len(), found[0].name.as_str()), (1, "train.*.step"));
        assert!((found[0].gain - 5.0).abs() < 1e-12);
        assert!(pairs(&run, PRECISIONS).is_empty());
        assert_eq!(no_gpu_reason(&run), "no NVIDIA driver on this machine");
    }

    #[test]
    fn a_share_of_a_limit_becomes_a_rate() {
        let rate = |share, limit: &str| {
            let (unit, higher) = (Unit::SamplesPerSecond, Direction::HigherIsBetter);
            let m = Measurement::measured("x", unit, higher, &[1.0]).with_limit(share, limit);
            by_share(&m).map(|(_, reached)| reached)
        };
        assert_eq!(rate(0.5, "matrix product on 2 cores 150 GFLOP/s"), Some(Reached::Flop(75e9)));
        assert_eq!(rate(0.25, "copy bandwidth 8 GB/s"), Some(Reached::Bytes(2e9)));
        assert_eq!(rate(0.25, "zstd decode 1.11 GB/s"), None);
        assert_eq!(rate(0.25, "a limit without a figure"), None);
    }
}
