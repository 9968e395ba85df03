//! Ctrl-C and SIGTERM: the first asks for a clean end, a second one ends at once.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

/// Exit code of a launch ended by its second signal.
const FAILED: i32 = 2;

static STOP: AtomicBool = AtomicBool::new(false);

/// Installs the handler and returns the flag it sets.
pub(crate) fn watch() -> Result<&'static AtomicBool> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(FAILED);
        }
    })
    .context("cannot watch for Ctrl-C")?;
    Ok(&STOP)
}

/// Whether a clean end was asked for.
pub(crate) fn requested() -> bool {
    STOP.load(Ordering::Relaxed)
}
