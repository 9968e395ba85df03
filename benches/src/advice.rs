//! Advice drawn from what was measured, each line with the figure it rests on.

use std::collections::BTreeMap;

use lob_metrics::{Axis, Measurement, Recommendation, Role, Run, Scenario, Status, Unit, Verdict};
use lob_profiler::{BatchPoint, Observed, best_batch, diagnose};

/// Below this share of its limit a stage has room worth working on.
const FAR_FROM_LIMIT: f64 = 0.5;

/// A batch is as good as the fastest when its rate is within this share of it.
const BATCH_SLACK: f64 = 0.05;

/// Fewer batch sizes are no sweep.
const MIN_SWEEP: usize = 3;

/// Recommendations, most important first.
pub(crate) fn recommend(run: &Run) -> Vec<Recommendation> {
    let mut advice = failures(run);
    advice.extend(missed_targets(run));
    advice.extend(bottlenecks(run));
    advice.extend(slowest_stage(run));
    advice.extend(batch_sizes(run));
    advice
}

fn failures(run: &Run) -> Vec<Recommendation> {
    run.scenarios
        .iter()
        .filter(|s| matches!(s.status, Status::Failed | Status::TimedOut))
        .map(|s| Recommendation {
            text: format!("Mend `{}` first: the stages after it have nothing to work on.", s.id),
            evidence: s.reason.clone().unwrap_or_else(|| "it failed without a reason".to_owned()),
        })
        .collect()
}

fn missed_targets(run: &Run) -> Vec<Recommendation> {
    let missed = run.targets.iter().filter(|t| t.verdict == Verdict::Fail);
    missed
        .map(|t| {
            let unit = t.target.unit;
            let found = t.value.map_or("no value".to_owned(), |v| unit.format(v));
            let asked = t.target.hard_limit.map_or("a value".to_owned(), |v| unit.format(v));
            Recommendation {
                text: format!("Bring `{}` to its hard limit.", t.target.metric),
                evidence: format!("{found} measured, {asked} asked by {}", t.target.source),
            }
        })
        .collect()
}

/// The measured rate furthest from the machine's limit.
fn slowest_stage(run: &Run) -> Option<Recommendation> {
    let share = |m: &Measurement| m.share_of_limit.filter(|s| s.is_finite());
    // The synthetic market is our own input, no stage of anybody's pipeline.
    let (scenario, measurement, least) = run
        .measurements()
        .filter(|(s, _)| s.suite != "market")
        .filter_map(|(s, m)| Some((s, m, share(m)?)))
        .min_by(|a, b| a.2.total_cmp(&b.2))?;
    if least >= FAR_FROM_LIMIT {
        return None;
    }
    let value = measurement.value().map(|v| measurement.unit.format(v)).unwrap_or_default();
    Some(Recommendation {
        text: format!("Most room for speed: `{}`.", scenario.id),
        evidence: format!(
            "{} is {value}, {} of {}",
            measurement.metric,
            measurement.share_in_words(&format!("{:.0} %", least * 100.0)),
            measurement.limit_name.as_deref().unwrap_or("the machine's limit")
        ),
    })
}

/// What the profiler's thresholds say about each scenario and about the run's own cost.
fn bottlenecks(run: &Run) -> Vec<Recommendation> {
    let mut advice = Vec::new();
    for scenario in &run.scenarios {
        let found = diagnose(&observed(scenario)).into_iter().map(|d| Recommendation {
            evidence: format!("`{}`: {}", scenario.id, d.recommendation.evidence),
            text: d.recommendation.text,
        });
        advice.extend(found);
    }
    let whole = Observed { profiler_share: run.overhead.profiler_share, ..Observed::default() };
    advice.extend(diagnose(&whole).into_iter().map(|d| d.recommendation));
    advice
}

fn observed(scenario: &Scenario) -> Observed {
    let most = |role: Role| {
        let of_role = scenario.measurements.iter().filter(|m| m.role == role);
        of_role.filter_map(Measurement::value).reduce(f64::max)
    };
    let cpu = scenario.timeline.iter().find(|series| series.metric == "cpu_share");
    let cpu = cpu.map(|series| series.values.as_slice()).filter(|values| !values.is_empty());
    Observed {
        peak_ram_bytes: most(Role::PeakRss),
        cpu_share: cpu.map(|values| values.iter().sum::<f64>() / values.len() as f64),
        data_wait_share: most(Role::DataWait),
        gpu_utilisation: most(Role::GpuUtilisation),
        ..Observed::default()
    }
}

