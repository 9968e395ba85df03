//! One object that measures by a configuration and remembers what it found.

mod metrics;
mod regression;
mod report;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lob_metrics::{Direction, Finding, Measurement, Provenance, Reading, Severity, Unit};
use lob_profiler::{
    Diagnosis, KeyOrder, LineProfile, LineProfiler, Observed, Profile, ProfileGuard,
    ServiceFigures, co2_g, diagnose, flops_counted, key_averages_table, measurement,
};
use lob_scope::{ScopeStat, Unavailable, allocations_are_counted, track_scope_allocs};

pub use metrics::{ComputeMetrics, MemoryMetrics, ProfileMetrics, SystemMetrics, TimingMetrics};
pub use regression::{RegressionCheck, RegressionDetector, RegressionGuard, RegressionVerdict};
pub use report::ProfileReport;

use crate::system::SystemReading;
use crate::{ProfilerConfig, SensorValue, SystemMonitor, SystemReport, Tracked, sensor};

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

    /// What the system did around the profile: means over it, or for a short one the last look.
    fn add_system(&self, profile: &mut Profile, from_s: f64) {
        let Some(system) = &self.system else { return };
        for name in ["cpu.busy", "cpu.iowait", "pressure.io", "memory.used_share"] {
            let (unit, neutral) = (Unit::Fraction, Direction::Neutral);
            profile.measurements.push(match system.mean_since(name, from_s) {
                Ok((value, is_inside)) => {
                    let note = "the last look before it: the profile is shorter than the interval";
                    let note = (!is_inside).then(|| note.to_owned());
                    let mut figure = Measurement::measured(name, unit, neutral, &[value]);
                    figure.reading = Reading::Measured { value, note };
                    figure
                }
                Err(why) => Measurement::unavailable(name, unit, neutral, &why.reason),
            });
        }
        for mut series in system.timeline_since(from_s) {
            series.t_s.iter_mut().for_each(|t_s| *t_s -= from_s);
            profile.timeline.push(series);
        }
    }

    fn add_sensors(&self, profile: &mut Profile, before: &SystemReading, after: &SystemReading) {
        let tracked = self.config.tracked();
        if tracked == (Tracked { gpu: false, cpu_temp: false, network: false, energy: false }) {
            return;
        }
        let values = after.values_since(before);
        let wanted = |sensor: &&SensorValue| match sensor.name {
            name if name.starts_with("gpu.") => tracked.gpu,
            "cpu.temperature" | "cpu.frequency_hz" => tracked.cpu_temp,
            "network.received" | "network.sent" => tracked.network,
            _ => false,
        };
        for value in values.iter().filter(wanted) {
            let name = value.full_name();
            let reading = value.value.clone();
            profile.measurements.push(measurement(&name, value.unit, Direction::Neutral, reading));
        }
        if tracked.gpu {
            let used = SystemReading::gpu_memory_used;
            let most = used(before).into_iter().chain(used(after)).reduce(f64::max);
            let why = "no GPU says how much of its memory is used";
            let name = "gpu.peak_memory";
            let lower = Direction::LowerIsBetter;
            profile.measurements.push(match most {
                Some(bytes) => Measurement::measured(name, Unit::Bytes, lower, &[bytes]),
                None => Measurement::unavailable(name, Unit::Bytes, lower, why),
            });
        }
        // The fullest and busiest GPU under a name that does not depend on how many there are.
        for name in ["gpu.utilisation", "gpu.memory_share"] {
            let has = profile.measurements.iter().any(|m| m.metric == name);
            if let Some(value) = sensor(&values, name).filter(|_| !has && tracked.gpu) {
                let of = Measurement::measured(name, Unit::Fraction, Direction::Neutral, &[value]);
                profile.measurements.push(of);
            }
        }
        if self.config.track_carbon() {
            let joules = after.joules_since(before);
            profile.measurements.push(self.carbon(&joules));
            let lower = Direction::LowerIsBetter;
            profile.measurements.push(measurement("energy", Unit::Joules, lower, joules));
        }
    }

    fn carbon(&self, joules: &Result<f64, Unavailable>) -> Measurement {
        let (name, unit, direction) = ("co2_g", Unit::Count, Direction::LowerIsBetter);
        match (joules, self.config.grid_g_per_kwh()) {
            (Err(why), _) => Measurement::unavailable(name, unit, direction, &why.reason),
            (_, None) => {
                let reason = "no grid factor is stated: set `grid_g_per_kwh` to yours";
                Measurement::unavailable(name, unit, direction, reason)
            }
            (Ok(joules), Some(factor)) => {
                let how = format!("{joules:.1} J at {factor} g/kWh, the stated grid factor");
                Measurement::estimated(name, unit, direction, co2_g(*joules, factor), &how)
            }
        }
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

/// A profile under way; [`finish`](Self::finish) ends and remembers it. Dropped without, by a panic
/// or a `?`, it leaves nothing behind.
#[derive(Debug)]
#[must_use = "the profile is what `finish` returns"]
pub struct Profiling<'a> {
    // Declared first, so that it is dropped first: scopes end before what is around them.
    running: ProfileGuard,
    profiler: &'a PerformanceProfiler,
    from_s: f64,
    lines: Option<Result<LineProfiler, Unavailable>>,
    before: SystemReading,
    flops: u64,
    n_samples: Option<u64>,
}

