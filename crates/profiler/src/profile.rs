//! One stretch of work, measured from every side.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lob_metrics::{
    Direction, Finding, INSTRUCTIONS_REPEAT, Measurement, PEAK_RSS_REPEATS, Reading, Scenario,
    Severity, Status, Timeline, Unit,
};
use lob_scope::{
    OTHER_NAMES, ScopeAllocs, ScopeStat, Unavailable, dynamic_names_refused, enable, is_enabled,
    process_cpu_time_s, scope_named, scopes_dropped, take_scope_allocs, take_scopes,
    trace_events_lost,
};

use crate::{
    HardwareCounters, LeakConfig, LeakVerdict, MemoryScope, Sampler, ScopeMemory, context_switches,
    leak_report, page_faults, process_io,
};

/// What [`profile`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Name given to the work; also that of the scope around it.
    pub name: String,
    /// Wall time in seconds.
    pub wall_s: f64,
    /// `wall_time`, `cpu_time`, `cpu_share`, `peak_rss`, `page_faults.minor`, `page_faults.major`,
    /// `context_switches`, `disk_read`, `disk_written` and, of the calling thread and of those it
    /// started meanwhile, `instructions`, `cycles`, `cache_misses` and `branch_misses`: a value or
    /// the reason for none.
    pub measurements: Vec<Measurement>,
    /// Scopes entered meanwhile in the whole process, parents first.
    pub scopes: Vec<ScopeStat>,
    /// Allocations per scope, where [`lob_scope::track_scope_allocs`] is on and the program counts
    /// them.
    pub allocs: Vec<ScopeAllocs>,
    /// Memory and CPU over time.
    pub timeline: Vec<Timeline>,
    /// What stands out: growth of memory, records lost to limits.
    pub findings: Vec<Finding>,
}

/// Runs `work` inside a scope called `name` and reports on it. The sensors are read every
/// `interval`.
///
/// Scopes are switched on meanwhile and their earlier results are dropped; figures of the process
/// (CPU time, memory, faults) include what other threads do at the same time.
pub fn profile<R>(name: &str, interval: Duration, work: impl FnOnce() -> R) -> (R, Profile) {
    let was_on = is_enabled();
    enable(true);
    let _ = (take_scopes(), take_scope_allocs());
    // Without permission the peak is that of the whole process, which is then said.
    let memory = MemoryScope::enter();
    let counters = HardwareCounters::start();
    let sampler = Sampler::start(interval);
    let before = Counters::read();
    let start = Instant::now();
    let result = {
        let _scope = scope_named(name);
        work()
    };
    let wall_s = start.elapsed().as_secs_f64();
    let after = Counters::read();
    let (hardware, memory) = (counters.read(), memory.finish());
    let timeline = sampler.stop();
    enable(was_on);
    let mut measurements = after.since(&before, wall_s);
    measurements.push(peak(memory));
    for (name, count) in hardware.by_name() {
        let count = count.map(|count| count as f64);
        let figure = measurement(name, Unit::Count, Direction::LowerIsBetter, count);
        measurements.push(if name == "instructions" {
            figure.repeating_within(INSTRUCTIONS_REPEAT)
        } else {
            figure
        });
    }
    let findings = findings(&timeline);
    let (scopes, allocs) = (take_scopes(), take_scope_allocs().unwrap_or_default());
    let name = name.to_owned();
    (result, Profile { name, wall_s, measurements, scopes, allocs, timeline, findings })
}

impl Profile {
    /// The profile as a scenario of a [`lob_metrics::Run`].
    #[must_use]
    pub fn into_scenario(self, suite: &str) -> Scenario {
        Scenario {
            id: self.name.clone(),
            suite: suite.to_owned(),
            title: self.name,
            config: BTreeMap::new(),
            status: Status::Passed,
            reason: None,
            elapsed_s: self.wall_s,
            measurements: self.measurements,
            scopes: self.scopes.iter().map(scope_totals).collect(),
            timeline: self.timeline,
            findings: self.findings,
            artifacts: Vec::new(),
        }
    }
}