/// The smallest batch worth taking, for every sweep of the run.
fn batch_sizes(run: &Run) -> Vec<Recommendation> {
    let mut sweeps: BTreeMap<(&str, &str), Vec<BatchPoint>> = BTreeMap::new();
    for (scenario, m) in run.measurements() {
        let Some(over) = m.over.as_ref().filter(|over| over.axis == Axis::Batch) else { continue };
        let Some(samples_per_s) = m.value() else { continue };
        let (name, batch_size) = (over.series.as_str(), over.n as usize);
        if m.unit == Unit::SamplesPerSecond {
            let point = BatchPoint { batch_size, samples_per_s, peak_bytes: None };
            sweeps.entry((scenario.id.as_str(), name)).or_default().push(point);
        }
    }
    let advice = |((scenario, name), mut points): (_, Vec<BatchPoint>)| {
        points.sort_by_key(|point| point.batch_size);
        let choice =
            best_batch(&points, None, BATCH_SLACK).filter(|_| points.len() >= MIN_SWEEP)?;
        let rate = |rate: f64| Unit::SamplesPerSecond.format(rate);
        let sweep: Vec<String> =
            points.iter().map(|p| format!("{}: {}", p.batch_size, rate(p.samples_per_s))).collect();
        Some(Recommendation {
            text: format!(
                "Batch size {} is enough for `{scenario}`: the smallest within {:.0} % of the fastest.",
                choice.batch_size,
                BATCH_SLACK * 100.0
            ),
            evidence: format!("{name} by batch size: {}", sweep.join(", ")),
        })
    };
    sweeps.into_iter().filter_map(advice).collect()
}

#[cfg(test)]
mod tests {
    use lob_metrics::{Direction, Timeline};

    use super::*;

    fn scenario(id: &str, measurements: Vec<Measurement>) -> Scenario {
        Scenario {
            id: id.to_owned(),
            suite: "load".to_owned(),
            title: id.to_owned(),
            config: BTreeMap::new(),
            status: Status::Passed,
            reason: None,
            elapsed_s: 1.0,
            measurements,
            scopes: Vec::new(),
            timeline: Vec::new(),
            findings: Vec::new(),
            artifacts: Vec::new(),
        }
    }

    fn measured(metric: &str, unit: Unit, value: f64) -> Measurement {
        Measurement::measured(metric, unit, Direction::Neutral, &[value])
    }

    #[test]
    fn advice_rests_on_the_measured_line() {
        let mut training =
            scenario("train", vec![measured("w", Unit::Fraction, 0.4).with_role(Role::DataWait)]);
        let values = vec![0.9, 1.0];
        let t_s = vec![0.0, 1.0];
        training.timeline =
            vec![Timeline { metric: "cpu_share".to_owned(), unit: Unit::Fraction, t_s, values }];
        let seen = observed(&training);
        assert_eq!((seen.data_wait_share, seen.cpu_share), (Some(0.4), Some(0.95)));
        let found = diagnose(&seen);
        assert_eq!(found.len(), 1);
        assert!(found[0].recommendation.evidence.contains("40.0 %"));
        assert_eq!(observed(&scenario("x", Vec::new())), Observed::default());
    }

    #[test]
    fn a_sweep_names_its_knee_and_two_points_are_none() {
        let sweep = |rates: &[(u32, f64)]| {
            let rate = |(size, rate): &(u32, f64)| {
                let metric = format!("load.rate_{size}");
                let m = measured(&metric, Unit::SamplesPerSecond, *rate);
                m.over("load.rate", Axis::Batch, *size)
            };
            run_of(scenario("load.sweep", rates.iter().map(rate).collect()))
        };
        let advice = batch_sizes(&sweep(&[(128, 1000.0), (16, 500.0), (32, 960.0), (64, 990.0)]));
        assert_eq!(advice.len(), 1);
        assert!(advice[0].text.contains("Batch size 32"), "{}", advice[0].text);
        assert!(
            advice[0].evidence.contains("16: 500 samples/s, 32: 960"),
            "{}",
            advice[0].evidence
        );
        assert_eq!(batch_sizes(&sweep(&[(16, 500.0), (32, 960.0)])), []);
    }

    fn run_of(scenario: Scenario) -> Run {
        let mut run = lob_runs::open_run("test", &lob_runs::Build::default(), []);
        run.scenarios.push(scenario);
        run
    }
}
