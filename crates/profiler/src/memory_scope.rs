//! Memory of one stretch of work: its own peak, what it left behind, and its page faults.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lob_scope::{Unavailable, peak_rss_bytes, reset_peak_rss, rss_bytes};

use crate::{PageFaults, page_faults};

/// The stretches open now, with the largest peak each has seen so far. The kernel keeps one peak a
/// process, so it is shared: whoever resets it first writes it down for all others.
static OPEN: Mutex<Open> = Mutex::new(Open { next: 0, peaks: Vec::new() });

struct Open {
    next: u64,
    peaks: Vec<(u64, u64)>,
}

impl Open {
    /// Writes the present peak down for everybody.
    fn note(&mut self) -> Result<u64, Unavailable> {
        let peak = peak_rss_bytes()?;
        self.peaks.iter_mut().for_each(|(_, largest)| *largest = (*largest).max(peak));
        Ok(peak)
    }
}

fn open() -> MutexGuard<'static, Open> {
    // A panic cannot leave it half changed.
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Measures the memory of the process over a stretch of work. Stretches may nest and overlap, also
/// across threads; each gets its own peak.
///
/// ```
/// let memory = lob_profiler::MemoryScope::enter();
/// let block = std::hint::black_box(vec![1u8; 8 << 20]);
/// drop(block);
/// let used = memory.finish();
/// if let (Ok(()), Ok(peak), Ok(before)) = (used.own_peak, used.peak_rss_bytes, used.rss_before_bytes) {
///     assert!(peak >= before);
/// }
/// ```
#[derive(Debug)]
#[must_use = "the result is what `finish` returns"]
pub struct MemoryScope {
    id: u64,
    own_peak: Result<(), Unavailable>,
    rss_before_bytes: Result<u64, Unavailable>,
    faults_before: Result<PageFaults, Unavailable>,
}

/// What a [`MemoryScope`] saw. Each figure is a value or the reason for none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeMemory {
    /// Resident memory at the beginning, in bytes.
    pub rss_before_bytes: Result<u64, Unavailable>,
    /// Resident memory at the end, in bytes.
    pub rss_after_bytes: Result<u64, Unavailable>,
    /// Largest resident memory in between, in bytes; since the process began where `own_peak` is
    /// an error.
    pub peak_rss_bytes: Result<u64, Unavailable>,
    /// Whether the kernel let the peak be reset at the beginning.
    pub own_peak: Result<(), Unavailable>,
    /// Page faults in between, of the whole process.
    pub page_faults: Result<PageFaults, Unavailable>,
}

impl MemoryScope {
    /// Begins a stretch: two or three reads and one write under `/proc`, some microseconds.
    pub fn enter() -> Self {
        let mut open = open();
        if !open.peaks.is_empty() {
            // Without a value nothing is lost: there is none at the end either.
            let _ = open.note();
        }
        let own_peak = reset_peak_rss();
        let id = open.next;
        open.next += 1;
        open.peaks.push((id, 0));
        Self { id, own_peak, rss_before_bytes: rss_bytes(), faults_before: page_faults() }
    }

    /// Ends the stretch.
    #[must_use]
    pub fn finish(self) -> ScopeMemory {
        let (now, seen) = {
            let mut open = open();
            let now = open.note();
            let mine = open.peaks.iter().find(|(id, _)| *id == self.id);
            (now, mine.map_or(0, |(_, peak)| *peak))
        };
        let faults = page_faults().and_then(|after| {
            let before = self.faults_before.clone()?;
            Ok(PageFaults {
                minor: after.minor.saturating_sub(before.minor),
                major: after.major.saturating_sub(before.major),
            })
        });
        ScopeMemory {
            rss_before_bytes: self.rss_before_bytes.clone(),
            rss_after_bytes: rss_bytes(),
            peak_rss_bytes: now.map(|now| now.max(seen)),
            own_peak: self.own_peak.clone(),
            page_faults: faults,
        }
        // Dropping `self` takes it off the list.
    }
}

impl Drop for MemoryScope {
    fn drop(&mut self) {
        open().peaks.retain(|(id, _)| *id != self.id);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn touch(mib: usize) {
        std::hint::black_box(vec![1u8; mib * MIB]);
    }

    #[test]
    fn every_stretch_has_its_own_peak_also_inside_another() {
        // Blocks so large are mapped anew each time, whatever the allocator keeps.
        touch(300);
        let outer = MemoryScope::enter();
        touch(160);
        let inner = MemoryScope::enter();
        touch(48);
        let inner = inner.finish();
        let outer = outer.finish();
        let grown = |memory: &ScopeMemory| {
            memory.peak_rss_bytes.clone().unwrap() - memory.rss_before_bytes.clone().unwrap()
        };
        if outer.own_peak.is_err() || inner.own_peak.is_err() {
            return;
        }
        // Other tests of this binary use some memory meanwhile.
        let mib = MIB as u64;
        assert!((40 * mib..110 * mib).contains(&grown(&inner)), "{inner:?}");
        assert!((150 * mib..260 * mib).contains(&grown(&outer)), "{outer:?}");
        assert!(outer.page_faults.unwrap().minor >= inner.page_faults.unwrap().minor);
    }
}