/// Warnings about the profiler's own limits since the process began: names refused, scopes and
/// events not recorded. Empty when nothing was lost.
#[must_use]
pub fn profiler_warnings() -> Vec<Finding> {
    let lost = [
        (
            dynamic_names_refused(),
            format!(
                "calls of scopes with new names were recorded as `{OTHER_NAMES}`; use fewer names"
            ),
        ),
        (
            scopes_dropped(),
            "calls were not recorded: a thread held too many different scopes".to_owned(),
        ),
        (
            trace_events_lost(),
            "trace events were lost; take the trace more often or give it more room".to_owned(),
        ),
    ];
    let warning = |(count, text): (u64, String)| {
        (count > 0)
            .then(|| Finding { severity: Severity::Warning, text: format!("{count} {text}") })
    };
    lost.into_iter().filter_map(warning).collect()
}

fn findings(timeline: &[Timeline]) -> Vec<Finding> {
    let mut findings = profiler_warnings();
    let memory = timeline.iter().find(|series| series.metric == "anon_rss");
    if let Some(series) = memory {
        let report = leak_report(&series.t_s, &series.values, LeakConfig::default());
        let severity = match report.verdict {
            LeakVerdict::Leak => Some(Severity::Warning),
            LeakVerdict::LevelsOff => Some(Severity::Info),
            _ => None,
        };
        findings.extend(severity.map(|severity| Finding { severity, text: report.text("second") }));
    }
    findings
}

/// Counters that only grow.
struct Counters {
    values: [(&'static str, Unit, Result<f64, Unavailable>); 6],
}

impl Counters {
    fn read() -> Self {
        let (faults, io) = (page_faults(), process_io());
        let switches = context_switches().map(|s| (s.voluntary + s.involuntary) as f64);
        let (minor, major) =
            (faults.clone().map(|f| f.minor as f64), faults.map(|f| f.major as f64));
        let read = io.clone().map(|io| io.disk_read_bytes as f64);
        let written = io.map(|io| io.disk_write_bytes as f64);
        Self {
            values: [
                ("cpu_time", Unit::Seconds, process_cpu_time_s()),
                ("page_faults.minor", Unit::Count, minor),
                ("page_faults.major", Unit::Count, major),
                ("context_switches", Unit::Count, switches),
                ("disk_read", Unit::Bytes, read),
                ("disk_written", Unit::Bytes, written),
            ],
        }
    }

    fn since(self, before: &Self, wall_s: f64) -> Vec<Measurement> {
        let better = Direction::LowerIsBetter;
        let mut out = vec![Measurement::measured("wall_time", Unit::Seconds, better, &[wall_s])];
        for ((name, unit, now), (.., then)) in self.values.into_iter().zip(&before.values) {
            let grown = now.and_then(|now| Ok(now - then.clone()?));
            if name == "cpu_time" {
                let share = grown.clone().map(|cpu_s| cpu_s / wall_s.max(1e-9));
                out.push(measurement("cpu_share", Unit::Fraction, Direction::Neutral, share));
            }
            out.push(measurement(name, unit, better, grown));
        }
        out
    }
}

/// The figures of a scope as a Run document keeps them.
#[must_use]
pub fn scope_totals(scope: &ScopeStat) -> lob_metrics::ScopeStat {
    lob_metrics::ScopeStat {
        path: scope.path.clone(),
        calls: scope.calls,
        total_s: scope.total_s,
        self_s: scope.self_s,
        min_s: scope.min_s,
        max_s: scope.max_s,
        p50_s: scope.p50_s,
        p95_s: scope.p95_s,
        p99_s: scope.p99_s,
    }
}

/// A measurement from a sensor: its value, or its reason.
pub fn measurement(
    name: &str,
    unit: Unit,
    direction: Direction,
    value: Result<f64, Unavailable>,
) -> Measurement {
    match value {
        Ok(value) => Measurement::measured(name, unit, direction, &[value]),
        Err(missing) => Measurement::unavailable(name, unit, direction, &missing.reason),
    }
}

fn peak(memory: ScopeMemory) -> Measurement {
    let bytes = memory.peak_rss_bytes.map(|bytes| bytes as f64);
    let mut peak = measurement("peak_rss", Unit::Bytes, Direction::LowerIsBetter, bytes);
    if let (Err(why), Some(value)) = (memory.own_peak, peak.value()) {
        let note = Some(format!("peak since the process began: {}", why.reason));
        peak.reading = Reading::Measured { value, note };
    }
    peak.repeating_within(PEAK_RSS_REPEATS)
}
