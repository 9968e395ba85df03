//! A process as Prometheus pages show it: this one, and one that is watched by its number.

use std::path::PathBuf;

use lob_profiler::{ProcessIo, ProcessReading, process_reading};
use lob_scope::{Unavailable, procfs};

use crate::WatchError;
use crate::prometheus::page::Page;

/// Another process, told from a later one of the same number by the time it started.
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// let own = lob_watch::WatchedProcess::find(std::process::id())?;
/// let page = lob_watch::MetricsPage::default().process(&own).finish();
/// assert!(page.contains("lob_watched_up{pid="));
/// # }
/// # Ok::<(), lob_watch::WatchError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct WatchedProcess {
    pid: u32,
    /// Ticks from the start of the system to its own.
    started_ticks: u64,
}

impl WatchedProcess {
    /// The process of this number, which must be running.
    ///
    /// # Errors
    /// [`WatchError::NoProcess`] where there is none, or none that can be read.
    pub fn find(pid: u32) -> Result<Self, WatchError> {
        let facts =
            Facts::of(pid).map_err(|why| WatchError::NoProcess { pid, reason: why.reason })?;
        Ok(Self { pid, started_ticks: facts.started_ticks })
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What the kernel says of it now.
    ///
    /// # Errors
    /// Where it has ended, even if another process has its number by now.
    fn facts(&self) -> Result<Facts, Unavailable> {
        let facts = Facts::of(self.pid)?;
        if facts.started_ticks != self.started_ticks {
            return Err(Unavailable::new("it has ended; another process has its number now"));
        }
        Ok(facts)
    }

    pub(crate) fn write_page(&self, page: &mut Page) {
        let pid = self.pid.to_string();
        let labels = [("pid", pid.as_str())];
        let facts = self.facts();
        let help = "Whether the process given by --pid is running, 1 or 0 (/proc).";
        page.add("lob_watched_up", "gauge", help, &labels, f64::from(u8::from(facts.is_ok())));
        match facts {
            Ok(facts) => facts.write(page, "lob_watched_", &labels),
            Err(why) => {
                let labels = [labels[0], ("reason", why.reason.as_str())];
                let help = "Why there are no figures of the process given by --pid.";
                page.add("lob_watched_unavailable_info", "gauge", help, &labels, 1.0);
            }
        }
    }
}

/// The standard `process_` metrics of this process, and what it moved.
pub(crate) fn write_own(page: &mut Page) {
    // Without them the page has the others.
    if let Ok(facts) = Facts::of(std::process::id()) {
        facts.write(page, "process_", &[]);
    }
}

struct Facts {
    reading: ProcessReading,
    virtual_bytes: u64,
    started_ticks: u64,
    /// Seconds since 1970.
    started_s: f64,
    open_files: Option<u64>,
    most_files: Option<f64>,
}

impl Facts {
    fn of(pid: u32) -> Result<Self, Unavailable> {
        let reading = process_reading(pid)?;
        let path = PathBuf::from(format!("/proc/{pid}"));
        let unknown = || Unavailable::new(format!("`/proc/{pid}/stat` has an unknown layout"));
        let stat = procfs::read(path.join("stat"))?;
        let (_, fields) = stat.rsplit_once(')').ok_or_else(unknown)?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        if fields.first() == Some(&"Z") {
            return Err(Unavailable::new("it has ended and waits for its parent to take notice"));
        }
        // The state is the third field (proc_pid_stat(5)).
        let number = |nth: usize| fields.get(nth - 3)?.parse::<u64>().ok();
        let started_ticks = number(22).ok_or_else(unknown)?;
        let booted_s = boot_time_s()?;
        let files = std::fs::read_dir(path.join("fd")).ok().map(|files| files.count() as u64);
        let limits = procfs::read(path.join("limits")).ok();
        Ok(Self {
            reading,
            virtual_bytes: number(23).ok_or_else(unknown)?,
            started_ticks,
            started_s: booted_s + started_ticks as f64 / procfs::ticks_per_s(),
            open_files: files,
            most_files: limits.as_deref().and_then(most_files),
        })
    }

    fn write(&self, page: &mut Page, prefix: &str, labels: &[(&str, &str)]) {
        let mut add = |name: &str, kind: &'static str, help: &str, value: f64| {
            page.add(&format!("{prefix}{name}"), kind, help, labels, value);
        };
        let r = &self.reading;
        let help = "User and system CPU seconds of the process so far (/proc/PID/stat).";
        add("cpu_seconds_total", "counter", help, r.cpu_s);
        let help = "Memory of the process that is in RAM, in bytes (/proc/PID/stat).";
        add("resident_memory_bytes", "gauge", help, r.rss_bytes as f64);
        let help = "Address space of the process, in bytes (/proc/PID/stat).";
        add("virtual_memory_bytes", "gauge", help, self.virtual_bytes as f64);
        let help = "When the process started, in seconds since 1970 (/proc/PID/stat).";
        add("start_time_seconds", "gauge", help, self.started_s);
        let help = "Threads of the process (/proc/PID/stat).";
        add("threads", "gauge", help, r.threads as f64);
        if let Some(files) = self.open_files {
            let help = "File descriptors the process has open (/proc/PID/fd).";
            add("open_fds", "gauge", help, files as f64);
        }
        if let Some(most) = self.most_files {
            let help = "File descriptors the process may have open (/proc/PID/limits).";
            add("max_fds", "gauge", help, most);
        }
        if let Ok(ProcessIo { disk_read_bytes, disk_write_bytes, .. }) = &r.io {
            let help = "Bytes the process had read from disks, caches aside (/proc/PID/io).";
            add("disk_read_bytes_total", "counter", help, *disk_read_bytes as f64);
            let help = "Bytes the process had written towards disks (/proc/PID/io).";
            add("disk_written_bytes_total", "counter", help, *disk_write_bytes as f64);
        }
    }
}

/// Seconds since 1970.
fn boot_time_s() -> Result<f64, Unavailable> {
    let stat = procfs::read("/proc/stat")?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "));
    let found = line.and_then(|seconds| seconds.trim().parse().ok());
    found.ok_or_else(|| Unavailable::new("`/proc/stat` names no boot time"))
}

/// The soft limit; infinite where there is none.
fn most_files(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => Some(f64::INFINITY),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files  1024  4096  files\n";
        assert_eq!(most_files(limits), Some(1024.0));
        assert_eq!(most_files("Max open files unlimited unlimited files"), Some(f64::INFINITY));
        assert_eq!(most_files(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_is_told_from_a_later_one_of_its_number() {
        let pid = std::process::id();
        let own = WatchedProcess::find(pid).unwrap();
        assert!(own.facts().is_ok());
        let earlier = WatchedProcess { started_ticks: own.started_ticks - 1, ..own };
        let mut page = Page::default();
        earlier.write_page(&mut page);
        let text = page.finish();
        assert!(text.contains("lob_watched_up{pid=") && text.contains("} 0\n"), "{text}");
        assert!(text.contains("another process has its number"), "{text}");
        for nobody in [0, 4_194_305, u32::MAX] {
            let error = WatchedProcess::find(nobody).unwrap_err().to_string();
            assert!(error.contains(&nobody.to_string()), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn one_that_has_ended_is_down_before_it_is_reaped() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let watched = WatchedProcess::find(child.id()).unwrap();
        child.kill().unwrap();
        while watched.facts().is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert!(WatchedProcess::find(child.id()).is_err(), "nor can it be found");
        child.wait().unwrap();
        assert!(watched.facts().is_err());
    }
}
