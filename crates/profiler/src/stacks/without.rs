//! Where nothing can be sampled: the same types, and the reason.

use lob_scope::Unavailable;

use super::{AllocProfile, LineProfile};

fn missing() -> Unavailable {
    Unavailable::new(if cfg!(feature = "lines") {
        "stacks are only sampled on Linux, on x86-64 and AArch64"
    } else {
        "this program was built without the feature `lines` of lob-profiler"
    })
}

/// Samples which lines of this process the CPU time goes to; unavailable in this build.
#[derive(Debug)]
pub struct LineProfiler(());

impl LineProfiler {
    /// Gives the reason.
    ///
    /// # Errors
    /// Always.
    pub fn start(_rate_hz: u32) -> Result<Self, Unavailable> {
        Err(missing())
    }

    /// An empty profile.
    #[must_use]
    pub fn stop(self) -> LineProfile {
        LineProfile::default()
    }
}

/// Allocation sites being tracked; unavailable in this build.
#[derive(Debug)]
pub struct AllocSites(());

/// Gives the reason.
///
/// # Errors
/// Always.
pub fn track_alloc_sites(_every_bytes: u64) -> Result<AllocSites, Unavailable> {
    Err(missing())
}

impl AllocSites {
    /// An empty profile.
    #[must_use]
    pub fn stop(self) -> AllocProfile {
        AllocProfile::default()
    }
}

/// Sampling of a program's stacks; unavailable in this build.
#[derive(Debug)]
pub(crate) struct ChildSampler(());

impl ChildSampler {
    pub(crate) fn of_cpu_time(_rate_hz: u32) -> Result<Self, Unavailable> {
        Err(missing())
    }

    pub(crate) fn of_new_memory() -> Result<Self, Unavailable> {
        Err(missing())
    }

    pub(crate) fn of_running(_pids: &[u32], _rate_hz: u32) -> Result<Self, Unavailable> {
        Err(missing())
    }

    pub(crate) fn finish(self) -> LineProfile {
        LineProfile::default()
    }
}
