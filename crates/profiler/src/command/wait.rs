//! Waiting for a child and taking the kernel's accounts of it.

use std::process::ExitStatus;

use lob_scope::Unavailable;

use super::spawn::Started;
use crate::ProcessIo;

/// The kernel's accounts of a child that has ended, and of the descendants it had waited for.
pub(super) struct Usage {
    pub(super) status: ExitStatus,
    pub(super) user_s: Result<f64, Unavailable>,
    pub(super) system_s: Result<f64, Unavailable>,
    /// Of the largest single process.
    pub(super) max_rss_bytes: Result<f64, Unavailable>,
    pub(super) minor_faults: Result<f64, Unavailable>,
    pub(super) major_faults: Result<f64, Unavailable>,
    pub(super) voluntary_switches: Result<f64, Unavailable>,
    pub(super) involuntary_switches: Result<f64, Unavailable>,
    pub(super) io: Result<ProcessIo, Unavailable>,
}

impl Usage {
    pub(super) fn cpu_s(&self) -> Result<f64, Unavailable> {
        Ok(self.user_s.clone()? + self.system_s.clone()?)
    }
}

impl Usage {
    /// Adds CPU time that belongs to no process waited for.
    pub(super) fn add(&mut self, (user_s, system_s): (f64, f64)) {
        self.user_s = self.user_s.clone().map(|s| s + user_s);
        self.system_s = self.system_s.clone().map(|s| s + system_s);
    }
}

/// How far above the floor a peak must be: the kernel's two counts of one process differ a little.
#[cfg(unix)]
const FLOOR_MARGIN: f64 = 0.05;

/// Blocks until the child has ended, and leaves it to be reaped.
#[cfg(unix)]
pub(super) fn until_ended(pid: u32) -> std::io::Result<()> {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    loop {
        // SAFETY: the call writes to the structure it is given and to nothing else.
        let failed = unsafe {
            libc::waitid(libc::P_PID, pid, info.as_mut_ptr(), libc::WEXITED | libc::WNOWAIT)
        } != 0;
        if !failed {
            return Ok(());
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Reaps the child, which has ended. Its I/O account goes away with it, so it is read first.
#[cfg(unix)]
#[expect(clippy::needless_pass_by_value, reason = "elsewhere waiting takes the child")]
pub(super) fn reap(started: Started) -> std::io::Result<Usage> {
    use std::os::unix::process::ExitStatusExt;

    let path = format!("/proc/{}/io", started.pid);
    let io = lob_scope::procfs::read(&path).and_then(|text| {
        crate::sensors::parse_io(&text)
            .ok_or_else(|| Unavailable::new(format!("`{path}` has an unknown layout")))
    });
    let pid = libc::pid_t::try_from(started.pid).map_err(std::io::Error::other)?;
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: the call writes to the two places it is given. Nobody else waits for this child.
    while unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) } != pid {
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: all fields are numbers, for which zero bytes are valid, and the call has filled them.
    let usage = unsafe { usage.assume_init() };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 * 1e-6;
    // Kibibytes, but bytes on Apple's systems (getrusage(2) of each).
    let rss_unit = if cfg!(target_vendor = "apple") { 1.0 } else { 1024.0 };
    Ok(Usage {
        status: ExitStatus::from_raw(status),
        user_s: Ok(seconds(usage.ru_utime)),
        system_s: Ok(seconds(usage.ru_stime)),
        max_rss_bytes: above(usage.ru_maxrss as f64 * rss_unit, started.floor_bytes),
        minor_faults: Ok(usage.ru_minflt as f64),
        major_faults: Ok(usage.ru_majflt as f64),
        voluntary_switches: Ok(usage.ru_nvcsw as f64),
        involuntary_switches: Ok(usage.ru_nivcsw as f64),
        io,
    })
}

/// The peak, unless it may be that of the process that started the program.
#[cfg(unix)]
fn above(peak_bytes: f64, floor_bytes: Option<f64>) -> Result<f64, Unavailable> {
    match floor_bytes {
        Some(floor) if peak_bytes <= floor * (1.0 + FLOOR_MARGIN) => {
            let peak = lob_metrics::Unit::Bytes.format(peak_bytes);
            Err(Unavailable::new(format!(
                "at most {peak}: the kernel counts the memory of the profiler, which started it"
            )))
        }
        _ => Ok(peak_bytes),
    }
}

/// Elsewhere the waiting is done by [`reap`] alone.
#[cfg(not(unix))]
pub(super) fn until_ended(_pid: u32) -> std::io::Result<()> {
    Ok(())
}

/// Elsewhere only the status is known.
#[cfg(not(unix))]
pub(super) fn reap(mut started: Started) -> std::io::Result<Usage> {
    let status = started.child.wait()?;
    let none = || Unavailable::new("this system has no `wait4`");
    Ok(Usage {
        status,
        user_s: Err(none()),
        system_s: Err(none()),
        max_rss_bytes: Err(none()),
        minor_faults: Err(none()),
        major_faults: Err(none()),
        voluntary_switches: Err(none()),
        involuntary_switches: Err(none()),
        io: Err(none()),
    })
}
