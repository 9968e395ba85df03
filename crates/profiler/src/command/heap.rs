//! Tracking what a program allocates and does not give back.
//!
//! A library is put before the others of every process of the program (`native/allocs.rs`). It
//! keeps its sums in files of a private folder, which a thread here reads while the program runs,
//! so that growth shows, and after it has ended.

use std::process::Command;

use lob_metrics::{Direction, Finding, Severity, Unit};
use lob_scope::Unavailable;

use super::CommandProfile;
use crate::LeakVerdict;
use crate::profile::measurement;
use crate::stacks::{HeapProfile, HeapSite};

/// Memory in use of which nothing is said where little of it was tracked.
const MUCH_BYTES: f64 = 16.0 * 1024.0 * 1024.0;

#[cfg(all(
    feature = "lines",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod files;
#[cfg(all(
    feature = "lines",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod program;
#[cfg(all(
    feature = "lines",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod tracker;
#[cfg(all(
    feature = "lines",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub(super) use tracker::HeapTracker;

/// Where nothing can be tracked.
#[cfg(not(all(
    feature = "lines",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
pub(super) struct HeapTracker(());

#[cfg(not(all(
    feature = "lines",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
impl HeapTracker {
    pub(super) fn prepare(_command: &mut Command) -> Result<Self, Unavailable> {
        Err(Unavailable::new(if cfg!(feature = "lines") {
            "allocations are only tracked on Linux, on x86-64 and AArch64"
        } else {
            "this program was built without the feature `lines` of lob-profiler"
        }))
    }

    pub(super) fn finish(self) -> Result<HeapProfile, Unavailable> {
        Ok(HeapProfile::default())
    }
}

/// Makes a program track its allocations, if that was asked for.
pub(super) fn prepare(
    command: &mut Command,
    is_asked: bool,
) -> Option<Result<HeapTracker, Unavailable>> {
    is_asked.then(|| HeapTracker::prepare(command))
}

/// What was found of it.
pub(super) fn finish(
    tracker: Option<Result<HeapTracker, Unavailable>>,
) -> Option<Result<HeapProfile, Unavailable>> {
    tracker.map(|tracker| tracker.and_then(HeapTracker::finish))
}

/// A figure of a profile.
type Figure = fn(&HeapProfile) -> u64;

impl CommandProfile {
    /// Whether its memory grows to the end, or what one of its lines holds does, where that was
    /// tracked.
    #[must_use]
    pub fn leaks(&self) -> bool {
        let heap = self.heap.as_ref().and_then(|heap| heap.as_ref().ok());
        self.leak.verdict == LeakVerdict::Leak
            || heap.is_some_and(|heap| heap.sites.iter().any(HeapSite::leaks))
    }

    /// Adds figures and findings.
    pub(super) fn add_heap(&mut self, heap: Option<Result<HeapProfile, Unavailable>>) {
        let Some(heap) = heap else { return };
        let lower = Direction::LowerIsBetter;
        let figures: [(&str, Unit, Figure); 5] = [
            ("allocated", Unit::Bytes, |heap| heap.allocated_bytes),
            ("allocations", Unit::Count, |heap| heap.allocated_blocks),
            ("allocated_peak", Unit::Bytes, |heap| heap.peak_bytes),
            ("not_freed", Unit::Bytes, |heap| heap.held_bytes),
            ("not_freed_blocks", Unit::Count, |heap| heap.held_blocks),
        ];
        for (name, unit, figure) in figures {
            let value = heap.as_ref().map(|heap| figure(heap) as f64).map_err(Clone::clone);
            self.scenario.measurements.push(measurement(
                &format!("command.{name}"),
                unit,
                lower,
                value,
            ));
        }
        let info = |text| Finding { severity: Severity::Info, text };
        match &heap {
            Ok(heap) => {
                self.scenario.findings.extend(heap.findings());
                self.scenario.findings.extend(self.seen_in_part(heap).map(info));
            }
            Err(missing) => {
                let text = format!("allocations are not known: {}", missing.reason);
                self.scenario.findings.push(info(text));
            }
        }
        self.heap = Some(heap);
    }

    /// A sentence where most of the program's memory was not the tracked allocator's.
    fn seen_in_part(&self, heap: &HeapProfile) -> Option<String> {
        let series = self.scenario.timeline.iter().find(|series| series.metric == "anon_rss")?;
        let used = series.values.iter().copied().reduce(f64::max)?;
        let seen = heap.peak_bytes as f64;
        (used > MUCH_BYTES && seen < used / 4.0).then(|| {
            let bytes = |value| Unit::Bytes.format(value);
            format!(
                "the allocator of the C library held {} of the {} the program used: the rest is an \
                 allocator's of its own or was mapped, and is not tracked",
                bytes(seen),
                bytes(used)
            )
        })
    }
}
