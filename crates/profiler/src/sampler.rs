//! The cheap sensors of this process as series.

use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use lob_metrics::{Timeline, Unit};

use lob_scope::{cores, process_cpu_time_s, resident_and_anonymous_bytes};

/// Points kept per series. At this many, every second one is dropped and the interval doubles, so
/// a run of any length ends with at most this many, evenly spaced.
const MAX_POINTS: usize = 4096;
/// Shortest interval accepted: below, the sampler would be a load of its own.
const MIN_INTERVAL: Duration = Duration::from_millis(1);
/// How long the thread waits for more work before it ends.
const LINGER: Duration = Duration::from_secs(1);

/// One thread reads the sensors for all samplers: to start one costs a point, not a thread.
static SHARED: Mutex<Shared> =
    Mutex::new(Shared { next: 0, thread: None, wakes_at: None, series: Vec::new() });
static EARLIER: Condvar = Condvar::new();

struct Shared {
    next: u64,
    /// The process whose thread reads; a child made by `fork` has none.
    thread: Option<u32>,
    /// When the thread looks next.
    wakes_at: Option<Instant>,
    series: Vec<Series>,
}

fn shared() -> MutexGuard<'static, Shared> {
    // Points are pushed whole.
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Samples resident memory and CPU use of this process until it is stopped or dropped.
///
/// Series, each left out where its sensor is unavailable: `rss` and `anon_rss` in bytes, and
/// `cpu_share`, the CPU time used since the point before as a fraction of all cores the process
/// may use (1.0 = all busy).
///
/// ```
/// use std::time::Duration;
/// let sampler = lob_profiler::Sampler::start(Duration::from_millis(1));
/// let busy: u64 = (0..100_000).map(std::hint::black_box).sum();
/// assert!(busy > 0);
/// for series in sampler.stop() {
///     assert_eq!(series.t_s.len(), series.values.len());
/// }
/// ```
#[derive(Debug)]
pub struct Sampler {
    id: u64,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    t_s: f64,
    rss: Option<f64>,
    anon_rss: Option<f64>,
    cpu_share: Option<f64>,
}

impl Sampler {
    /// Starts sampling every `interval` (a millisecond at least); the first point is taken at
    /// once. Where no thread can be started, the first and the last point are all there is.
    #[must_use]
    pub fn start(interval: Duration) -> Self {
        let mut shared = shared();
        let id = shared.next;
        shared.next += 1;
        let mut series = Series::new(id, interval.max(MIN_INTERVAL));
        series.add(&Reading::take());
        let due = series.due;
        shared.series.push(series);
        let process = std::process::id();
        if shared.thread != Some(process) {
            let thread = std::thread::Builder::new().name("lob-sampler".to_owned());
            shared.thread = thread.spawn(read_on).is_ok().then_some(process);
        } else if shared.wakes_at.is_some_and(|at| due < at) {
            EARLIER.notify_one();
        }
        Self { id }
    }

