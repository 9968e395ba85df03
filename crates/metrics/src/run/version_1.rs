//! Run documents of version 1, whose metrics said by their names what a measurement says by its
//! role and its place in a series since.

use super::Run;
use crate::{
    Axis, Bound, By, COUNTS_REPEAT, Demand, Direction, INSTRUCTIONS_REPEAT, Means, Measurement,
    Over, PEAK_RSS_REPEATS, Role, Unit,
};

const AXES: [Axis; 7] = [
    Axis::Batch,
    Axis::Window,
    Axis::Features,
    Axis::Workers,
    Axis::Threads,
    Axis::Cores,
    Axis::Jobs,
];

/// Gives every measurement the role and the place that its name meant.
pub(super) fn upgrade(run: &mut Run) {
    for scenario in &mut run.scenarios {
        for m in &mut scenario.measurements {
            m.over = place_of(&m.metric);
            m.role = role_of(m);
            m.by = means_of(&m.metric);
            m.demand = demand_of(m);
            m.repeats_within = repeats_within(&m.metric);
        }
        // `x_2_features` continued `x`, which had one.
        let continued: Vec<Over> = scenario
            .measurements
            .iter()
            .filter_map(|m| m.over.clone())
            .filter(|over| over.axis == Axis::Features)
            .collect();
        for m in scenario.measurements.iter_mut().filter(|m| m.over.is_none()) {
            let of = continued.iter().find(|over| over.series == m.metric);
            m.over = of.map(|over| Over { n: 1, ..over.clone() });
        }
    }
}

fn repeats_within(metric: &str) -> Option<f64> {
    match metric.rsplit('.').next().unwrap_or("") {
        "allocations" | "allocated_bytes" => Some(COUNTS_REPEAT),
        "instructions" => Some(INSTRUCTIONS_REPEAT),
        "peak_rss" => Some(PEAK_RSS_REPEATS),
        _ => None,
    }
}

fn role_of(m: &Measurement) -> Role {
    let is_rate = matches!(m.unit, Unit::SamplesPerSecond | Unit::RecordsPerSecond);
    match m.metric.rsplit('.').next().unwrap_or("") {
        "peak_rss" => Role::PeakRss,
        "cpu_time" => Role::CpuTime,
        "elapsed" => Role::Elapsed,
        "reference" => Role::Reference,
        "data_wait_share" => Role::DataWait,
        "utilisation" if m.metric.ends_with("gpu.utilisation") => Role::GpuUtilisation,
        _ if is_rate && m.over.is_none() && !m.metric.contains("per_cpu") => Role::Headline,
        _ if m.direction == Direction::Neutral => Role::Fact,
        _ => Role::Detail,
    }
}

/// Series, axis and size of names such as `load.batch_16.samples_per_s`,
/// `load.samples_per_s_workers_4` and `load.samples_per_s_2_features`.
fn place_of(metric: &str) -> Option<Over> {
    let mut words: Vec<(usize, &str)> = Vec::new();
    let mut start = 0;
    for part in metric.split(['.', '_']) {
        words.push((start, part));
        start += part.len() + 1;
    }
    words.windows(2).find_map(|pair| {
        let (word, digits) = match (pair[0].1, pair[1].1) {
            (word, digits) if is_number(digits) => (word, digits),
            (digits, word) if is_number(digits) => (word, digits),
            _ => return None,
        };
        let axis = AXES.into_iter().find(|axis| axis.name() == word)?;
        let n: u32 = digits.parse().ok().filter(|n| *n > 0)?;
        let end = pair[1].0 + pair[1].1.len();
        // The two words and the separator before them.
        let series = format!("{}{}", &metric[..pair[0].0.saturating_sub(1)], &metric[end..]);
        Some(Over { series, axis, n })
    })
}

