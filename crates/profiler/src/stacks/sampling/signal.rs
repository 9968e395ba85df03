//! Sampling this process: a timer of CPU time, and a signal at every tick.

use std::ffi::c_void;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use lob_scope::Unavailable;

use super::capture::{Captures, Registers};
use super::reader::{Reader, resolved};
use super::table::Table;
use crate::stacks::report::LineProfile;

/// Most samples per second of CPU time that may be asked for.
const MAX_RATE_HZ: u32 = 1000;

/// Whether ticks are recorded. The handler stays installed: a tick may still be on its way.
static RECORDING: AtomicBool = AtomicBool::new(false);
/// Whether a profiler exists.
static TAKEN: AtomicBool = AtomicBool::new(false);
static READER: AtomicI32 = AtomicI32::new(0);
static READER_TICKS: AtomicU64 = AtomicU64::new(0);
static CAPTURES: OnceLock<Captures> = OnceLock::new();

/// Samples which lines of this process the CPU time goes to.
///
/// A timer of the process's CPU time sends `SIGPROF` to a thread that is running; the handler
/// copies its registers and 32 KiB of its stack, and everything else happens on a thread of the
/// profiler. The kernel checks the timer at its own ticks, 100 to 1000 a second, so higher rates
/// give no more samples; while the timer runs, [`lob_scope::process_cpu_time_s`] moves by whole ticks.
/// Sleeping costs and counts nothing. Interrupted system calls are restarted
/// where the system can; the few that never are (`poll`, `nanosleep`) return `EINTR` to callers
/// that use up CPU time at that moment, which is rare and which the standard library handles.
///
/// One at a time. Linux on x86-64 and AArch64 with the feature `lines`; elsewhere unavailable.
///
/// ```
/// let Ok(profiler) = lob_profiler::LineProfiler::start(200) else { return };
/// let sum = (0..1000u64).fold(0, |sum, n| sum ^ std::hint::black_box(n));
/// assert!(sum < 1024);
/// let profile = profiler.stop();
/// assert_eq!(profile.samples, profile.stacks.iter().map(|s| s.samples).sum::<u64>());
/// ```
#[derive(Debug)]
pub struct LineProfiler {
    reader: Option<Reader>,
    interval_s: f64,
}

impl LineProfiler {
    /// Starts sampling, `rate_hz` times per second of CPU time (1 to 1000).
    ///
    /// # Errors
    /// Where another one runs, where something else handles `SIGPROF`, or without the feature
    /// `lines`.
    pub fn start(rate_hz: u32) -> Result<Self, Unavailable> {
        if TAKEN.swap(true, Ordering::AcqRel) {
            return Err(Unavailable::new("a line profiler is running already: stop it first"));
        }
        let rate_hz = rate_hz.clamp(1, MAX_RATE_HZ);
        begin(rate_hz).inspect_err(|_| TAKEN.store(false, Ordering::Release))
    }

    /// Stops sampling and looks up names and lines, which takes a while for large programs.
    #[must_use]
    pub fn stop(mut self) -> LineProfile {
        let Some(reader) = self.reader.take() else { return LineProfile::default() };
        let (stacks, lost) = end(reader, |table| resolved(&table));
        let stacks = stacks.into_iter().map(|(frames, cut, seen)| (frames, cut, seen.samples));
        LineProfile {
            lost,
            profiler_samples: READER_TICKS.swap(0, Ordering::Relaxed),
            interval_s: self.interval_s,
            ..LineProfile::new(stacks)
        }
    }
}

impl Drop for LineProfiler {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            end(reader, drop);
        }
    }
}

fn begin(rate_hz: u32) -> Result<LineProfiler, Unavailable> {
    let captures = CAPTURES.get_or_init(Captures::new);
    install()?;
    // `TAKEN` makes this the only reader.
    let reader = Reader::start(captures, "lob-lines")?;
    READER.store(reader.tid, Ordering::Relaxed);
    READER_TICKS.store(0, Ordering::Relaxed);
    captures.take_lost();
    RECORDING.store(true, Ordering::Release);
    set_timer(1_000_000 / i64::from(rate_hz));
    Ok(LineProfiler { reader: Some(reader), interval_s: 1.0 / f64::from(rate_hz) })
}

