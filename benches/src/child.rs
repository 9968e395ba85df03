//! One scenario in a process of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lob_metrics::{
    Direction, Measurement, PEAK_RSS_REPEATS, REFERENCE, Role, Scenario, Status, Unit,
};

use crate::reference;
use crate::scenario::{self, Bench, Recorder};
use crate::state::{Job, JobResult, read_json, write_json};
use crate::trace::trace_file;

/// Interval of the memory and CPU timeline.
const TIMELINE_INTERVAL: Duration = Duration::from_millis(20);
/// Scopes of a thread that a trace holds at most; a launch has some forty processes.
const EVENTS_PER_THREAD: usize = 4096;

/// Reads a job document, runs its scenario and writes the result document beside it.
///
/// A scenario that fails is a result, not an error.
///
/// # Errors
/// The job cannot be read, names an unknown scenario, or the result cannot be written.
pub fn run_child(job_path: &Path, result_path: &Path) -> Result<()> {
    let Job { id, options, mut state } = read_json(job_path)?;
    let spec = scenario::find(&id).with_context(|| format!("no scenario is called `{id}`"))?;
    let work = job_path.parent().unwrap_or(Path::new("."));
    let mut rec = Recorder::default();

    // The self-test starts hundreds of launches and has its own reference: the baseline.
    let is_listed = state.self_test.is_none();
    let mut reference_s = if is_listed { reference::burst() } else { Vec::new() };
    let cpu_before = lob_scope::process_cpu_time_s();
    lob_scope::enable(true);
    if options.trace.is_some() {
        lob_scope::enable_trace(EVENTS_PER_THREAD);
    }
    let sampler = lob_profiler::Sampler::start(TIMELINE_INTERVAL);
    let started = Instant::now();
    let outcome = {
        let _scope = lob_scope::scope(spec.id);
        (spec.run)(&mut Bench { options: &options, state: &mut state, work, rec: &mut rec })
    };
    let elapsed_s = started.elapsed().as_secs_f64();
    let timeline = sampler.stop();
    lob_scope::disable_trace();
    lob_scope::enable(false);
    let scopes = lob_scope::take_scopes();
    let cpu = lob_scope::process_cpu_time_s().and_then(|after| Ok(after - cpu_before?));

    if let Some(format) = options.trace {
        let document = format.document(&lob_scope::take_trace(), spec.id);
        lob_runs::write_file(&trace_file(work, spec.id), document.as_bytes())?;
    }
    if rec.skipped.is_none() && is_listed {
        reference_s.extend(reference::burst());
        let metric = format!("{}.{REFERENCE}", spec.id);
        let neutral = Direction::Neutral;
        let burst = Measurement::measured(&metric, Unit::Seconds, neutral, &reference_s);
        rec.add(burst.with_role(Role::Reference));
        let peak_rss = lob_scope::peak_rss_bytes().map(|bytes| bytes as f64);
        let peak = process_metric(spec.id, "peak_rss", Unit::Bytes, peak_rss);
        rec.add(peak.with_role(Role::PeakRss).repeating_within(PEAK_RSS_REPEATS));
        let cpu_time = process_metric(spec.id, "cpu_time", Unit::Seconds, cpu.clone());
        rec.add(cpu_time.with_role(Role::CpuTime));
        let elapsed = process_metric(spec.id, "elapsed", Unit::Seconds, Ok(elapsed_s));
        rec.add(elapsed.with_role(Role::Elapsed));
    }
    for m in rec.measurements.iter_mut().filter(|m| spec.main.contains(&m.metric.as_str())) {
        m.role = Role::Headline;
    }
    let (status, reason) = match outcome {
        Ok(()) => match rec.skipped {
            None => match spec.missing(&rec.measurements) {
                None => (Status::Passed, None),
                Some(why) => (Status::Partly, Some(why)),
            },
            Some(why) => (Status::Skipped, Some(why)),
        },
        Err(error) => (Status::Failed, Some(format!("{error:#}"))),
    };
    let scope_calls = scopes.iter().map(|s| s.calls).sum();
    let scenario = Scenario {
        id,
        suite: spec.suite.to_owned(),
        title: spec.title.to_owned(),
        config: rec.config,
        status,
        reason,
        elapsed_s,
        measurements: rec.measurements,
        scopes: scopes.iter().map(lob_profiler::scope_totals).collect(),
        timeline,
        findings: rec.findings,
        artifacts: rec.artifacts,
    };
    write_json(result_path, &JobResult { scenario, state, cpu_s: cpu.ok(), scope_calls })
}

fn process_metric(
    id: &str,
    name: &str,
    unit: Unit,
    value: Result<f64, lob_scope::Unavailable>,
) -> Measurement {
    let metric = format!("{id}.{name}");
    match value {
        Ok(value) => Measurement::measured(&metric, unit, Direction::LowerIsBetter, &[value]),
        Err(missing) => {
            Measurement::unavailable(&metric, unit, Direction::LowerIsBetter, &missing.to_string())
        }
    }
}
