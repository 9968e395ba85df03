//! The sensors at an interval, with their alerts.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lob_metrics::{Timeline, Unit};
use lob_profiler::co2_g;
use lob_scope::Unavailable;

use super::counters::counters;
use super::{SensorValue, SystemReading, Tracked, sensor};
use crate::prometheus::page::Page;
use crate::{Alert, AlertEvent, ProfilerConfig};

/// Points kept per series; at this many every second one is dropped, as in [`lob_profiler::Sampler`].
const MAX_POINTS: usize = 4096;
/// The first values are there after this, whatever the interval.
const FIRST: Duration = Duration::from_millis(200);

/// Looks at the system at an interval until it is stopped or dropped.
///
/// ```
/// use lob_watch::{ProfilerConfig, SystemMonitor};
/// let config = ProfilerConfig::builder().system_interval(0.01).track_gpu(false).build()?;
/// let monitor = SystemMonitor::start(&config);
/// let values = monitor.wait_for_values();
/// assert!(values.iter().any(|sensor| sensor.name == "cpu.busy"));
/// # Ok::<(), lob_watch::WatchError>(())
/// ```
#[derive(Debug)]
pub struct SystemMonitor {
    shared: Arc<Shared>,
    running: Option<(Sender<()>, JoinHandle<()>)>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    first: SystemReading,
    started: Instant,
    grid_g_per_kwh: Option<f64>,
    tracked: Tracked,
}

