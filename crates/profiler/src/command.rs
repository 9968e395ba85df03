//! Profiling any program from outside: what it used, what it waited for, whether it leaks.

mod adopt;
mod attach;
#[cfg(target_os = "linux")]
mod call;
#[cfg(target_os = "linux")]
mod chain;
mod chrome;
mod cost;
#[cfg(target_os = "linux")]
mod descriptor;
mod doing;
mod heap;
mod lanes;
mod options;
mod spawn;
mod tables;
#[cfg(target_os = "linux")]
mod thread;
#[cfg(target_os = "linux")]
mod threads;
#[cfg(not(target_os = "linux"))]
#[path = "command/threads_elsewhere.rs"]
mod threads;
mod tree;
#[cfg(target_os = "linux")]
mod unix_peer;
mod verdict;
mod wait;
mod waits;
mod watch;

use std::collections::BTreeMap;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use lob_metrics::{Direction, Measurement, Scenario, Status, Timeline, Unit};
use lob_scope::{Unavailable, cores, thread_cpu_time_s};

use crate::profile::measurement;
use crate::stacks::{ChildSampler, HeapProfile};
use crate::{
    HardwareCounters, HardwareReading, LeakConfig, LeakReport, LineProfile, ProfilerError,
    leak_report,
};
pub use cost::CommandCost;
pub use options::CommandOptions;
use tree::Sample;
pub use verdict::Bound;
use wait::Usage;
use watch::{End, Watched};

/// Stacks sampled per second of CPU time; not a divisor of a thousand, so that nothing periodic in
/// the program keeps step with it.
const STACKS_HZ: u32 = 499;

/// What [`profile_command`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandProfile {
    /// How the program ended.
    pub status: ExitStatus,
    /// Whether it runs on: it was there before, and the profile was to end before it.
    pub left_running: bool,
    /// Whether it was ended since its time was over (`CommandOptions::duration`).
    pub time_was_over: bool,
    /// What limited it.
    pub bound: Bound,
    /// Whether its memory grew to the end.
    pub leak: LeakReport,
    /// Where its CPU time went, by line, function and stack, or why that is not known.
    pub lines: Result<LineProfile, Unavailable>,
    /// Which lines touched new memory first, two megabytes a sample, or why that is not known.
    pub memory_lines: Result<LineProfile, Unavailable>,
    /// What it allocated and did not free, or why that is not known; `None` where it was not asked
    /// for.
    pub heap: Option<Result<HeapProfile, Unavailable>>,
    /// Everything measured, for a [`lob_metrics::Run`]. Failed if the program did.
    pub scenario: Scenario,
}

/// Runs a program to its end and measures it and its descendants from outside, every `interval`
/// (a millisecond at least).
///
/// Totals (CPU time, faults, switches) are the kernel's own accounts and exact; peaks and shares of
/// memory, threads and waits are sampled, so a program that ends within a few intervals shows
/// little of them. With the feature `lines`, and where the kernel allows performance events, the
/// stacks are sampled too, 499 times per second of CPU time: lines with more than
/// [`crate::HOT_LINE`] of the samples are among the findings. Descendants that leave the family (daemons) count while they are first seen
/// inside it. The program's standard streams are the caller's: inherit or redirect them, since
/// nobody reads a pipe here.
///
/// Outside Linux only the wall time is measured; the rest is unavailable.
///
/// # Errors
/// When the program cannot be started or waited for. A program that fails is no error.
///
/// ```
/// use std::{process::Command, time::Duration};
/// let found = lob_profiler::profile_command(Command::new("true"), Duration::from_millis(5))?;
/// assert!(found.status.success());
/// assert_eq!(found.scenario.measurements[0].metric, "command.wall_time");
/// # Ok::<(), lob_profiler::ProfilerError>(())
/// ```
pub fn profile_command(
    command: Command,
    interval: Duration,
) -> Result<CommandProfile, ProfilerError> {
    profile_command_with(command, &CommandOptions::every(interval))
}

