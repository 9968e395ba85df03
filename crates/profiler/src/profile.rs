//! One stretch of work, measured from every side.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use lob_metrics::{
    Direction, Finding, INSTRUCTIONS_REPEAT, Measurement, PEAK_RSS_REPEATS, Reading, Scenario,
    Severity, Status, Timeline, Unit,
};
use lob_scope::{
    MAX_SCOPES_PER_THREAD, OTHER_NAMES, RecordedScopes, ScopeAllocs, ScopeGuard, ScopeRecording,
    ScopeShapes, ScopeStat, Unavailable, dynamic_names_refused, process_cpu_time_s, scopes_dropped,
    trace_events_lost,
};

use crate::perf::HardwareSnapshot;
use crate::sensors::faults_and_switches;
use crate::{
    ContextSwitches, HardwareReading, LeakConfig, LeakVerdict, MemoryScope, PageFaults, Sampler,
    ScopeMemory, leak_report, process_io,
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
    /// Scopes of the work, parents first; see [`profile()`] for those of other threads.
    pub scopes: Vec<ScopeStat>,
    /// Allocations per scope, where [`lob_scope::track_scope_allocs`] is on and the program counts
    /// them.
    pub allocs: Vec<ScopeAllocs>,
    /// Shapes per scope, where [`lob_scope::record_shapes`] is on and the code says them.
    pub shapes: Vec<ScopeShapes>,
    /// Memory and CPU over time.
    pub timeline: Vec<Timeline>,
    /// What stands out: growth of memory, records lost to limits.
    pub findings: Vec<Finding>,
}

/// Runs `work` inside a scope called `name` and reports on it. The sensors are read every
/// `interval`.
///
/// Scopes are on meanwhile. Profiles may nest and overlap, also across threads: each has the scopes
/// of its own work, and those of threads that are in no profile, such as workers it has started
/// ([`ScopeRecording`]). Figures of the process (CPU time, memory, faults) include what other
/// threads do at the same time. A profile itself costs some ten microseconds.
///
/// When `work` panics there is no profile, and nothing stays switched on.
pub fn profile<R>(name: &str, interval: Duration, work: impl FnOnce() -> R) -> (R, Profile) {
    let running = ProfileGuard::start(name, interval);
    let result = work();
    (result, running.finish())
}

/// A profile of what happens until [`finish`](Self::finish), on the thread that started it.
///
/// Dropped without it, by a panic or a `?`, it leaves nothing behind.
///
/// ```
/// use std::time::Duration;
/// let running = lob_profiler::ProfileGuard::start("load", Duration::from_millis(5));
/// drop(lob_scope::scope("parse"));
/// let profile = running.finish();
/// assert_eq!(profile.scopes[1].path, "load/parse");
/// ```
#[derive(Debug)]
#[must_use = "the profile is what `finish` returns"]
pub struct ProfileGuard {
    // Declared first, so that it is dropped first: the scope ends before its recording.
    scope: ScopeGuard,
    running: Running,
    hardware: HardwareSnapshot,
}

impl ProfileGuard {
    /// Begins a profile called `name`; the sensors are read every `interval`.
    pub fn start(name: &str, interval: Duration) -> Self {
        let running = Running::start(name, interval);
        let hardware = HardwareSnapshot::take();
        Self { scope: running.recording.enter(), running, hardware }
    }

    /// Ends it.
    #[must_use]
    pub fn finish(self) -> Profile {
        let Self { scope, running, hardware } = self;
        drop(scope);
        running.finish(hardware.elapsed())
    }
}

/// A future that is profiled from its first poll to its end: wall time, the figures of the process
/// and the scopes of its polls, on whatever threads they run.
///
/// What the CPU counts is counted by thread and therefore unavailable.
///
/// ```
/// use std::{pin::pin, task::{Context, Poll, Waker}, time::Duration};
/// let work = async { lob_scope::scope_named("step"); 42 };
/// let mut task = pin!(lob_profiler::ProfiledFuture::new("answer", Duration::from_millis(5), work));
/// let Poll::Ready((answer, profile)) = task.as_mut().poll(&mut Context::from_waker(Waker::noop()))
/// else { panic!("it waits for nothing") };
/// assert_eq!((answer, profile.scopes[0].path.as_str()), (42, "answer"));
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ProfiledFuture<F> {
    name: String,
    interval: Duration,
    running: Option<Running>,
    future: Pin<Box<F>>,
}

impl<F: Future> ProfiledFuture<F> {
    /// Wraps a future; the sensors are read every `interval`.
    pub fn new(name: &str, interval: Duration, future: F) -> Self {
        Self { name: name.to_owned(), interval, running: None, future: Box::pin(future) }
    }
}

impl<F: Future> Future for ProfiledFuture<F> {
    type Output = (F::Output, Profile);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let running = this.running.get_or_insert_with(|| Running::start(&this.name, this.interval));
        let poll = {
            let _scope = running.recording.enter();
            this.future.as_mut().poll(context)
        };
        poll.map(|result| {
            let running = this.running.take().expect("it was started above");
            (result, running.finish(HardwareReading::none("a future moves between threads")))
        })
    }
}

/// What a profile reads at its beginning.
#[derive(Debug)]
struct Running {
    name: String,
    recording: ScopeRecording,
    memory: MemoryScope,
    sampler: Sampler,
    before: Counters,
    start: Instant,
}

impl Running {
    fn start(name: &str, interval: Duration) -> Self {
        let recording = ScopeRecording::start(name);
        // Without permission the peak is that of the whole process, which is then said.
        let memory = MemoryScope::enter();
        let sampler = Sampler::start(interval);
        let before = Counters::read();
        Self { name: name.to_owned(), recording, memory, sampler, before, start: Instant::now() }
    }

    fn finish(self, hardware: HardwareReading) -> Profile {
        let wall_s = self.start.elapsed().as_secs_f64();
        let after = Counters::read();
        let memory = self.memory.finish();
        let timeline = self.sampler.stop();
        let mut measurements = after.since(&self.before, wall_s);
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
        let RecordedScopes { scopes, allocs, shapes } = self.recording.finish();
        let allocs = allocs.unwrap_or_default();
        let name = self.name;
        Profile { name, wall_s, measurements, scopes, allocs, shapes, timeline, findings }
    }
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
            format!(
                "calls of scopes were recorded as `{OTHER_NAMES}` or left to the scope around them: \
                 a thread held {MAX_SCOPES_PER_THREAD} different ones; use fewer names"
            ),
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
#[derive(Debug)]
struct Counters {
    values: [(&'static str, Unit, Result<f64, Unavailable>); 6],
}

impl Counters {
    fn read() -> Self {
        let (usage, io) = (faults_and_switches(), process_io());
        let of = |count: fn(&(PageFaults, ContextSwitches)) -> u64| {
            usage.as_ref().map(|usage| count(usage) as f64).map_err(Clone::clone)
        };
        let switches = of(|(_, switches)| switches.voluntary + switches.involuntary);
        let (minor, major) = (of(|(faults, _)| faults.minor), of(|(faults, _)| faults.major));
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
