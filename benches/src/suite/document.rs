//! Assembling the Run document.

use std::collections::BTreeMap;

use lob_metrics::{
    Host, Overhead, Roof, Run, SCHEMA_VERSION, Scenario, Status, Target, Tool, judge_all,
};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

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
    let now = OffsetDateTime::now_utc();
    let started_at = now.format(&Rfc3339).unwrap_or_else(|_| now.unix_timestamp().to_string());
    let compiler = env!("LOB_RUSTC");
    let host: Host = lob_profiler::host((!compiler.is_empty()).then_some(compiler));
    let id = format!("{}-{}", now.unix_timestamp(), std::process::id());
    Run {
        schema_version: SCHEMA_VERSION,
        id,
        started_at,
        elapsed_s: 0.0,
        title: title(options),
        tool: Tool {
            name: "lob".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: options.build.revision.clone(),
            revision_unknown: options.build.revision_unknown.clone(),
            features: features(options),
            command: options.command.clone(),
        },
        host,
        roof: Roof::default(),
        inputs: Vec::new(),
        settings: settings(options),
        scenarios: Vec::new(),
        targets: Vec::new(),
        recommendations: Vec::new(),
        overhead: Overhead::default(),
        notes: Vec::new(),
    }
}

/// Cargo features, and `debug` for a build without optimisation.
fn features(options: &Options) -> Vec<String> {
    let debug = cfg!(debug_assertions).then(|| "debug".to_owned());
    options.build.features.iter().cloned().chain(debug).collect()
}

/// What the launch was asked for, so that it can be asked for again.
fn settings(options: &Options) -> BTreeMap<String, Value> {
    BTreeMap::from([
        ("quick".to_owned(), options.quick.into()),
        ("strict".to_owned(), options.strict.into()),
        ("seed".to_owned(), options.seed.into()),
        ("order_seed".to_owned(), options.order_seed.into()),
        ("workers".to_owned(), options.workers.into()),
        ("batch_sizes".to_owned(), options.batch_sizes.clone().into()),
        ("n_bins".to_owned(), options.n_bins.into()),
        ("device".to_owned(), serde_json::to_value(options.device).unwrap_or_default()),
    ])
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