/// As [`profile_command`], with a choice of what is looked at.
///
/// # Errors
/// As [`profile_command`].
pub fn profile_command_with(
    mut command: Command,
    options: &CommandOptions,
) -> Result<CommandProfile, ProfilerError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let cpu_before = thread_cpu_time_s();
    let adopts_orphans = options.adopts_orphans && adopt::adopt();
    let options = &CommandOptions { adopts_orphans, ..options.clone() };
    // All wait for the next program this thread starts.
    let stacks = if options.stacks {
        [ChildSampler::of_new_memory(), ChildSampler::of_cpu_time(STACKS_HZ)]
    } else {
        let missing = || Err(Unavailable::new("stacks were not asked for"));
        [missing(), missing()]
    };
    let counters = HardwareCounters::of_next_program();
    let heap = heap::prepare(&mut command, options.allocs);
    let start = Instant::now();
    let started = spawn::spawn(&mut command)
        .map_err(|source| ProfilerError::Start { program: program.clone(), source })?;
    let waiting = |source| ProfilerError::Wait { program: program.clone(), source };
    let watched = watch::started(started.pid, start, options).map_err(waiting)?;
    let mut usage = wait::reap(started).map_err(waiting)?;
    usage.add(watched.unclaimed_s());
    // What watching has cost this thread; the samplers of stacks have their own.
    let watching = thread_cpu_time_s().and_then(|now| Ok(now - cpu_before?));
    let hardware = counters.read();
    let [memory_lines, lines] = stacks.map(|sampler| sampler.map(ChildSampler::finish));
    let ended = Ended { watched, usage, watching, hardware, lines, memory_lines };
    let argument = |arg: &std::ffi::OsStr| arg.to_string_lossy().into_owned().into();
    let arguments = command.get_args().map(argument).collect();
    let mut profile = ended.profile(&program, arguments, None);
    profile.add_heap(heap::finish(heap));
    Ok(profile)
}

/// Everything known once the program has ended.
struct Ended {
    watched: Watched,
    usage: Usage,
    watching: Result<f64, Unavailable>,
    hardware: HardwareReading,
    lines: Result<LineProfile, Unavailable>,
    memory_lines: Result<LineProfile, Unavailable>,
}

impl Ended {
    /// `pid`: of a program that ran already.
    fn profile(
        mut self,
        program: &str,
        arguments: Vec<serde_json::Value>,
        pid: Option<u32>,
    ) -> CommandProfile {
        let cpu_s = self.usage.cpu_s();
        self.account_for_samplers(cpu_s.as_ref().ok().copied());
        let Watched { wall_s, samples, waits, .. } = &self.watched;
        let shares = verdict::Shares::of(waits, samples, *wall_s);
        let cpu_share = cpu_s.clone().map(|cpu_s| cpu_s / wall_s.max(1e-9));
        let bound = verdict::bound(cpu_share.as_ref().ok().copied(), &shares);
        let (t_s, anon): (Vec<f64>, Vec<f64>) =
            samples.iter().filter_map(|s| Some((s.t_s, s.anon_rss?))).unzip();
        let (reserved_t_s, reserved): (Vec<f64>, Vec<f64>) =
            samples.iter().filter_map(|s| Some((s.t_s, s.reserved?))).unzip();
        let leak =
            leak_report(&t_s, &anon, LeakConfig::default()).with_reserved(&reserved_t_s, &reserved);
        let mut findings = vec![verdict::finding(bound, cpu_share.as_ref().ok(), &shares)];
        findings.extend(verdict::end_findings(&self.watched));
        findings.extend(verdict::leak_findings(&leak, &self.memory_lines));
        findings.extend(verdict::line_findings(bound, &self.lines));
        let status = self.usage.status;
        let is_asked = self.watched.end != End::Itself;
        let has_failed = !status.success() && !is_asked;
        let mut config = BTreeMap::from([
            ("program".to_owned(), program.into()),
            ("arguments".to_owned(), arguments.into()),
            ("samples".to_owned(), samples.len().into()),
            ("bound".to_owned(), bound.word().into()),
        ]);
        config.extend(pid.map(|pid| ("pid".to_owned(), pid.into())));
        let functions = self.lines.as_ref().ok().and_then(LineProfile::functions_artifact);
        let scenario = Scenario {
            id: "command".to_owned(),
            suite: "profile".to_owned(),
            title: program.to_owned(),
            config,
            status: if has_failed { Status::Failed } else { Status::Passed },
            reason: has_failed.then(|| format!("`{program}` ended with {status}")),
            elapsed_s: *wall_s,
            measurements: self.measurements(cpu_s, &cpu_share, &shares),
            scopes: Vec::new(),
            timeline: timelines(samples),
            findings,
            artifacts: tables::of_waits(waits).into_iter().chain(functions).collect(),
        };
        CommandProfile {
            status,
            left_running: pid.is_some() && is_asked,
            time_was_over: pid.is_none() && self.watched.end == End::TimeUp,
            bound,
            leak,
            lines: self.lines,
            memory_lines: self.memory_lines,
            heap: None,
            scenario,
        }
    }

    /// What the samples are of, and what taking them has cost.
    fn account_for_samplers(&mut self, cpu_s: Option<f64>) {
        if let Ok(lines) = &mut self.lines {
            lines.cpu_time_s = cpu_s;
        }
        for lines in [&self.memory_lines, &self.lines].into_iter().flatten() {
            if let Ok(watching) = &mut self.watching {
                *watching += lines.profiler_cpu_s;
            }
        }
    }