    /// Stops sampling and returns the series, with a last point taken now.
    #[must_use]
    pub fn stop(self) -> Vec<Timeline> {
        let mine = shared().remove(self.id);
        let Some(mut mine) = mine else { return Vec::new() };
        mine.add(&Reading::take());
        let points = mine.points;
        let series = |metric: &str, unit, value: fn(&Point) -> Option<f64>| {
            let (t_s, values): (Vec<f64>, Vec<f64>) =
                points.iter().filter_map(|p| Some((p.t_s, value(p)?))).unzip();
            (!values.is_empty()).then(|| Timeline { metric: metric.to_owned(), unit, t_s, values })
        };
        [
            series("rss", Unit::Bytes, |p| p.rss),
            series("anon_rss", Unit::Bytes, |p| p.anon_rss),
            series("cpu_share", Unit::Fraction, |p| p.cpu_share),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        let _ = shared().remove(self.id);
    }
}

impl Shared {
    fn remove(&mut self, id: u64) -> Option<Series> {
        let place = self.series.iter().position(|series| series.id == id)?;
        Some(self.series.swap_remove(place))
    }
}

/// The thread: reads when a series is due, and ends when there has been none for a while.
fn read_on() {
    let mut shared = shared();
    let mut idle_since = None;
    loop {
        let now = Instant::now();
        if shared.series.iter().any(|series| series.due <= now) {
            let reading = Reading::take();
            shared
                .series
                .iter_mut()
                .filter(|series| series.due <= now)
                .for_each(|s| s.add(&reading));
        }
        let due = shared.series.iter().map(|series| series.due).min();
        let wakes_at = match due {
            Some(due) => {
                idle_since = None;
                due
            }
            None => *idle_since.get_or_insert(now) + LINGER,
        };
        if due.is_none() && wakes_at <= now {
            shared.thread = None;
            shared.wakes_at = None;
            return;
        }
        shared.wakes_at = Some(wakes_at);
        let wait = wakes_at.saturating_duration_since(Instant::now());
        shared = EARLIER.wait_timeout(shared, wait).unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// Keeps every second point; the CPU share of a kept one becomes the mean over both intervals.
fn thin(points: &[Point]) -> Vec<Point> {
    points
        .chunks(2)
        .map(|pair| match pair {
            [first, second] => {
                let mean = first.cpu_share.zip(second.cpu_share).map(|(a, b)| f64::midpoint(a, b));
                Point { cpu_share: mean.or(second.cpu_share), ..*second }
            }
            _ => pair[0],
        })
        .collect()
}

/// The sensors at one time.
struct Reading {
    at: Instant,
    memory: Option<(u64, u64)>,
    cpu_s: Option<f64>,
}

impl Reading {
    fn take() -> Self {
        let at = Instant::now();
        let memory = resident_and_anonymous_bytes().ok();
        Self { at, memory, cpu_s: process_cpu_time_s().ok() }
    }
}

/// One sampler's points.
struct Series {
    id: u64,
    start: Instant,
    interval: Duration,
    due: Instant,
    last_cpu: Option<(Instant, f64)>,
    points: Vec<Point>,
}

impl Series {
    fn new(id: u64, interval: Duration) -> Self {
        let start = Instant::now();
        Self { id, start, interval, due: start, last_cpu: None, points: Vec::new() }
    }

    fn add(&mut self, reading: &Reading) {
        // To ask costs twice a reading.
        static CORES: OnceLock<f64> = OnceLock::new();
        let cores = CORES.get_or_init(|| cores().map_or(1.0, f64::from));
        let cpu = reading.cpu_s.map(|cpu_s| (reading.at, cpu_s));
        let cpu_share = self.last_cpu.zip(cpu).and_then(|((then, before), (now, after))| {
            let wall_s = now.duration_since(then).as_secs_f64();
            (wall_s > 0.0).then(|| ((after - before) / (wall_s * cores)).clamp(0.0, 1.0))
        });
        self.last_cpu = cpu;
        self.points.push(Point {
            t_s: reading.at.saturating_duration_since(self.start).as_secs_f64(),
            rss: reading.memory.map(|(resident, _)| resident as f64),
            anon_rss: reading.memory.map(|(_, anonymous)| anonymous as f64),
            cpu_share,
        });
        if self.points.len() >= MAX_POINTS {
            self.points = thin(&self.points);
            self.interval *= 2;
        }
        self.due = reading.at + self.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(t_s: f64, cpu_share: Option<f64>) -> Point {
        Point { t_s, rss: Some(t_s), anon_rss: None, cpu_share }
    }

    #[test]
    fn thinning_halves_the_points_and_keeps_the_mean_share() {
        let points =
            [point(0.0, None), point(1.0, Some(0.2)), point(2.0, Some(0.4)), point(3.0, Some(0.8))];
        let thinned = thin(&points);
        assert_eq!(thinned.iter().map(|p| p.t_s).collect::<Vec<_>>(), [1.0, 3.0]);
        assert!((thinned[1].cpu_share.unwrap() - 0.6).abs() < 1e-12);
        assert!((thinned[0].cpu_share.unwrap() - 0.2).abs() < 1e-12);
    }

    #[test]
    fn an_odd_last_point_survives() {
        assert_eq!(thin(&[point(0.0, None), point(1.0, None), point(2.0, None)]).len(), 2);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn samplers_of_different_intervals_run_side_by_side() {
        let often = Sampler::start(Duration::from_millis(2));
        let seldom = Sampler::start(Duration::from_hours(1));
        std::thread::sleep(Duration::from_millis(100));
        let points = |sampler: Sampler| sampler.stop()[0].t_s.len();
        assert_eq!(points(seldom), 2, "the first and the last");
        assert!(points(often) >= 4);
    }
}
