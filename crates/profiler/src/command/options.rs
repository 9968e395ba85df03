//! How a program is profiled.

use std::time::Duration;

/// Time between samples that [`super::profile_command`] is given most often.
const INTERVAL: Duration = Duration::from_millis(20);

/// What [`crate::profile_command_with`] looks at besides the kernel's accounts, which cost the
/// program nothing.
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
    /// Time between samples of memory, threads and what they do; a millisecond at least.
    pub interval: Duration,
    /// Whether memory, threads and waits are sampled at all.
    pub watches: bool,
    /// Whether stacks are sampled.
    pub stacks: bool,
}

impl Default for CommandOptions {
    /// Everything, every 20 ms.
    fn default() -> Self {
        Self { interval: INTERVAL, watches: true, stacks: true }
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