    fn measurements(
        &self,
        cpu_s: Result<f64, Unavailable>,
        cpu_share: &Result<f64, Unavailable>,
        shares: &verdict::Shares<'_>,
    ) -> Vec<Measurement> {
        use Unit::{Bytes, Count, Fraction, Seconds};
        let usage = &self.usage;
        let mut out = Vec::new();
        let mut add = |name: &str, unit, value| {
            // What the profiler itself did is no property of the program.
            let is_neutral =
                unit == Fraction || ["stack_samples", "profiler_cpu_time"].contains(&name);
            let direction = if is_neutral { Direction::Neutral } else { Direction::LowerIsBetter };
            out.push(measurement(&format!("command.{name}"), unit, direction, value));
        };
        add("wall_time", Seconds, Ok(self.watched.wall_s));
        add("cpu_time", Seconds, cpu_s);
        add("user_time", Seconds, usage.user_s.clone());
        add("system_time", Seconds, usage.system_s.clone());
        add("cpu_share", Fraction, cpu_share.clone());
        add("peak_rss", Bytes, self.peak(|s| s.rss));
        add("peak_process_rss", Bytes, usage.max_rss_bytes.clone());
        add("threads", Count, self.peak(|s| Some(s.threads)));
        add("processes", Count, self.peak(|s| Some(s.processes)));
        add("page_faults.minor", Count, usage.minor_faults.clone());
        add("page_faults.major", Count, usage.major_faults.clone());
        add("context_switches.voluntary", Count, usage.voluntary_switches.clone());
        add("context_switches.involuntary", Count, usage.involuntary_switches.clone());
        let io = |part: fn(crate::ProcessIo) -> u64| usage.io.clone().map(|io| part(io) as f64);
        add("read", Bytes, io(|io| io.read_bytes));
        add("written", Bytes, io(|io| io.write_bytes));
        add("disk_read", Bytes, io(|io| io.disk_read_bytes));
        add("disk_written", Bytes, io(|io| io.disk_write_bytes));
        for (name, share) in shares.by_name() {
            add(&name, Fraction, share);
        }
        for (name, count) in self.hardware.clone().by_name() {
            add(name, Count, count.map(|count| count as f64));
        }
        let taken = self.lines.as_ref().map(|lines| lines.samples as f64);
        add("stack_samples", Count, taken.map_err(Clone::clone));
        add("profiler_cpu_time", Seconds, self.watching.clone());
        out
    }

    fn peak(&self, value: impl Fn(&Sample) -> Option<f64>) -> Result<f64, Unavailable> {
        let peak = self.watched.samples.iter().filter_map(value).reduce(f64::max);
        peak.ok_or_else(|| Unavailable::new("no sample was taken of `/proc` while it ran"))
    }
}

fn timelines(samples: &[Sample]) -> Vec<Timeline> {
    let series = |metric: &str, unit, points: Vec<(f64, f64)>| {
        let (t_s, values): (Vec<f64>, Vec<f64>) = points.into_iter().unzip();
        (!values.is_empty()).then(|| Timeline { metric: metric.to_owned(), unit, t_s, values })
    };
    let plain = |value: fn(&Sample) -> Option<f64>| -> Vec<(f64, f64)> {
        samples.iter().filter_map(|s| Some((s.t_s, value(s)?))).collect()
    };
    let rate = |value: fn(&Sample) -> Option<f64>, per: f64| -> Vec<(f64, f64)> {
        let change = |pair: &[Sample]| {
            let (from, to) = (value(&pair[0])?, value(&pair[1])?);
            let passed = pair[1].t_s - pair[0].t_s;
            (passed > 0.0).then(|| (pair[1].t_s, ((to - from) / passed / per).max(0.0)))
        };
        samples.windows(2).filter_map(change).collect()
    };
    let cores = cores().map_or(1.0, f64::from);
    [
        series("rss", Unit::Bytes, plain(|s| s.rss)),
        series("anon_rss", Unit::Bytes, plain(|s| s.anon_rss)),
        series("cpu_share", Unit::Fraction, rate(|s| Some(s.cpu_s), cores)),
        series("disk_read", Unit::BytesPerSecond, rate(|s| s.disk_read_bytes, 1.0)),
        series("disk_written", Unit::BytesPerSecond, rate(|s| s.disk_write_bytes, 1.0)),
        series("threads", Unit::Count, plain(|s| Some(s.threads))),
    ]
    .into_iter()
    .flatten()
    .collect()
}
