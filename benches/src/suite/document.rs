//! Assembling the Run document.

use std::collections::BTreeMap;

use lob_metrics::{BUSY_SHARE, Overhead, Run, Scenario, Status, Target, judge_all};

use crate::Progress;
use crate::advice;
use crate::options::Options;
use crate::scenario::{Spec, scenarios};
use crate::state::State;

/// Sums over the scenario processes.
#[derive(Debug, Default)]
pub(super) struct Totals {
    cpu_s: f64,
    scope_calls: u64,
}

impl Totals {
    pub(super) fn add(&mut self, cpu_s: Option<f64>, scope_calls: u64) {
        self.cpu_s += cpu_s.unwrap_or(0.0);
        self.scope_calls += scope_calls;
    }
}

/// A document with everything known before the first scenario.
pub(super) fn open(options: &Options) -> Run {
    // What the launch was asked for, so that it can be asked for again.
    let settings = [
        ("quick", options.quick.into()),
        ("strict", options.strict.into()),
        ("seed", options.seed.into()),
        ("order_seed", options.order_seed.into()),
        ("workers", options.workers.into()),
        ("batch_sizes", options.batch_sizes.clone().into()),
        ("n_bins", options.n_bins.into()),
        ("device", serde_json::to_value(options.device).unwrap_or_default()),
    ];
    lob_runs::open_run(&title(options), &options.build, settings)
}

fn title(options: &Options) -> String {
    let length = if options.quick { "Quick run" } else { "Full run" };
    match options.inputs.as_slice() {
        [] => format!("{length} on the synthetic market"),
        [one] => format!("{length} on {}", file_name(one)),
        [first, rest @ ..] => format!("{length} on {} and {} more", file_name(first), rest.len()),
    }
}

fn file_name(path: &std::path::Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Adds a scenario in its place: in the order of the list, whatever the order of the runs.
pub(super) fn insert(run: &mut Run, scenario: Scenario) {
    let place = |id: &str| scenarios().iter().position(|s| s.id == id);
    let at = run.scenarios.partition_point(|s| place(&s.id) <= place(&scenario.id));
    run.scenarios.insert(at, scenario);
}

/// Shows a finished scenario and adds it.
pub(super) fn end(
    run: &mut Run,
    state: &State,
    mut scenario: Scenario,
    progress: &mut dyn Progress,
) {
    bound_shares(&mut scenario, state);
    progress.end(&scenario);
    insert(run, scenario);
}

/// Marks the shares of limits that other programs hid: the machine can do more, so that a share is
/// at most what it seems.
fn bound_shares(scenario: &mut Scenario, state: &State) {
    let is_busy = state.others_cpu.is_some_and(|share| share > BUSY_SHARE);
    for measurement in &mut scenario.measurements {
        measurement.share_is_at_most = is_busy && measurement.share_of_limit.is_some();
    }
}

/// Brings everything derived up to date after a scenario. Before the last one, and in a run of a
/// selection, a target whose metric nothing was asked to measure is not missed.
pub(super) fn refresh(
    run: &mut Run,
    state: &State,
    totals: &Totals,
    elapsed_s: f64,
    targets: &[Target],
    is_whole: bool,
) {
    run.elapsed_s = elapsed_s;
    run.roof = state.roof.clone();
    run.inputs.clone_from(&state.inputs);
    run.notes.clone_from(&state.notes);
    if cfg!(debug_assertions) {
        run.notes.insert(0, "built without optimisation: no figure here means anything".to_owned());
    }
    let mut targets = targets.to_vec();
    if !is_whole {
        for target in &mut targets {
            let is_measured = run.measurements().any(|(_, m)| m.metric == target.metric);
            target.required &= is_measured;
        }
    }
    run.targets = judge_all(&targets, run);
    run.recommendations = advice::recommend(run);
    run.overhead = Overhead {
        scope_cost_s: state.scope_cost_s,
        profiler_share: state
            .scope_cost_s
            .filter(|_| totals.cpu_s > 0.0)
            .map(|cost| cost * totals.scope_calls as f64 / totals.cpu_s),
    };
}

/// A scenario that left no result of its own.
pub(super) fn without_result(
    spec: &Spec,
    status: Status,
    reason: String,
    elapsed_s: f64,
) -> Scenario {
    Scenario {
        id: spec.id.to_owned(),
        suite: spec.suite.to_owned(),
        title: spec.title.to_owned(),
        config: BTreeMap::new(),
        status,
        reason: Some(reason),
        elapsed_s,
        measurements: Vec::new(),
        scopes: Vec::new(),
        timeline: Vec::new(),
        findings: Vec::new(),
        artifacts: Vec::new(),
    }
}
