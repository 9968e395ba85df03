//! One object that measures by a configuration and remembers what it found.

mod metrics;
mod profiling;
mod regression;
mod report;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lob_metrics::{Finding, Provenance, Severity};
use lob_profiler::key_averages::{KeyOrder, key_averages_table};
use lob_profiler::{
    Diagnosis, LineProfile, LineProfiler, Observed, Profile, ProfileGuard, ServiceFigures,
    diagnose, flops_counted,
};
use lob_scope::{ScopeStat, Unavailable, track_scope_allocs};

pub use metrics::{ComputeMetrics, MemoryMetrics, ProfileMetrics, SystemMetrics, TimingMetrics};
pub use profiling::Profiling;
pub use regression::{RegressionCheck, RegressionDetector, RegressionGuard, RegressionVerdict};
pub use report::ProfileReport;

use crate::system::SystemReading;
use crate::{ProfilerConfig, SensorValue, SystemMonitor, SystemReport};

/// Profiles remembered; the oldest goes when one more comes.
const MAX_PROFILES: usize = 256;
/// Samples a second of the line profiler: odd, so as not to keep step with what it watches.
const LINES_HZ: u32 = 99;

/// Profiles work by the options of a [`ProfilerConfig`], each of which switches something on.
///
/// ```
/// use lob_watch::{PerformanceProfiler, ProfilerConfig};
/// let config = ProfilerConfig::builder().track_gpu(false).estimate_flops(true).build()?;
/// let profiler = PerformanceProfiler::new(config);
/// let sum: u64 = profiler.profile("sum", || {
///     lob_profiler::count_flops(1000);
///     (0..1000u64).sum()
/// });
/// assert_eq!(sum, 499_500);
/// let flops = profiler.value("sum", "flops").unwrap();
/// assert_eq!(flops, 1000.0);
/// # Ok::<(), lob_watch::WatchError>(())
/// ```
#[derive(Debug)]
pub struct PerformanceProfiler {
    config: ProfilerConfig,
    system: Option<SystemMonitor>,
    done: Mutex<VecDeque<Done>>,
}

#[derive(Debug, Clone)]
struct Done {
    profile: Profile,
    lines: Option<LineProfile>,
}

/// One operation's part of a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationTime {
    /// Names from the outermost scope, joined by `/`.
    pub path: String,
    /// Seconds in the operation itself, inner ones excluded, so that nothing counts twice.
    pub self_s: f64,
    /// Their share of all operations, 0..=1; the shares add up to 1.
    pub share: f64,
}

/// Memory and time of a function that handles samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleProfile {
    /// Samples handled.
    pub n_samples: u64,
    /// Resident memory before, in bytes.
    pub baseline_bytes: Option<f64>,
    /// Peak resident memory in bytes: of the function where the kernel can reset the peak.
    pub peak_bytes: Option<f64>,
    /// Wall time in seconds.
    pub total_s: f64,
    /// Samples per second.
    pub samples_per_s: f64,
}

impl SampleProfile {
    /// Memory added over the baseline, in bytes.
    #[must_use]
    pub fn increase_bytes(&self) -> Option<f64> {
        Some((self.peak_bytes? - self.baseline_bytes?).max(0.0))
    }

    /// Mean time of a sample in seconds.
    #[must_use]
    pub fn per_sample_s(&self) -> f64 {
        self.total_s / self.n_samples.max(1) as f64
    }

    /// The figures a readiness check takes.
    #[must_use]
    pub fn service_figures(&self) -> ServiceFigures {
        ServiceFigures {
            latency_s: Some(self.per_sample_s()),
            throughput_per_s: Some(self.samples_per_s),
            memory_bytes: self.increase_bytes(),
        }
    }
}

impl PerformanceProfiler {
    /// A profiler. With `track_system` it watches the system from now on, and with
    /// `detailed_memory` the process charges allocations to scopes from now on.
    #[must_use]
    pub fn new(config: ProfilerConfig) -> Self {
        if config.detailed_memory() {
            track_scope_allocs(true);
        }
        let system = config.track_system().then(|| SystemMonitor::start(&config));
        Self { config, system, done: Mutex::default() }
    }

    /// Runs `work` and remembers its profile under `name`, which may be made at run time, as in
    /// `request_17`. With the options: allocations per scope, energy and CO2, network traffic,
    /// temperature, GPU figures, operations, hot lines.
    pub fn profile<R>(&self, name: &str, work: impl FnOnce() -> R) -> R {
        let running = self.start(name);
        let result = work();
        running.finish();
        result
    }

