//! Signals, for every command in one place.
//!
//! Ctrl-C, SIGTERM and SIGHUP ask a command that looks at [`watch`]'s flag for a clean end; a second
//! one, or the first where nobody looks, ends the process at once. Either way no temporary file is
//! left. A write beyond the limit on the size of files fails, instead of ending the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

/// Exit code of a launch ended by a signal.
const FAILED: i32 = 2;

/// How long the clean end that was asked for may take once a second signal came.
const GRACE: Duration = Duration::from_secs(2);

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
    let listen = move || signals.forever().for_each(|_| received());
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

/// Whether a clean end was asked for.
pub(crate) fn requested() -> bool {
    STOP.load(Ordering::Relaxed)
}

#[cfg(unix)]
fn received() {
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
