//! What one launch of a program costs, and its end when somebody wants it sooner.

use std::process::{Command, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use lob_scope::Unavailable;

use super::{spawn, wait};
use crate::ProfilerError;

/// How often it is asked whether the program shall end.
const ASKING: Duration = Duration::from_millis(50);
/// Time a program has to end by itself once it was told to.
const GRACE: Duration = Duration::from_secs(1);

/// The kernel's accounts of a program that has ended, and of the descendants it had waited for.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandCost {
    /// How it ended.
    pub status: ExitStatus,
    /// Seconds from its start to its end.
    pub wall_s: f64,
    /// CPU seconds in user mode.
    pub user_s: Result<f64, Unavailable>,
    /// CPU seconds in the kernel.
    pub system_s: Result<f64, Unavailable>,
    /// Peak memory in bytes of the largest single process.
    pub peak_process_rss_bytes: Result<f64, Unavailable>,
    /// Whether it was ended because the caller wanted it to.
    pub ended_early: bool,
}

impl CommandCost {
    /// Runs a program to its end without looking at it meanwhile: nothing samples it.
    ///
    /// Unlike [`crate::profile_command`], it runs in a process group of its own, so that a signal from
    /// the terminal reaches the caller alone. `ends` is asked twenty times a second; once it says yes,
    /// the whole group is sent SIGTERM, and SIGKILL a second later. Outside Linux and other Unix systems
    /// only the wall time is known, and nothing is ended early.
    ///
    /// # Errors
    /// When the program cannot be started or waited for. A program that fails is no error.
    ///
    /// ```
    /// use std::process::Command;
    /// let cost = lob_profiler::CommandCost::measure(Command::new("true"), || false)?;
    /// assert!(cost.status.success() && cost.wall_s > 0.0 && !cost.ended_early);
    /// # Ok::<(), lob_profiler::ProfilerError>(())
    /// ```
    pub fn measure(
        mut command: Command,
        mut ends: impl FnMut() -> bool,
    ) -> Result<Self, ProfilerError> {
        let program = command.get_program().to_string_lossy().into_owned();
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let start = Instant::now();
        let started = spawn::spawn(&mut command)
            .map_err(|source| ProfilerError::Start { program: program.clone(), source })?;
        // It may hold the writing end of a pipe that the caller reads to its end.
        drop(command);
        let waiting = |source| ProfilerError::Wait { program: program.clone(), source };
        let (tell, ended) = mpsc::channel();
        let pid = started.pid;
        let waiter = std::thread::Builder::new()
            .name("lob-wait".to_owned())
            .spawn(move || tell.send(wait::until_ended(pid).map(|()| Instant::now())));
        waiter.map_err(waiting)?;
        let mut ended_early = false;
        let end = loop {
            if let Some(end) = within(&ended, ASKING).map_err(waiting)? {
                break end;
            }
            if ends() {
                ended_early = true;
                break end_group(pid, &ended).map_err(waiting)?;
            }
        };
        let usage = wait::reap(started).map_err(waiting)?;
        Ok(Self {
            status: usage.status,
            wall_s: end.duration_since(start).as_secs_f64(),
            user_s: usage.user_s,
            system_s: usage.system_s,
            peak_process_rss_bytes: usage.max_rss_bytes,
            ended_early,
        })
    }

    /// CPU seconds of both kinds.
    ///
    /// # Errors
    /// Where the system does not account for them.
    pub fn cpu_s(&self) -> Result<f64, Unavailable> {
        Ok(self.user_s.clone()? + self.system_s.clone()?)
    }
}

type Ended = Receiver<std::io::Result<Instant>>;

/// When the program ended, if it did within this time.
fn within(ended: &Ended, time: Duration) -> std::io::Result<Option<Instant>> {
    match ended.recv_timeout(time) {
        Ok(end) => end.map(Some),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        // The thread always sends before it ends, unless it panicked.
        Err(RecvTimeoutError::Disconnected) => {
            Err(std::io::Error::other("the waiting thread has ended"))
        }
    }
}

/// Ends the group of a program that nobody has reaped yet, so that its number is still its own.
#[cfg(unix)]
fn end_group(pid: u32, ended: &Ended) -> std::io::Result<Instant> {
    let pid = libc::pid_t::try_from(pid).map_err(std::io::Error::other)?;
    // SAFETY: both calls only read the numbers they are given.
    let (group, own) = unsafe { (libc::getpgid(pid), libc::getpgrp()) };
    // Its own group, or, should it have left that for ours, the program alone.
    let target = if group > 1 && group != own { -group } else { pid };
    let send = |signal| {
        // SAFETY: sends a signal and touches no memory. Whoever has ended meanwhile is no concern.
        unsafe { libc::kill(target, signal) };
    };
    send(libc::SIGTERM);
    // One that is stopped ends as well.
    send(libc::SIGCONT);
    let end = within(ended, GRACE)?;
    // Also where the program has ended: members of its group may have ignored the request.
    send(libc::SIGKILL);
    match end {
        Some(end) => Ok(end),
        None => ended.recv().map_err(std::io::Error::other)?,
    }
}

/// Elsewhere it is waited for.
#[cfg(not(unix))]
fn end_group(_pid: u32, ended: &Ended) -> std::io::Result<Instant> {
    ended.recv().map_err(std::io::Error::other)?
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn shell(line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        command
    }

    #[test]
    fn a_program_that_shall_end_takes_its_children_along() {
        use std::io::Read;
        // The pipe ends when the last process that holds it has ended.
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut command = shell("trap '' TERM; sleep 600 & sleep 600; sleep 600");
        command.stdout(writer);
        let mut asked = 0;
        let cost = CommandCost::measure(command, || {
            asked += 1;
            asked > 3
        });
        let cost = cost.unwrap();
        assert!(cost.ended_early && !cost.status.success());
        assert_eq!(reader.read_to_end(&mut Vec::new()).unwrap(), 0);
    }

    #[test]
    fn a_program_that_ends_by_itself_has_its_status_and_its_accounts() {
        let cost = CommandCost::measure(shell("exit 7"), || true).unwrap();
        assert!(!cost.ended_early || cost.status.code() != Some(0));
        let cost = CommandCost::measure(shell("exit 7"), || false).unwrap();
        assert_eq!((cost.status.code(), cost.ended_early), (Some(7), false));
        assert!(cost.cpu_s().unwrap() >= 0.0 && cost.peak_process_rss_bytes.unwrap() > 1e5);
        let error = CommandCost::measure(Command::new("/no/such/program"), || false).unwrap_err();
        assert!(error.to_string().contains("/no/such/program"));
    }
}