    /// Begins a profile that lasts until [`Profiling::finish`], for work that is no closure. Profiles
    /// may nest and overlap, also across threads; each has the scopes of its own work.
    pub fn start(&self, name: &str) -> Profiling<'_> {
        let config = &self.config;
        let from_s = self.system.as_ref().map_or(0.0, SystemMonitor::elapsed_s);
        let lines = config.enable_line_profiling().then(|| LineProfiler::start(LINES_HZ));
        let before = SystemReading::take_tracked(config.tracked());
        let flops = flops_counted();
        let running = ProfileGuard::start(name, config.memory_interval());
        Profiling { running, profiler: self, from_s, lines, before, flops, n_samples: None }
    }

    /// Runs `work`, which handles `n_samples` samples, and says what each of them took.
    pub fn profile_samples<R>(
        &self,
        name: &str,
        n_samples: u64,
        work: impl FnOnce() -> R,
    ) -> (R, SampleProfile) {
        let baseline_bytes = lob_scope::rss_bytes().ok().map(|bytes| bytes as f64);
        let mut running = self.start(name);
        running.samples(n_samples);
        let result = work();
        let profile = running.finish();
        let sample_profile = SampleProfile {
            n_samples,
            baseline_bytes,
            peak_bytes: value_of(&profile, "peak_rss"),
            total_s: profile.wall_s,
            samples_per_s: n_samples as f64 / profile.wall_s.max(1e-9),
        };
        (result, sample_profile)
    }

    /// The latest profile of that name, or of any.
    #[must_use]
    pub fn metrics(&self, name: Option<&str>) -> Option<Profile> {
        self.latest(name).map(|done| done.profile)
    }

    /// The figures of the latest profile of that name, or of any, by name and type.
    #[must_use]
    pub fn figures(&self, name: Option<&str>) -> Option<ProfileMetrics> {
        self.latest(name).map(|done| ProfileMetrics::from(&done.profile))
    }

    /// A measured value of the latest profile of that name, such as `wall_time`.
    #[must_use]
    pub fn value(&self, name: &str, metric: &str) -> Option<f64> {
        self.latest(Some(name)).and_then(|done| value_of(&done.profile, metric))
    }

    /// Where the time of a profile went, dearest first.
    #[must_use]
    pub fn timing_breakdown(&self, name: Option<&str>) -> Vec<OperationTime> {
        let Some(Done { profile, .. }) = self.latest(name) else { return Vec::new() };
        let total: f64 = profile.scopes.iter().map(|scope| scope.self_s).sum();
        let part = |scope: &ScopeStat| OperationTime {
            path: scope.path.clone(),
            self_s: scope.self_s,
            share: if total > 0.0 { scope.self_s / total } else { 0.0 },
        };
        let mut parts: Vec<OperationTime> = profile.scopes.iter().map(part).collect();
        parts.sort_by(|a, b| b.self_s.total_cmp(&a.self_s));
        parts
    }

    /// The scopes of a profile by name as a table in text: calls, time, memory, shapes, sorted, at
    /// most `row_limit` rows. `None` without such a profile.
    #[must_use]
    pub fn key_averages(
        &self,
        name: Option<&str>,
        order: KeyOrder,
        row_limit: usize,
    ) -> Option<String> {
        self.latest(name).map(|done| key_averages_table(&done.profile, order, row_limit))
    }

    /// The lines a profile spent its time in; `None` where line profiling was off or unavailable,
    /// which the profile's findings then say.
    #[must_use]
    pub fn line_profile(&self, name: Option<&str>) -> Option<LineProfile> {
        self.latest(name).and_then(|done| done.lines)
    }

    /// Resident memory of this process now, in bytes.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub fn current_memory(&self) -> Result<u64, Unavailable> {
        lob_scope::rss_bytes()
    }

    /// Used bytes and their share of the fullest GPU now.
    ///
    /// # Errors
    /// Where `track_gpu` is off, there is no GPU or its driver does not tell.
    pub fn current_gpu_memory(&self) -> Result<(u64, f64), Unavailable> {
        if !self.config.tracked().gpu {
            return Err(Unavailable::new("`track_gpu` is off"));
        }
        let mut fullest: Option<(u64, f64)> = None;
        for gpu in lob_profiler::gpus()? {
            let reading = gpu.read()?;
            let (used, total) = (reading.used_bytes?, reading.total_bytes?);
            let share = used as f64 / total as f64;
            if fullest.is_none_or(|(_, most)| share > most) {
                fullest = Some((used, share));
            }
        }
        fullest.ok_or_else(|| Unavailable::new("there is no GPU"))
    }

    /// What the sensors say now; with `track_system` off a look over a hundredth of a second.
    #[must_use]
    pub fn current_system_stats(&self) -> Vec<SensorValue> {
        if let Some(system) = &self.system {
            return system.wait_for_values();
        }
        let before = SystemReading::take(self.config.tracked());
        std::thread::sleep(std::time::Duration::from_millis(10));
        SystemReading::take(self.config.tracked()).values_since(&before)
    }

    /// What the system did since the profiler began; `None` with `track_system` off.
    #[must_use]
    pub fn system_report(&self) -> Option<SystemReport> {
        self.system.as_ref().map(SystemMonitor::report)
    }

    /// Bottlenecks of a profile and the system around it, with advice.
    #[must_use]
    pub fn diagnose(&self, name: Option<&str>) -> Vec<Diagnosis> {
        let Some(Done { profile, .. }) = self.latest(name) else { return Vec::new() };
        let system = self.system_report();
        let mean = |name: &str| {
            let sensors = &system.as_ref()?.sensors;
            sensors.iter().find(|(sensor, ..)| sensor == name).map(|(_, _, mean, _)| *mean)
        };
        diagnose(&Observed {
            peak_ram_bytes: value_of(&profile, "peak_rss"),
            cpu_share: mean("cpu.busy"),
            io_wait_share: mean("pressure.io").or_else(|| mean("cpu.iowait")),
            gpu_utilisation: value_of(&profile, "gpu.utilisation"),
            gpu_memory_share: value_of(&profile, "gpu.memory_share"),
            ..Observed::default()
        })
    }

    fn latest(&self, name: Option<&str>) -> Option<Done> {
        let all = self.done();
        let mut newest = all.iter().rev();
        newest.find(|done| name.is_none_or(|name| done.profile.name == name)).cloned()
    }

    fn done(&self) -> MutexGuard<'_, VecDeque<Done>> {
        // Pushing and popping leave the list whole.
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn value_of(profile: &Profile, metric: &str) -> Option<f64> {
    let found = profile.measurements.iter().find(|m| m.metric == metric)?;
    found.value().filter(|_| found.provenance() != Provenance::Unavailable)
}

fn info(text: String) -> Finding {
    Finding { severity: Severity::Info, text }
}
