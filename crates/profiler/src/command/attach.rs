//! Profiling a program that runs already.

use std::process::ExitStatus;
use std::time::Instant;

use lob_scope::{Unavailable, procfs, thread_cpu_time_s};

use super::options::CommandOptions;
use super::tree::Stat;
use super::wait::Usage;
use super::{CommandProfile, Ended, watch};
use crate::stacks::ChildSampler;
use crate::{HardwareReading, ProcessIo, ProfilerError};

impl CommandProfile {
    /// Measures a program that runs already, and its descendants, until it ends, until the time of the
    /// options is over or until they say stop. It is left alone.
    ///
    /// Times and faults are those since the profile began. The peak of memory is that of its whole
    /// life. How it ended is not told to others than its parent: the status is always success.
    ///
    /// # Errors
    /// [`ProfilerError::NoProcess`] when there is no such process.
    ///
    /// ```
    /// use std::time::Duration;
    /// use lob_profiler::{CommandOptions, CommandProfile};
    /// let mut options = CommandOptions::every(Duration::from_millis(5));
    /// options.duration = Some(Duration::from_millis(40));
    /// # if cfg!(target_os = "linux") {
    /// let found = CommandProfile::of_process(std::process::id(), &options)?;
    /// assert!(found.left_running && found.scenario.elapsed_s >= 0.04);
    /// # }
    /// # Ok::<(), lob_profiler::ProfilerError>(())
    /// ```
    pub fn of_process(pid: u32, options: &CommandOptions) -> Result<Self, ProfilerError> {
        let first = Stat::read(pid).filter(|stat| !stat.has_ended());
        let first = first.ok_or(ProfilerError::NoProcess { pid })?;
        let (program, arguments) = command_line(pid, &first);
        let cpu_before = thread_cpu_time_s();
        let options = &CommandOptions { adopts_orphans: false, ..options.clone() };
        let pids: Vec<u32> = watch::family(pid);
        let asked = options.stacks.then_some(()).ok_or_else(|| Unavailable::new("not asked for"));
        let lines = asked.and_then(|()| ChildSampler::of_running(&pids, super::STACKS_HZ));
        let io_before = io(pid);
        let mut last = (first.clone(), io_before.clone(), peak(pid));
        let start = Instant::now();
        let watched = watch::running(pid, first.started, start, options, &mut |stat| {
            // What a process that ends leaves behind tells no more.
            last.0 = stat;
            last.1 = io(pid).or_else(|_| last.1.clone());
            last.2 = peak(pid).or_else(|_| last.2.clone());
        });
        let (stat, io_after, peak) = last;
        let (user_s, system_s) = watched.cpu_s.unwrap_or_default();
        let only_launched = || Unavailable::new("counted for programs that `lob` starts");
        let counted = |before: u64, after: u64| Ok(after.saturating_sub(before) as f64);
        let usage = Usage {
            status: ExitStatus::default(),
            user_s: Ok(user_s),
            system_s: Ok(system_s),
            max_rss_bytes: peak,
            minor_faults: counted(first.minor_faults, stat.minor_faults),
            major_faults: counted(first.major_faults, stat.major_faults),
            voluntary_switches: Err(only_launched()),
            involuntary_switches: Err(only_launched()),
            io: io_before.and_then(|before| Ok(passed(before, io_after?))),
        };
        let watching = thread_cpu_time_s().and_then(|now| Ok(now - cpu_before?));
        let none = || Err(only_launched());
        let hardware = HardwareReading {
            instructions: none(),
            cycles: none(),
            cache_misses: none(),
            branch_misses: none(),
        };
        let lines = lines.map(ChildSampler::finish);
        let memory_lines =
            Err(Unavailable::new("new memory of a program that runs already is not sampled"));
        let mut ended = Ended { watched, usage, watching, hardware, lines, memory_lines };
        // Its children are its own affair.
        ended.watched.outliving.clear();
        let mut profile = ended.profile(&program, arguments, Some(pid));
        let why = "they are only tracked in programs that `lob` starts";
        profile.add_heap(options.allocs.then(|| Err(Unavailable::new(why))));
        Ok(profile)
    }
}

/// Program and arguments; the name in brackets where there are none.
fn command_line(pid: u32, stat: &Stat) -> (String, Vec<serde_json::Value>) {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut words = text.trim_end_matches('\0').split('\0').map(str::to_owned);
    let program = words.next().filter(|word| !word.is_empty());
    let program = program.unwrap_or_else(|| format!("[{}]", stat.name));
    (program, words.map(serde_json::Value::from).collect())
}

fn io(pid: u32) -> Result<ProcessIo, Unavailable> {
    let path = format!("/proc/{pid}/io");
    crate::sensors::parse_io(&procfs::read(&path)?)
        .ok_or_else(|| Unavailable::new(format!("`{path}` has an unknown layout")))
}

fn passed(before: ProcessIo, after: ProcessIo) -> ProcessIo {
    ProcessIo {
        read_bytes: after.read_bytes.saturating_sub(before.read_bytes),
        write_bytes: after.write_bytes.saturating_sub(before.write_bytes),
        disk_read_bytes: after.disk_read_bytes.saturating_sub(before.disk_read_bytes),
        disk_write_bytes: after.disk_write_bytes.saturating_sub(before.disk_write_bytes),
    }
}

fn peak(pid: u32) -> Result<f64, Unavailable> {
    let path = format!("/proc/{pid}/status");
    let bytes = procfs::kib_field(&procfs::read(&path)?, "VmHWM");
    bytes.map(|bytes| bytes as f64).ok_or_else(|| Unavailable::new(format!("`{path}` has no peak")))
}
