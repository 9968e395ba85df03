//! Signals, for every command in one place.
//!
//! Ctrl-C, SIGTERM and SIGHUP ask a command that looks at [`watch`]'s flag for a clean end; a second
//! one, or the first where nobody looks, ends the process at once. Either way no temporary file is
//! left. A write beyond the limit on the size of files fails, instead of ending the process.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Exit code of a launch ended by a signal.
const FAILED: i32 = 2;

/// How long the clean end that was asked for may take once a second signal came.
const GRACE: Duration = Duration::from_secs(2);

/// Signals that come within so long are one request: some programs send a signal twice, to a
/// process and to its group.
const ONE_REQUEST: Duration = Duration::from_millis(300);
/// Signal that nothing withstands.
const KILL: i32 = 9;
/// Signal of Ctrl-C.
const INTERRUPT: i32 = 2;

/// The first signal that came.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
/// Requests that came, where the command passes them on to a program.
static REQUESTS: AtomicU32 = AtomicU32::new(0);
static PASSES_ON: AtomicBool = AtomicBool::new(false);
static LAST: Mutex<Option<Instant>> = Mutex::new(None);
static STOP: AtomicBool = AtomicBool::new(false);
static IS_WATCHED: AtomicBool = AtomicBool::new(false);

/// Installs the handlers, before anything is opened; those that ask for an end only if wanted.
#[cfg(unix)]
pub(crate) fn install(is_asked_to_end: bool) -> Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};

    let failed = "cannot watch for signals";
    // A flag that nobody reads. Were the signal ignored instead, so would it be in every program
    // that this one starts.
    signal_hook::flag::register(SIGXFSZ, std::sync::Arc::default()).context(failed)?;
    if !is_asked_to_end {
        return Ok(());
    }
    let mut signals =
        signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]).context(failed)?;
    let listen = move || signals.forever().for_each(received);
    std::thread::Builder::new().name("signals".into()).spawn(listen).context(failed)?;
    Ok(())
}

/// Nothing to install.
#[cfg(not(unix))]
pub(crate) fn install(_: bool) -> Result<()> {
    Ok(())
}

/// The command looks at this flag from time to time, and ends cleanly once it is set.
pub(crate) fn watch() -> &'static AtomicBool {
    IS_WATCHED.store(true, Ordering::Relaxed);
    &STOP
}

/// The command passes requests to end on to a program that it has started, and ends with it.
pub(crate) fn pass_on() {
    PASSES_ON.store(true, Ordering::Relaxed);
    watch();
}

/// The signal that the program is to be sent, if any: 0 if the terminal has sent it already,
/// SIGKILL if an end was asked for again.
pub(crate) fn to_pass_on() -> Option<i32> {
    let signal = SIGNAL.load(Ordering::Relaxed);
    match REQUESTS.load(Ordering::Relaxed) {
        0 => None,
        1 if signal == INTERRUPT && is_in_foreground() => Some(0),
        1 => Some(signal),
        _ => Some(KILL),
    }
}

/// Whether Ctrl-C reaches this process's group: it is the one that the terminal listens to.
fn is_in_foreground() -> bool {
    let Ok(text) = std::fs::read_to_string("/proc/self/stat") else { return false };
    // After the name: state, parent, group, session, terminal, the terminal's group.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    matches!((fields.get(2), fields.get(5)), (Some(group), Some(listened)) if group == listened)
}

/// Counts requests; whether the command still heeds this one.
fn is_heeded() -> bool {
    let mut last = LAST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let is_new = last.is_none_or(|at| at.elapsed() > ONE_REQUEST);
    *last = Some(Instant::now());
    !is_new || REQUESTS.fetch_add(1, Ordering::Relaxed) < 2
}

/// Whether a clean end was asked for.
pub(crate) fn requested() -> bool {
    STOP.load(Ordering::Relaxed)
}

#[cfg(unix)]
fn received(signal: i32) {
    let _ = SIGNAL.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed);
    if PASSES_ON.load(Ordering::Relaxed) && is_heeded() {
        STOP.store(true, Ordering::Relaxed);
        return;
    }
    let is_second = STOP.swap(true, Ordering::Relaxed);
    if IS_WATCHED.load(Ordering::Relaxed) {
        if !is_second {
            return;
        }
        // Some programs send a signal twice (to a process and to its group). If the clean end is
        // near, it ends this thread too.
        std::thread::sleep(GRACE);
    }
    // Whatever is wrong with it, the process ends.
    let _ = crate::trace::finish();
    lob_store::discard_unfinished();
    std::process::exit(FAILED);
}

/// Stops a library's work when a clean end was asked for.
pub(crate) struct Stop;

impl lob_convert::Progress for Stop {
    fn is_cancelled(&self) -> bool {
        requested()
    }
}
