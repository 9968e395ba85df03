//! Memory of this process, from `/proc/self`.
//!
//! Resident memory holds the pages of mapped files too. Reading a large Parquet file through a map
//! therefore looks like growth; the anonymous part is what the program itself has allocated.

use crate::Unavailable;
use crate::procfs::{self, KeptFile};

static STATUS: KeptFile = KeptFile::new("/proc/self/status");
static STATM: KeptFile = KeptFile::new("/proc/self/statm");

/// Resident memory in bytes, mapped files included. Costs near a microsecond.
///
/// # Errors
/// Where `/proc/self/statm` cannot be read (any system but Linux).
pub fn rss_bytes() -> Result<u64, Unavailable> {
    Ok(resident_and_anonymous_bytes()?.0)
}

/// Resident memory in bytes: all of it, and the part that neither a file nor shared memory backs.
/// Costs near a microsecond.
///
/// # Errors
/// As [`rss_bytes`].
pub fn resident_and_anonymous_bytes() -> Result<(u64, u64), Unavailable> {
    let (resident, shared) = STATM
        .read(procfs::resident_and_shared_pages)?
        .ok_or_else(|| Unavailable::new("`/proc/self/statm` has an unknown layout"))?;
    let page = procfs::page_bytes();
    Ok((resident * page, resident.saturating_sub(shared) * page))
}

/// Resident memory in bytes that is backed by no file: heap, stacks and private copies.
///
/// # Errors
/// Where `/proc/self/status` has no `RssAnon` line (any system but Linux).
pub fn anon_rss_bytes() -> Result<u64, Unavailable> {
    status("RssAnon")
}

/// Largest resident memory in bytes since the process began or [`reset_peak_rss`] was called.
///
/// # Errors
/// Where `/proc/self/status` has no `VmHWM` line (any system but Linux).
pub fn peak_rss_bytes() -> Result<u64, Unavailable> {
    status("VmHWM")
}

/// Starts a new peak at the present resident memory, so that a stretch of work can be charged
/// with its own peak.
///
/// # Errors
/// Where the kernel does not allow writing to `/proc/self/clear_refs`.
pub fn reset_peak_rss() -> Result<(), Unavailable> {
    // "5" resets the peak only (proc_pid_clear_refs(5)); the smaller numbers drop page marks.
    static CLEAR: KeptFile = KeptFile::for_writing("/proc/self/clear_refs");
    CLEAR.write("5")
}

fn status(key: &str) -> Result<u64, Unavailable> {
    STATUS
        .read(|text| procfs::kib_field(text, key))?
        .ok_or_else(|| Unavailable::new(format!("`{}` has no `{key}` line in kB", STATUS.path())))
}
