//! Advice drawn from what was measured, each line with the figure it rests on.

use lob_metrics::{Measurement, Recommendation, Run, Status, Verdict};

/// Below this share of its limit a stage has room worth working on.
const FAR_FROM_LIMIT: f64 = 0.5;

/// Above this share of time spent waiting for data the loader is the bottleneck.
const STARVED: f64 = 0.1;

/// Recommendations, most important first.
pub(crate) fn recommend(run: &Run) -> Vec<Recommendation> {
    let mut advice = failures(run);
    advice.extend(missed_targets(run));
    advice.extend(slowest_stage(run));
    advice.extend(starved_training(run));
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
    let value = measurement.value.map(|v| measurement.unit.format(v)).unwrap_or_default();
    Some(Recommendation {
        text: format!("Most room for speed: `{}`.", scenario.id),
        evidence: format!(
            "{} is {value}, {:.0} % of {}",
            measurement.metric,
            least * 100.0,
            measurement.limit_name.as_deref().unwrap_or("the machine's limit")
        ),
    })
}

fn starved_training(run: &Run) -> Option<Recommendation> {
    let share = run
        .measurements()
        .find(|(_, m)| m.metric == "train.data_wait_share")
        .and_then(|(_, m)| m.value)?;
    (share > STARVED).then(|| Recommendation {
        text: "Training waits for data: give the loader more workers or a larger prefetch budget."
            .to_owned(),
        evidence: format!("{:.0} % of a step is spent preparing the batch", share * 100.0),
    })
}
