//! Where `lob serve` and `lob top` get their figures from.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use lob_profiler::{ProcessReading, process_reading};
use lob_scope::Unavailable;
use lob_watch::{LogReplay, SystemMonitor, Watch, metrics_page};

use super::Watched;

/// The machine, and the files of a running program.
pub(crate) struct Sources {
    system: SystemMonitor,
    files: Mutex<Files>,
    pid: Option<u32>,
}

struct Files {
    watches: Vec<Watch>,
    log: Option<LogReplay>,
    /// Files that could not be read the last time, with the reason.
    missing: Vec<(String, Unavailable)>,
}

impl Sources {
    /// Begins to look. `pid` is a process to look at as well.
    pub(crate) fn start(watched: &Watched, pid: Option<u32>) -> Result<Self> {
        let config = watched.config()?;
        let watch = |path: &std::path::PathBuf| Watch::new(&name(path), path);
        let files = Files {
            watches: watched.watch.iter().map(watch).collect(),
            log: watched.log.as_ref().map(|path| LogReplay::new(path, config.sla())),
            missing: Vec::new(),
        };
        let system = SystemMonitor::start(&config);
        // The first page shall have them; afterwards they are there.
        let _ = system.wait_for_values();
        Ok(Self { system, files: Mutex::new(files), pid })
    }

    /// Everything as one page of Prometheus text.
    pub(crate) fn metrics_page(&self) -> String {
        let mut files = self.files();
        files.poll();
        let watches: Vec<&Watch> = files.watches.iter().collect();
        let requests: Vec<_> = files.log.iter().map(LogReplay::monitor).collect();
        let mut page = metrics_page(Some(&self.system), &requests, &watches);
        page.push_str(&missing_lines(&files.missing));
        if let Some(pid) = self.pid {
            page.push_str(&process_lines(pid, &process_reading(pid)));
        }
        page
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        // What a panic left is what the files said so far.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    fn poll(&mut self) {
        let mut missing = Vec::new();
        for watch in &mut self.watches {
            if let Err(why) = watch.poll() {
                missing.push((watch.name().to_owned(), why));
            }
        }
        if let Some(Err(why)) = self.log.as_mut().map(LogReplay::poll) {
            missing.push(("request log".to_owned(), why));
        }
        self.missing = missing;
    }
}

/// `run-7/metrics.jsonl`: enough to tell two runs apart.
fn name(path: &Path) -> String {
    let parts: Vec<String> =
        path.iter().rev().take(2).map(|part| part.to_string_lossy().into_owned()).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

fn missing_lines(missing: &[(String, Unavailable)]) -> String {
    let mut out = String::new();
    if !missing.is_empty() {
        out.push_str("# TYPE lob_file_unavailable_info gauge\n");
    }
    for (name, why) in missing {
        let (name, why) = (escaped(name), escaped(&why.reason));
        out.push_str(&format!("lob_file_unavailable_info{{file=\"{name}\",reason=\"{why}\"}} 1\n"));
    }
    out
}

fn process_lines(pid: u32, reading: &Result<ProcessReading, Unavailable>) -> String {
    let line = |metric: &str, kind: &str, value: f64| {
        format!(
            "# TYPE lob_watched_{metric} {kind}\nlob_watched_{metric}{{pid=\"{pid}\"}} {value}\n"
        )
    };
    match reading {
        Ok(process) => {
            let mut out = line("rss_bytes", "gauge", process.rss_bytes as f64);
            out.push_str(&line("threads", "gauge", process.threads as f64));
            out.push_str(&line("cpu_seconds_total", "counter", process.cpu_s));
            if let Ok(io) = &process.io {
                let (read, written) = (io.disk_read_bytes as f64, io.disk_write_bytes as f64);
                out.push_str(&line("disk_read_bytes_total", "counter", read));
                out.push_str(&line("disk_written_bytes_total", "counter", written));
            }
            out
        }
        Err(why) => {
            let reason = escaped(&why.reason);
            format!(
                "# TYPE lob_watched_unavailable_info gauge\n\
                 lob_watched_unavailable_info{{pid=\"{pid}\",reason=\"{reason}\"}} 1\n"
            )
        }
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
