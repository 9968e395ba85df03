//! Descendants that lost their parent: daemons, and whatever a shell left behind with `&`.

/// What descendants used that ended without a parent to be told.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Adopted {
    /// How many ended.
    pub(super) ended: usize,
    pub(super) user_s: f64,
    pub(super) system_s: f64,
}

/// Makes descendants without a parent children of this process, so that their accounts come here
/// (prctl(2), `PR_SET_CHILD_SUBREAPER`). `false` where the system has no such thing.
#[cfg(target_os = "linux")]
pub(super) fn adopt() -> bool {
    let yes: libc::c_ulong = 1;
    // SAFETY: this option takes a number and no pointer.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, yes, 0, 0, 0) == 0 }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn adopt() -> bool {
    false
}

impl Adopted {
    /// Takes the accounts of children that have ended.
    #[cfg(unix)]
    pub(super) fn reap(&mut self, pids: &[u32]) {
        for pid in pids {
            let Ok(pid) = libc::pid_t::try_from(*pid) else { continue };
            let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
            // SAFETY: the call writes to the two places it is given and does not wait.
            let found =
                unsafe { libc::wait4(pid, &raw mut status, libc::WNOHANG, usage.as_mut_ptr()) };
            if found != pid {
                continue;
            }
            // SAFETY: all fields are numbers, for which zero bytes are valid, and the call has
            // filled them.
            let usage = unsafe { usage.assume_init() };
            let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 * 1e-6;
            self.ended += 1;
            self.user_s += seconds(usage.ru_utime);
            self.system_s += seconds(usage.ru_stime);
        }
    }

    #[cfg(not(unix))]
    pub(super) fn reap(&mut self, _pids: &[u32]) {}
}
