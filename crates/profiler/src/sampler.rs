//! A background thread that reads the cheap sensors at an interval.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lob_metrics::{Timeline, Unit};

use lob_scope::{Unavailable, cores, process_cpu_time_s, procfs};

/// Points kept per series. At this many, every second one is dropped and the interval doubles, so
/// a run of any length ends with at most this many, evenly spaced.
const MAX_POINTS: usize = 4096;
/// Shortest interval accepted: below, the sampler would be a load of its own.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

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
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    stop: Sender<()>,
    thread: JoinHandle<Vec<Point>>,
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
    /// once. Where no thread can be started, [`Sampler::stop`] returns no series.
    #[must_use]
    pub fn start(interval: Duration) -> Self {
        let (stop, stopped) = mpsc::channel();
        let body = move || {
            let mut interval = interval.max(MIN_INTERVAL);
            let mut source = Source::new();
            let mut points = vec![source.point()];
            // A closed channel is a dropped sampler: nobody will read the points.
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                points.push(source.point());
                if points.len() >= MAX_POINTS {
                    points = thin(&points);
                    interval *= 2;
                }
            }
            points.push(source.point());
            points
        };
        let thread = std::thread::Builder::new().name("lob-sampler".to_owned()).spawn(body).ok();
        Self { running: thread.map(|thread| Running { stop, thread }) }
    }

    /// Stops sampling and returns the series, with a last point taken now.
    #[must_use]
    pub fn stop(mut self) -> Vec<Timeline> {
        let Some(Running { stop, thread }) = self.running.take() else { return Vec::new() };
        // The thread only ends after this message, so it is there to receive it.
        let _ = stop.send(());
        let points = thread.join().unwrap_or_default();
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

/// The sensors with what they need between two points.
struct Source {
    start: Instant,
    statm: Result<Statm, Unavailable>,
    page_bytes: f64,
    cores: f64,
    last_cpu: Option<(Instant, f64)>,
}

impl Source {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            statm: Statm::open(),
            page_bytes: procfs::page_bytes() as f64,
            cores: cores().map_or(1.0, f64::from),
            last_cpu: None,
        }
    }

    fn point(&mut self) -> Point {
        let now = Instant::now();
        let pages = self.statm.as_ref().ok().and_then(Statm::read);
        let bytes = |pages: u64| pages as f64 * self.page_bytes;
        let cpu = process_cpu_time_s().ok().map(|cpu_s| (now, cpu_s));
        let cpu_share = self.last_cpu.zip(cpu).and_then(|((then, before), (now, after))| {
            let wall_s = now.duration_since(then).as_secs_f64();
            (wall_s > 0.0).then(|| ((after - before) / (wall_s * self.cores)).clamp(0.0, 1.0))
        });
        self.last_cpu = cpu;
        Point {
            t_s: now.duration_since(self.start).as_secs_f64(),
            rss: pages.map(|(resident, _)| bytes(resident)),
            anon_rss: pages.map(|(resident, shared)| bytes(resident.saturating_sub(shared))),
            cpu_share,
        }
    }
}

/// `/proc/self/statm` kept open: a fifth of the cost of opening it each time.
struct Statm {
    #[cfg(unix)]
    file: std::fs::File,
}

impl Statm {
    #[cfg(unix)]
    fn open() -> Result<Self, Unavailable> {
        let path = "/proc/self/statm";
        let file = std::fs::File::open(path)
            .map_err(|e| Unavailable::new(format!("cannot open `{path}`: {e}")))?;
        Ok(Self { file })
    }

    #[cfg(not(unix))]
    fn open() -> Result<Self, Unavailable> {
        Err(Unavailable::new("this system has no `/proc/self/statm`"))
    }

    /// Resident and shared pages.
    #[cfg(unix)]
    fn read(&self) -> Option<(u64, u64)> {
        use std::os::unix::fs::FileExt;
        let mut buffer = [0u8; 128];
        let n = self.file.read_at(&mut buffer, 0).ok()?;
        procfs::resident_and_shared_pages(std::str::from_utf8(&buffer[..n]).ok()?)
    }

    #[cfg(not(unix))]
    fn read(&self) -> Option<(u64, u64)> {
        None
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
}
