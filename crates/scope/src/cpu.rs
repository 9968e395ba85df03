//! CPU time of this process and of the calling thread.

use crate::Unavailable;

/// CPU seconds, user and system, all threads of this process have used so far.
///
/// # Errors
/// Where the system has no process CPU clock.
pub fn process_cpu_time_s() -> Result<f64, Unavailable> {
    #[cfg(unix)]
    return clock_s(libc::CLOCK_PROCESS_CPUTIME_ID);
    #[cfg(not(unix))]
    Err(Unavailable::new("this system has no POSIX process CPU clock"))
}

/// CPU seconds, user and system, the calling thread has used so far. Costs near a microsecond.
///
/// # Errors
/// Where the system has no thread CPU clock.
pub fn thread_cpu_time_s() -> Result<f64, Unavailable> {
    #[cfg(unix)]
    return clock_s(libc::CLOCK_THREAD_CPUTIME_ID);
    #[cfg(not(unix))]
    Err(Unavailable::new("this system has no POSIX thread CPU clock"))
}

#[cfg(unix)]
fn clock_s(clock: libc::clockid_t) -> Result<f64, Unavailable> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that the call fills; an unknown clock is an error code.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        let cause = std::io::Error::last_os_error();
        return Err(Unavailable::new(format!("clock_gettime failed: {cause}")));
    }
    Ok(time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9)
}

/// Logical cores this process may use.
///
/// # Errors
/// Where the system does not tell.
pub fn cores() -> Result<u32, Unavailable> {
    let cores = std::thread::available_parallelism()
        .map_err(|e| Unavailable::new(format!("the number of cores is unknown: {e}")))?;
    Ok(u32::try_from(cores.get()).unwrap_or(u32::MAX))
}