#[derive(Debug)]
struct State {
    values: Vec<SensorValue>,
    joules: Result<f64, Unavailable>,
    alerts: Vec<Alert>,
    events: Vec<(Duration, &'static str, AlertEvent)>,
    series: Vec<Series>,
    looks: u64,
    /// Looks between two points of the series.
    stride: u64,
}

#[derive(Debug)]
struct Series {
    name: String,
    unit: Unit,
    t_s: Vec<f64>,
    values: Vec<f64>,
    sum: f64,
    n: u64,
    max: f64,
}

/// What a [`SystemMonitor`] saw.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemReport {
    /// Mean share of all cores in use, 0..=1.
    pub mean_cpu: Option<f64>,
    /// Largest share of the memory in use, 0..=1.
    pub peak_memory: Option<f64>,
    /// Mean and largest value of every sensor that had one, by its full name.
    pub sensors: Vec<(String, Unit, f64, f64)>,
    /// Every sensor that has none, with its reason.
    pub unavailable: Vec<(String, Unavailable)>,
    /// Joules used, of the processor packages and the GPUs.
    pub energy_j: Result<f64, Unavailable>,
    /// Grams of CO2 by the stated grid factor: an estimate.
    pub co2_g: Result<f64, Unavailable>,
    /// Alerts raised and cleared: seconds since the start, name, event.
    pub events: Vec<(f64, &'static str, AlertEvent)>,
}

impl SystemMonitor {
    /// Starts looking, by the options of `config`: what is tracked, how often, which thresholds.
    #[must_use]
    pub fn start(config: &ProfilerConfig) -> Self {
        let tracked = config.tracked();
        let first = SystemReading::take(tracked);
        let state = State {
            values: Vec::new(),
            joules: Err(Unavailable::new("the first reading is still to come")),
            alerts: config.alert_rules().into_iter().map(Alert::new).collect(),
            events: Vec::new(),
            series: Vec::new(),
            looks: 0,
            stride: 1,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            first,
            started: Instant::now(),
            grid_g_per_kwh: config.grid_g_per_kwh(),
            tracked,
        });
        let interval = config.system_interval();
        let (stop, stopped) = mpsc::channel();
        let theirs = Arc::clone(&shared);
        let body = move || {
            let mut before = theirs.first.clone();
            let mut wait = interval.min(FIRST);
            // A closed channel is a dropped monitor.
            while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                let now = SystemReading::take(tracked);
                theirs.take_in(&now, &before);
                before = now;
                wait = interval;
            }
        };
        let thread = std::thread::Builder::new().name("lob-system".to_owned()).spawn(body).ok();
        Self { shared, running: thread.map(|thread| (stop, thread)) }
    }

    /// What the sensors said last; empty until the first interval has passed.
    #[must_use]
    pub fn values(&self) -> Vec<SensorValue> {
        self.shared.state().values.clone()
    }

    /// As [`Self::values`], but waits for the first ones: an interval or 0.2 s, whichever is
    /// shorter. Empty where no thread could be started.
    #[must_use]
    pub fn wait_for_values(&self) -> Vec<SensorValue> {
        while self.running.as_ref().is_some_and(|(_, thread)| !thread.is_finished()) {
            let values = self.values();
            if !values.is_empty() {
                return values;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Vec::new()
    }

    /// Seconds since it was started: the clock of [`Self::timeline`].
    #[must_use]
    pub fn elapsed_s(&self) -> f64 {
        self.shared.started.elapsed().as_secs_f64()
    }

    /// The alerts as they stand.
    #[must_use]
    pub fn alerts(&self) -> Vec<Alert> {
        self.shared.state().alerts.clone()
    }

    /// What was seen so far.
    #[must_use]
    pub fn report(&self) -> SystemReport {
        self.shared.report()
    }

    /// Every sensor's series so far.
    #[must_use]
    pub fn timeline(&self) -> Vec<Timeline> {
        self.timeline_since(0.0)
    }

    /// Every sensor's series from a time on, without those that have no point there.
    pub(crate) fn timeline_since(&self, from_s: f64) -> Vec<Timeline> {
        let state = self.shared.state();
        let series = state.series.iter().filter_map(|series| {
            let first = series.t_s.partition_point(|t_s| *t_s < from_s);
            (first < series.t_s.len()).then(|| Timeline {
                metric: series.name.clone(),
                unit: series.unit,
                t_s: series.t_s[first..].to_vec(),
                values: series.values[first..].to_vec(),
            })
        });
        series.collect()
    }

    /// Mean of a sensor's points from a time on; where there are none, its last value, and `false`.
    pub(crate) fn mean_since(&self, name: &str, from_s: f64) -> Result<(f64, bool), Unavailable> {
        let state = self.shared.state();
        let series = state.series.iter().find(|series| series.name == name);
        let inside = series.map_or(&[][..], |series| {
            &series.values[series.t_s.partition_point(|t_s| *t_s < from_s)..]
        });
        if !inside.is_empty() {
            return Ok((inside.iter().sum::<f64>() / inside.len() as f64, true));
        }
        let last = state.values.iter().find(|value| value.name == name);
        let none = || Unavailable::new("the first look at the system is still to come");
        Ok((last.ok_or_else(none)?.value.clone()?, false))
    }

    /// The sensors and alerts as Prometheus text. A sensor without a value is left out and named,
    /// with its reason, by `lob_sensor_unavailable_info`.
    #[must_use]
    pub fn prometheus_text(&self) -> String {
        let mut page = Page::default();
        self.write_page(&mut page);
        page.finish()
    }

    pub(crate) fn write_page(&self, page: &mut Page) {
        let report = self.report();
        let state = self.shared.state();
        state.values.iter().for_each(|value| page.sensor(value));
        for counter in counters(self.shared.tracked) {
            let labels: Vec<(&str, &str)> = counter.label.into_iter().collect();
            page.add(counter.name, "counter", counter.help, &labels, counter.value);
        }
        state.alerts.iter().for_each(|alert| page.alert(alert));
        let help = "Energy of processor and GPUs since the monitor began, in joules.";
        if let Ok(joules) = report.energy_j {
            page.add("lob_energy_joules_total", "counter", help, &[], joules);
        }
        let help = "Estimated grams of CO2 since the monitor began, by the stated grid factor.";
        if let Ok(grams) = report.co2_g {
            page.add("lob_co2_grams_total", "counter", help, &[], grams);
        }
    }
}

impl Drop for SystemMonitor {
    fn drop(&mut self) {
        let Some((stop, thread)) = self.running.take() else { return };
        // The thread is there to receive it; should it have panicked, there is nothing to stop.
        let _ = stop.send(());
        let _ = thread.join();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can panic half-way through a change that matters.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_in(&self, now: &SystemReading, before: &SystemReading) {
        let values = now.values_since(before);
        let since_start = self.started.elapsed();
        let joules = now.joules_since(&self.first);
        let mut state = self.state();
        state.joules = joules;
        for value in &values {
            if let Ok(number) = value.value {
                state.add(value, since_start.as_secs_f64(), number);
            }
        }
        state.looks += 1;
        if state.series.iter().any(|series| series.t_s.len() >= MAX_POINTS) {
            state.series.iter_mut().for_each(Series::thin);
            state.stride *= 2;
        }
        let State { alerts, events, .. } = &mut *state;
        for alert in alerts {
            let observed = observed(&values, alert.rule().name);
            if let Some(event) = alert.observe(since_start, observed)
                && events.len() < MAX_POINTS
            {
                events.push((since_start, alert.rule().name, event));
            }
        }
        state.values = values;
    }

    fn report(&self) -> SystemReport {
        let state = self.state();
        let factor = self.grid_g_per_kwh.ok_or_else(|| {
            Unavailable::new("no grid factor is stated: set `grid_g_per_kwh` to yours")
        });
        let mean = |name: &str| {
            let series = state.series.iter().find(|series| series.name == name)?;
            Some((series.sum / series.n as f64, series.max))
        };
        let missing = state
            .values
            .iter()
            .filter_map(|sensor| Some((sensor.full_name(), sensor.value.as_ref().err()?.clone())));
        let seconds = |(at, name, event): &(Duration, _, _)| (at.as_secs_f64(), *name, *event);
        SystemReport {
            mean_cpu: mean("cpu.busy").map(|(mean, _)| mean),
            peak_memory: mean("memory.used_share").map(|(_, max)| max),
            sensors: state
                .series
                .iter()
                .map(|s| (s.name.clone(), s.unit, s.sum / s.n as f64, s.max))
                .collect(),
            unavailable: missing.collect(),
            energy_j: state.joules.clone(),
            co2_g: state.joules.clone().and_then(|joules| Ok(co2_g(joules, factor?))),
            events: state.events.iter().map(seconds).collect(),
        }
    }
}

/// The value an alert is about.
fn observed(values: &[SensorValue], alert: &str) -> Option<f64> {
    match alert {
        "cpu" => sensor(values, "cpu.busy"),
        "memory" => sensor(values, "memory.used_share"),
        // A kernel without pressure figures still counts the waiting of idle cores.
        "disk_io" => sensor(values, "pressure.io").or_else(|| sensor(values, "cpu.iowait")),
        "gpu_memory" => sensor(values, "gpu.memory_share"),
        "gpu_utilisation" => least_used_gpu(values),
        _ => None,
    }
}

/// The lowest utilisation of a GPU that some process computes on: an idle GPU nobody uses is no
/// cause for alarm.
fn least_used_gpu(values: &[SensorValue]) -> Option<f64> {
    let of = |name: &str, gpu| {
        values.iter().find(|s| s.name == name && s.gpu == gpu)?.value.as_ref().ok().copied()
    };
    let gpus = values.iter().filter(|sensor| sensor.name == "gpu.utilisation").map(|s| s.gpu);
    let used = gpus.filter(|gpu| of("gpu.processes", *gpu).is_some_and(|n| n > 0.0));
    used.filter_map(|gpu| of("gpu.utilisation", gpu)).reduce(f64::min)
}

impl State {
    fn add(&mut self, sensor: &SensorValue, t_s: f64, value: f64) {
        let name = sensor.full_name();
        let keeps = self.looks.is_multiple_of(self.stride);
        let found = self.series.iter().position(|series| series.name == name);
        let index = found.unwrap_or_else(|| {
            let unit = sensor.unit;
            let (t_s, values) = (Vec::new(), Vec::new());
            self.series.push(Series { name, unit, t_s, values, sum: 0.0, n: 0, max: f64::MIN });
            self.series.len() - 1
        });
        let series = &mut self.series[index];
        series.sum += value;
        series.n += 1;
        series.max = series.max.max(value);
        if keeps {
            series.t_s.push(t_s);
            series.values.push(value);
        }
    }
}

impl Series {
    fn thin(&mut self) {
        let every_second = |values: &[f64]| values.iter().copied().step_by(2).collect();
        self.t_s = every_second(&self.t_s);
        self.values = every_second(&self.values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &'static str, gpu: Option<u32>, value: f64) -> SensorValue {
        SensorValue { name, gpu, unit: Unit::Fraction, value: Ok(value) }
    }

    #[test]
    fn only_a_gpu_in_use_can_be_used_too_little() {
        let values = [
            value("gpu.utilisation", Some(0), 0.0),
            value("gpu.processes", Some(0), 0.0),
            value("gpu.utilisation", Some(1), 0.6),
            value("gpu.processes", Some(1), 1.0),
        ];
        assert_eq!(observed(&values, "gpu_utilisation"), Some(0.6));
        assert_eq!(observed(&values[..2], "gpu_utilisation"), None);
        assert_eq!(observed(&[value("cpu.iowait", None, 0.3)], "disk_io"), Some(0.3));
    }

    #[test]
    fn a_long_watch_stays_bounded_and_its_mean_exact() {
        let config = ProfilerConfig::builder().track_gpu(false).build().unwrap();
        let monitor = SystemMonitor::start(&config);
        let mut state = monitor.shared.state();
        state.series.clear();
        for n in 0..20_000u32 {
            state.add(&value("x", None, f64::from(n % 2)), f64::from(n), f64::from(n % 2));
            state.looks += 1;
            if state.series[0].t_s.len() >= MAX_POINTS {
                state.series[0].thin();
                state.stride *= 2;
            }
        }
        let series = &state.series[0];
        assert!(series.t_s.len() < MAX_POINTS && series.t_s.is_sorted());
        assert!((series.sum / series.n as f64 - 0.5).abs() < 1e-12);
        drop(state);
    }
}
