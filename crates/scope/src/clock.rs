//! The scope clock: the CPU's time-stamp counter where it is trustworthy, else [`Instant`].
//!
//! Ticks are converted to seconds only when results are taken, over the whole time since the
//! clock was first used, so calibration costs nothing at start-up and improves as the run goes on.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Shortest base the tick rate is measured over: with a pairing error near 100 ns, 5 ms bound the
/// error of the rate by about 2e-5.
const CALIBRATION_MIN: Duration = Duration::from_millis(5);

/// Set once by [`start`], before the first scope can be entered.
static USE_TSC: AtomicBool = AtomicBool::new(false);
static ANCHOR: OnceLock<Anchor> = OnceLock::new();

#[derive(Clone, Copy)]
struct Anchor {
    instant: Instant,
    ticks: u64,
}

/// Chooses the clock and notes when it began; later calls do nothing. Returns whether
/// [`read_counter`] is the clock.
pub(crate) fn start() -> bool {
    ANCHOR.get_or_init(|| {
        if tsc::is_steady() {
            USE_TSC.store(true, Ordering::Relaxed);
            return pair();
        }
        Anchor { instant: Instant::now(), ticks: 0 }
    });
    USE_TSC.load(Ordering::Relaxed)
}

/// Reads the CPU's counter without asking whether it is the clock: only for those who know from
/// [`start`] that it is.
#[inline]
pub(crate) fn read_counter() -> u64 {
    tsc::read()
}

/// The tick count when the clock was started: the zero of exported times.
pub(crate) fn start_ticks() -> u64 {
    start();
    ANCHOR.get().map_or(0, |anchor| anchor.ticks)
}

/// The wall clock when the clock was started, in nanoseconds since 1970.
pub(crate) fn start_unix_ns() -> u64 {
    start();
    let since = ANCHOR.get().map_or(Duration::ZERO, |anchor| anchor.instant.elapsed());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let start = now.unwrap_or_default().saturating_sub(since);
    u64::try_from(start.as_nanos()).unwrap_or(u64::MAX)
}

/// Reads the clock. The unit is the machine's own; see [`seconds_per_tick`].
#[inline]
pub(crate) fn ticks() -> u64 {
    if USE_TSC.load(Ordering::Relaxed) { tsc::read() } else { instant_ticks() }
}

/// Length of one tick in seconds, measured against [`Instant`] since the clock was started.
pub(crate) fn seconds_per_tick() -> f64 {
    start();
    let anchor = *ANCHOR.get().expect("start() has just set it");
    if !USE_TSC.load(Ordering::Relaxed) {
        return 1e-9;
    }
    if let Some(rest) = CALIBRATION_MIN.checked_sub(anchor.instant.elapsed()) {
        std::thread::sleep(rest);
    }
    let now = pair();
    let seconds = now.instant.duration_since(anchor.instant).as_secs_f64();
    seconds / now.ticks.wrapping_sub(anchor.ticks).max(1) as f64
}

/// Nanoseconds since [`start`]; 1 at least, since 0 means "no scope open".
fn instant_ticks() -> u64 {
    let Some(anchor) = ANCHOR.get() else { return 1 };
    u64::try_from(anchor.instant.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
}

/// An instant and a tick count read as close together as eight tries allow.
fn pair() -> Anchor {
    let attempt = || {
        let before = Instant::now();
        let ticks = tsc::read();
        (before.elapsed(), Anchor { instant: before, ticks })
    };
    let mut best = attempt();
    for _ in 1..8 {
        let next = attempt();
        if next.0 < best.0 {
            best = next;
        }
    }
    best.1
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod tsc {
    use core::arch::x86_64::{__cpuid, _rdtsc};

    /// CPUID leaf with the invariant-TSC bit (AMD64 manual volume 3, Fn8000_0007 EDX bit 8).
    const POWER_LEAF: u32 = 0x8000_0007;
    const INVARIANT_TSC: u32 = 1 << 8;

    #[inline]
    pub(super) fn read() -> u64 {
        // SAFETY: RDTSC exists on every x86-64 CPU and touches no memory.
        unsafe { _rdtsc() }
    }

    /// Whether the counter runs at one rate on every core: the CPU says so, and the kernel, where
    /// it can be asked, has not struck the counter off its list of usable clocks.
    pub(super) fn is_steady() -> bool {
        let invariant =
            __cpuid(0x8000_0000).eax >= POWER_LEAF && __cpuid(POWER_LEAF).edx & INVARIANT_TSC != 0;
        let kernel_agrees = std::fs::read_to_string(
            "/sys/devices/system/clocksource/clocksource0/available_clocksource",
        )
        .map_or(true, |list| list.split_whitespace().any(|name| name == "tsc"));
        invariant && kernel_agrees
    }
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
mod tsc {
    pub(super) fn read() -> u64 {
        super::instant_ticks()
    }

    pub(super) fn is_steady() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_follow_the_monotonic_clock() {
        start();
        let scale = seconds_per_tick();
        assert!(scale > 0.0 && scale < 1e-6, "tick of {scale} s");
        let (wall, from) = (Instant::now(), ticks());
        while wall.elapsed() < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        let (span, inner) = (ticks().wrapping_sub(from), wall.elapsed().as_secs_f64());
        // The tick span is read outside the wall span, so it cannot be shorter beyond rounding.
        assert!(span as f64 * scale > 0.9 * 2e-3);
        assert!(inner >= 2e-3);
    }
}