/// Means and common name of `train.gpu.step` and `precision.bf16.step`.
fn means_of(metric: &str) -> Option<By> {
    let mut start = 0;
    for part in metric.split(['.', '_']) {
        let means = match part {
            "cpu" if !metric.ends_with("cpu_time") => Some(Means::Cpu),
            "gpu" | "cuda" => Some(Means::Gpu),
            "fp32" | "f32" => Some(Means::F32),
            "fp16" | "f16" => Some(Means::F16),
            "bf16" => Some(Means::Bf16),
            _ => None,
        };
        if let Some(means) = means {
            let figure = format!("{}*{}", &metric[..start], &metric[start + part.len()..]);
            return Some(By { figure, means });
        }
        start += part.len() + 1;
    }
    None
}

/// A share of a named limit was a rate: `11 %` of `matrix product 75.5 GFLOP/s`.
fn demand_of(m: &Measurement) -> Option<Demand> {
    let share = m.share_of_limit.filter(|s| s.is_finite() && *s > 0.0)?;
    let name = m.limit_name.as_deref()?;
    // Decompression is limited by its own arithmetic, not by memory.
    if name.contains("zstd") {
        return None;
    }
    let (rest, unit) = name.rsplit_once(' ')?;
    let number: f64 = rest.rsplit(' ').next()?.parse().ok()?;
    let (prefix, of) = match unit.strip_suffix("FLOP/s") {
        Some(prefix) => (prefix, Bound::Arithmetic),
        None => (unit.strip_suffix("B/s")?, Bound::Memory),
    };
    let factor = [("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)]
        .into_iter()
        .find_map(|(p, f)| (p == prefix).then_some(f))?;
    Some(Demand { of, per_s: share * number * factor })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() < 10 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_from_names() {
        for (metric, expected) in [
            ("load.batch_16.samples_per_s", Some(("load.samples_per_s", Axis::Batch, 16))),
            ("load.samples_per_s_workers_4", Some(("load.samples_per_s", Axis::Workers, 4))),
            ("load.samples_per_s_2_features", Some(("load.samples_per_s", Axis::Features, 2))),
            ("load.batch_p99", None),
            ("load.batch_0", None),
            ("market.mbp-10_records", None),
            ("größe_batch_8", Some(("größe", Axis::Batch, 8))),
        ] {
            let found = place_of(metric);
            let found = found.as_ref().map(|o| (o.series.as_str(), o.axis, o.n));
            assert_eq!(found, expected, "{metric}");
        }
    }

    #[test]
    fn roles_are_read_from_names() {
        let m = |metric: &str, unit| {
            let mut m = Measurement::measured(metric, unit, Direction::HigherIsBetter, &[1.0]);
            m.over = place_of(metric);
            m
        };
        let rate = Unit::SamplesPerSecond;
        for (metric, unit, expected) in [
            ("convert.bins.peak_rss", Unit::Bytes, Role::PeakRss),
            ("convert.bins.cpu_time", Unit::Seconds, Role::CpuTime),
            ("convert.bins.elapsed", Unit::Seconds, Role::Elapsed),
            ("convert.bins.reference", Unit::Seconds, Role::Reference),
            ("load.samples_per_s", rate, Role::Headline),
            ("load.samples_per_s_per_cpu", rate, Role::Detail),
            ("load.samples_per_s_batch_16", rate, Role::Detail),
            ("load.batch_s", Unit::Seconds, Role::Detail),
        ] {
            assert_eq!(role_of(&m(metric, unit)), expected, "{metric}");
        }
    }

    #[test]
    fn a_share_of_a_limit_is_a_demand() {
        let demand = |share, limit: &str| {
            let (unit, higher) = (Unit::SamplesPerSecond, Direction::HigherIsBetter);
            let m = Measurement::measured("x", unit, higher, &[1.0]).with_limit(share, limit);
            demand_of(&m).map(|d| (d.of, d.per_s))
        };
        let product = demand(0.5, "matrix product on 2 cores 150 GFLOP/s");
        assert_eq!(product, Some((Bound::Arithmetic, 75e9)));
        assert_eq!(demand(0.25, "copy bandwidth 8 GB/s"), Some((Bound::Memory, 2e9)));
        assert_eq!(demand(0.25, "zstd decode 1.11 GB/s"), None);
        assert_eq!(demand(0.25, "a limit without a figure"), None);
    }
}
