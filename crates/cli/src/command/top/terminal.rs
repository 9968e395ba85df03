//! Keys without echo and without waiting for the end of a line.

use std::io::{IsTerminal, Read};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};

/// What Ctrl-C sends where the terminal makes no signal of it.
const CTRL_C: u8 = 3;

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

    /// Waits for keys for at most `time`; whether one of them was `q` or Ctrl-C, or the terminal
    /// has gone.
    pub(super) fn quit_within(&mut self, time: Duration) -> Result<bool> {
        let stdin = std::io::stdin();
        let mut waited = [PollFd::new(&stdin, PollFlags::IN)];
        let timeout = Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
        match poll(&mut waited, Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Err(error).context("cannot wait for keys"),
        }
        let mut keys = [0; 64];
        let n = stdin.lock().read(&mut keys).unwrap_or(0);
        if n == 0 {
            // Ready and empty: the terminal was closed.
            return Ok(true);
        }
        Ok(keys[..n].iter().any(|key| [b'q', b'Q', CTRL_C].contains(key)))
    }
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
