//! How a program is profiled.

use std::time::Duration;

/// Time between samples that [`super::profile_command`] is given most often.
const INTERVAL: Duration = Duration::from_millis(20);

/// What [`crate::profile_command_with`] and [`crate::CommandProfile::of_process`] look at besides the kernel's
/// accounts, which cost the program nothing, and when they end.
///
/// ```
/// use std::{process::Command, time::Duration};
/// use lob_profiler::{CommandOptions, profile_command_with};
/// let options = CommandOptions::accounts_only();
/// let found = profile_command_with(Command::new("true"), &options)?;
/// assert!(found.status.success() && found.lines.is_err());
/// # Ok::<(), lob_profiler::ProfilerError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CommandOptions {
    /// Time between samples of memory, threads and what they do; a millisecond at least. It grows
    /// where sampling would take more than a fiftieth of a CPU.
    pub interval: Duration,
    /// Whether memory, threads and waits are sampled at all.
    pub watches: bool,
    /// Whether stacks are sampled.
    pub stacks: bool,
    /// Whether every allocation is tracked: which lines hold memory to the end. Costs the program
    /// 0.2 to 0.35 us for each block. Only of a program that is started.
    pub allocs: bool,
    /// Whether descendants that lose their parent become children of this process, so that they are
    /// seen and counted (prctl(2), `PR_SET_CHILD_SUBREAPER`). It stays so for the rest of the
    /// process, and children that other threads start meanwhile are taken for such orphans: only
    /// for a process that does nothing else.
    pub adopts_orphans: bool,
    /// After so long, a program that was started is ended as `stop` would with SIGTERM, and one
    /// that ran before is left alone.
    pub duration: Option<Duration>,
    /// Asked again and again: the number of the signal to end the program with, or 0 if it has got
    /// that already. It gets five seconds, then another signal, at last SIGKILL; that at once if
    /// SIGKILL is asked for. A program that ran before is left alone.
    pub stop: Option<fn() -> Option<i32>>,
}

impl Default for CommandOptions {
    /// Everything, every 20 ms, to the program's end.
    fn default() -> Self {
        Self {
            interval: INTERVAL,
            watches: true,
            stacks: true,
            allocs: false,
            adopts_orphans: false,
            duration: None,
            stop: None,
        }
    }
}

impl CommandOptions {
    /// Everything, every `interval`.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self { interval, ..Self::default() }
    }

    /// Only what the kernel counts anyway: times, faults, switches, the peak of memory. The program
    /// runs as if nobody looked.
    #[must_use]
    pub fn accounts_only() -> Self {
        Self { watches: false, stacks: false, ..Self::default() }
    }
}