/// Stops timer and reader, and lets the next profiler start.
fn end<R>(reader: Reader, with: impl FnOnce(Table) -> R) -> (R, u64) {
    set_timer(0);
    RECORDING.store(false, Ordering::Release);
    let table = reader.stop();
    let lost = CAPTURES.get().map_or(0, Captures::take_lost);
    TAKEN.store(false, Ordering::Release);
    (with(table), lost)
}

fn set_timer(interval_us: i64) {
    let interval =
        libc::timeval { tv_sec: interval_us / 1_000_000, tv_usec: interval_us % 1_000_000 };
    let timer = libc::itimerval { it_interval: interval, it_value: interval };
    // SAFETY: the call reads the structure it is given. It cannot fail with these arguments.
    unsafe { libc::setitimer(libc::ITIMER_PROF, &raw const timer, std::ptr::null_mut()) };
}

fn install() -> Result<(), Unavailable> {
    let handler = on_tick as extern "C" fn(_, _, _) as *const () as usize;
    let mut old = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the call writes the present action to the place it is given.
    let failed = unsafe { libc::sigaction(libc::SIGPROF, std::ptr::null(), old.as_mut_ptr()) } != 0;
    // SAFETY: zero bytes are valid for every field, and the call has filled them.
    let old = unsafe { old.assume_init() };
    let free = [libc::SIG_DFL, libc::SIG_IGN, handler];
    if failed || !free.contains(&old.sa_sigaction) {
        return Err(Unavailable::new("another profiler of this process handles `SIGPROF`"));
    }
    let mut action = old;
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: `sigemptyset` writes to the set it is given. The handler has the type `SA_SIGINFO`
    // asks for, does only what a signal handler may, and is never unloaded.
    let code = unsafe {
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(libc::SIGPROF, &raw const action, std::ptr::null_mut())
    };
    if code == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Unavailable::new(format!("cannot handle `SIGPROF`: {error}")))
}

/// Runs in the middle of anything: only system calls and atomics, and `errno` as it was.
extern "C" fn on_tick(_signal: i32, _info: *mut libc::siginfo_t, context: *mut c_void) {
    if !RECORDING.load(Ordering::Acquire) {
        return;
    }
    // SAFETY: the call gives the address of this thread's `errno`, which lives as long as it.
    let errno = unsafe { &mut *libc::__errno_location() };
    let before = *errno;
    // SAFETY: the call has no preconditions.
    if unsafe { libc::gettid() } == READER.load(Ordering::Relaxed) {
        READER_TICKS.fetch_add(1, Ordering::Relaxed);
    } else if let Some(captures) = CAPTURES.get() {
        // SAFETY: with `SA_SIGINFO` the kernel passes a valid `ucontext_t`.
        let context = unsafe { &*context.cast::<libc::ucontext_t>() };
        captures.capture(registers(context), 1, 1);
    }
    *errno = before;
}

#[cfg(target_arch = "x86_64")]
fn registers(context: &libc::ucontext_t) -> Registers {
    let register = |index: libc::c_int| {
        let index = usize::try_from(index).unwrap_or(0);
        context.uc_mcontext.gregs.get(index).map_or(0, |value| value.cast_unsigned())
    };
    Registers {
        ip: register(libc::REG_RIP),
        sp: register(libc::REG_RSP),
        fp: register(libc::REG_RBP),
        lr: 0,
    }
}

#[cfg(target_arch = "aarch64")]
fn registers(context: &libc::ucontext_t) -> Registers {
    let machine = &context.uc_mcontext;
    Registers { ip: machine.pc, sp: machine.sp, fp: machine.regs[29], lr: machine.regs[30] }
}
