//! Programs that start others.

use std::fs::File;
use std::io;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use super::{TIME, scratch, shell, spin};

/// Opening a named pipe waits for the other side to open it.
pub(super) fn fifo() -> io::Result<()> {
    let path = scratch("fifo");
    let made = Command::new("mkfifo").arg(&path).status()?;
    assert!(made.success(), "no named pipe could be made");
    let text = format!("sleep 0.4; echo > {}", path.display());
    let mut child = shell(&text).spawn()?;
    io::copy(&mut File::open(&path)?, &mut io::sink())?;
    std::fs::remove_file(path)?;
    child.wait().map(drop)
}

/// Leaves a child of a child behind that works on for a while.
pub(super) fn daemon() -> io::Result<()> {
    let program = std::env::current_exe()?;
    let text = format!("{} outlives </dev/null >/dev/null 2>&1 &", program.display());
    Command::new("sh").args(["-c", &text]).status()?;
    sleep(TIME);
    Ok(())
}

/// Half a second of work, then two seconds of sleep.
pub(crate) fn outlives() {
    spin(Duration::from_millis(200));
    sleep(Duration::from_secs(2));
}

/// Until a signal ends it.
pub(crate) fn forever() {
    // SAFETY: the call takes nothing.
    unsafe { libc::pause() };
}
