//! What this process has asked of the kernel.

use lob_scope::Unavailable;
use lob_scope::procfs::{self, KeptFile};

/// Page faults of this process since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageFaults {
    /// Served from memory.
    pub minor: u64,
    /// Served from a disk.
    pub major: u64,
}

/// Context switches of this process since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextSwitches {
    /// It had to wait for something.
    pub voluntary: u64,
    /// It was made to make room.
    pub involuntary: u64,
}

/// Page faults of this process.
///
/// # Errors
/// Where the system has no `getrusage`.
pub fn page_faults() -> Result<PageFaults, Unavailable> {
    Ok(faults_and_switches()?.0)
}

/// Both counts from one look.
pub(crate) fn faults_and_switches() -> Result<(PageFaults, ContextSwitches), Unavailable> {
    let usage = usage()?;
    Ok((
        PageFaults { minor: count(usage.ru_minflt), major: count(usage.ru_majflt) },
        ContextSwitches { voluntary: count(usage.ru_nvcsw), involuntary: count(usage.ru_nivcsw) },
    ))
}

/// Context switches of this process.
///
/// # Errors
/// Where the system has no `getrusage`.
pub fn context_switches() -> Result<ContextSwitches, Unavailable> {
    Ok(faults_and_switches()?.1)
}

#[cfg(unix)]
fn usage() -> Result<libc::rusage, Unavailable> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call fills the structure it is given or fails.
    if unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) } != 0 {
        let cause = std::io::Error::last_os_error();
        return Err(Unavailable::new(format!("getrusage failed: {cause}")));
    }
    // SAFETY: all fields are numbers, for which zero bytes are valid, and the call has filled them.
    Ok(unsafe { usage.assume_init() })
}

#[cfg(not(unix))]
fn usage() -> Result<NoUsage, Unavailable> {
    Err(Unavailable::new("this system has no `getrusage`"))
}

#[cfg(not(unix))]
struct NoUsage {
    ru_minflt: i64,
    ru_majflt: i64,
    ru_nvcsw: i64,
    ru_nivcsw: i64,
}

fn count(value: impl TryInto<u64>) -> u64 {
    // The kernel's counts are never negative; the type is.
    value.try_into().unwrap_or(0)
}

/// Bytes a process moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessIo {
    /// Bytes asked for by reads of any kind: files, pipes, terminals, cached or not.
    pub read_bytes: u64,
    /// Bytes handed to writes of any kind.
    pub write_bytes: u64,
    /// Bytes that had to come from a disk.
    pub disk_read_bytes: u64,
    /// Bytes that were or will be sent to a disk.
    pub disk_write_bytes: u64,
}

/// Bytes this process moved since it began.
///
/// # Errors
/// Where `/proc/self/io` cannot be read.
pub fn process_io() -> Result<ProcessIo, Unavailable> {
    static IO: KeptFile = KeptFile::new("/proc/self/io");
    IO.read(parse_io)?
        .ok_or_else(|| Unavailable::new(format!("`{}` has an unknown layout", IO.path())))
}

/// Reads the text of `/proc/PID/io`.
pub(crate) fn parse_io(text: &str) -> Option<ProcessIo> {
    let value = |key| procfs::field(text, key)?.parse().ok();
    Some(ProcessIo {
        read_bytes: value("rchar")?,
        write_bytes: value("wchar")?,
        disk_read_bytes: value("read_bytes")?,
        disk_write_bytes: value("write_bytes")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_counts_are_told_apart() {
        let text = "rchar: 10\nwchar: 20\nsyscr: 1\nsyscw: 2\nread_bytes: 30\nwrite_bytes: 40\n";
        let expected = ProcessIo {
            read_bytes: 10,
            write_bytes: 20,
            disk_read_bytes: 30,
            disk_write_bytes: 40,
        };
        assert_eq!(parse_io(text), Some(expected));
        assert_eq!(parse_io("rchar: 10\n"), None);
    }

    #[cfg(unix)]
    #[test]
    fn this_process_has_faulted_and_switched() {
        assert!(page_faults().unwrap().minor > 0);
        let switches = context_switches().unwrap();
        assert!(switches.voluntary + switches.involuntary > 0);
    }
}