impl Profiling<'_> {
    /// Says how many samples the work handles, from which its throughput follows.
    pub fn samples(&mut self, n_samples: u64) {
        self.n_samples = Some(n_samples);
    }

    /// Ends the profile, remembers it in its profiler and returns it.
    pub fn finish(self) -> Profile {
        let Self { running, profiler, from_s, lines, before, flops, n_samples } = self;
        let config = &profiler.config;
        let mut profile = running.finish();
        let (after, flops) =
            (SystemReading::take_tracked(config.tracked()), flops_counted() - flops);
        profiler.add_sensors(&mut profile, &before, &after);
        profiler.add_system(&mut profile, from_s);
        if let Some(n_samples) = n_samples {
            let rate = n_samples as f64 / profile.wall_s.max(1e-9);
            let (unit, higher) = (Unit::SamplesPerSecond, Direction::HigherIsBetter);
            profile.measurements.push(Measurement::measured("throughput", unit, higher, &[rate]));
        }
        if config.estimate_flops() {
            add_flops(&mut profile, flops);
        }
        let lines = match lines {
            Some(Ok(running)) => Some(running.stop()),
            Some(Err(why)) => {
                profile.findings.push(info(format!("no hot lines: {}", why.reason)));
                None
            }
            None => None,
        };
        profile.findings.extend(lines.iter().flat_map(LineProfile::findings));
        if !config.detailed_memory() {
            profile.allocs.clear();
        } else if let Err(why) = allocations_are_counted() {
            profile.findings.push(info(format!("no allocations: {}", why.reason)));
        }
        let mut all = profiler.done();
        if all.len() == MAX_PROFILES {
            all.pop_front();
        }
        all.push_back(Done { profile: profile.clone(), lines });
        drop(all);
        profile
    }
}

fn add_flops(profile: &mut Profile, flops: u64) {
    let (flops, wall_s) = (flops as f64, profile.wall_s);
    let neutral = Direction::Neutral;
    if flops > 0.0 {
        let how = "the sum of what the code reported by `count_flops`";
        profile.measurements.push(Measurement::estimated(
            "flops",
            Unit::Count,
            neutral,
            flops,
            how,
        ));
        let how = format!("{how}, over the wall time");
        let higher = Direction::HigherIsBetter;
        profile.measurements.push(Measurement::estimated(
            "flop_rate",
            Unit::FlopPerSecond,
            higher,
            flops / wall_s.max(1e-9),
            &how,
        ));
    } else {
        let reason = "the code reported no operations by `count_flops`";
        profile.measurements.push(Measurement::unavailable("flops", Unit::Count, neutral, reason));
    }
}

fn value_of(profile: &Profile, metric: &str) -> Option<f64> {
    let found = profile.measurements.iter().find(|m| m.metric == metric)?;
    found.value().filter(|_| found.provenance() != Provenance::Unavailable)
}

fn info(text: String) -> Finding {
    Finding { severity: Severity::Info, text }
}
