//! Keys without echo and without waiting for the end of a line.

use std::io::{IsTerminal, Read};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};

use super::key::{ESCAPE, Key, keys};

/// Time in which the rest of a key's sequence follows its first byte.
const SEQUENCE: Duration = Duration::from_millis(25);

/// Standard input in single keys; dropping it restores the terminal.
pub(super) struct Keys {
    before: Termios,
}

impl Keys {
    /// Takes the keys of standard input; `None` where it is no terminal.
    pub(super) fn take() -> Result<Option<Self>> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(&stdin).context("cannot read the terminal's settings")?;
        let mut raw = before.clone();
        // Without signals of its own, Ctrl-C and Ctrl-Z arrive as keys and the screen is left tidy.
        raw.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        raw.special_codes[SpecialCodeIndex::VMIN] = 0;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&stdin, OptionalActions::Now, &raw).context("cannot set the terminal")?;
        Ok(Some(Self { before }))
    }

    /// Waits for keys for at most `time`. A terminal that has gone quits.
    pub(super) fn within(&mut self, time: Duration) -> Result<Vec<Key>> {
        let Some(mut bytes) = read_within(time)? else { return Ok(Vec::new()) };
        if bytes.last() == Some(&ESCAPE) {
            bytes.extend(read_within(SEQUENCE)?.unwrap_or_default());
        }
        Ok(if bytes.is_empty() { vec![Key::Quit] } else { keys(&bytes) })
    }
}

/// Bytes of standard input; empty where the terminal was closed, `None` where there are none in time.
fn read_within(time: Duration) -> Result<Option<Vec<u8>>> {
    let stdin = std::io::stdin();
    let mut waited = [PollFd::new(&stdin, PollFlags::IN)];
    let timeout = Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
    match poll(&mut waited, Some(&timeout)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(None),
        Ok(_) => {}
        Err(error) => return Err(error).context("cannot wait for keys"),
    }
    let mut bytes = [0; 64];
    // Ready and unreadable is closed, too.
    let n = stdin.lock().read(&mut bytes).unwrap_or(0);
    Ok(Some(bytes[..n].to_vec()))
}

impl Drop for Keys {
    fn drop(&mut self) {
        // Nothing can be done for a terminal that is gone.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Columns and rows of standard output.
pub(super) fn size() -> Option<(usize, usize)> {
    let size = tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then(|| (size.ws_col.into(), size.ws_row.into()))
}
