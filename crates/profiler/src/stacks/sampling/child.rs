//! Sampling another program: the kernel interrupts it and copies registers and stack; a thread of
//! this process takes the copies.

use std::io::{PipeReader, PipeWriter};
use std::os::fd::AsRawFd;
use std::thread::JoinHandle;

use lob_scope::{Unavailable, procfs, thread_cpu_time_s};

use super::buffer::Buffer;
use super::engine::{Engine, Source};
use super::records::{REGISTERS, Record, SAMPLE_TYPE};
use crate::perf::imp::{Attributes, Event as Perf, flag, refused};
use crate::stacks::report::LineProfile;

const TYPE_SOFTWARE: u32 = 1;
/// Longest time between two visits to the buffers, in milliseconds; they last some 60 of one busy
/// CPU.
const VISIT_MS: i32 = 20;
/// Niceness of the thread that takes samples: it does little, but at once.
const EAGER: i32 = -10;
/// Most CPUs of a machine that is sampled as a whole to find the program in it.
const MAX_WHOLE: usize = 16;

/// What a sample stands for, and how much room it gets.
#[derive(Clone, Copy)]
struct Plan {
    /// The kernel's number of the event.
    config: u64,
    period: u64,
    /// Bytes of stack in a sample; less than the own process gets, since the buffers are small.
    stack_bytes: u32,
    /// Pages of a buffer, by falling preference. The kernel grants all events of a user together
    /// 516 KiB a CPU by default (`kernel.perf_event_mlock_kb`).
    pages: &'static [usize],
    /// Whether the kernel's own work is wanted too.
    kernel: bool,
}

/// The clock that runs while the program runs; virtual machines have it too.
fn cpu_time(rate_hz: u32) -> Plan {
    let period = 1_000_000_000 / u64::from(rate_hz.max(1));
    Plan { config: 0, period, stack_bytes: 16 << 10, pages: &[512, 128, 64, 32, 16], kernel: true }
}

/// Page faults: new memory where it is first touched, two megabytes a sample.
const NEW_MEMORY: Plan =
    Plan { config: 2, period: 509, stack_bytes: 8 << 10, pages: &[32, 16], kernel: false };

/// Samples the programs the calling thread starts after this was made, and their descendants,
/// on every CPU. Nothing of the calling program itself.
pub(crate) struct ChildSampler {
    thread: JoinHandle<(Engine, Option<f64>)>,
    /// Closing it ends the thread.
    stop: PipeWriter,
    interval_s: f64,
    user_mode_only: Option<String>,
    start_ns: u64,
}

/// Open events and what they see.
struct Opened {
    buffers: Vec<Buffer>,
    /// Events that write to the buffers of others.
    others: Vec<Perf>,
    source: Source,
    user_mode_only: Option<String>,
}

impl ChildSampler {
    /// Opens the events of CPU time; they wait for the next program.
    pub(crate) fn of_cpu_time(rate_hz: u32) -> Result<Self, Unavailable> {
        let plan = cpu_time(rate_hz);
        Self::start(plan, open(plan)?, &[])
    }

    /// Opens the events of newly touched memory; they wait for the next program.
    pub(crate) fn of_new_memory() -> Result<Self, Unavailable> {
        Self::start(NEW_MEMORY, open(NEW_MEMORY)?, &[])
    }

    /// Samples the CPU time of processes that run already, and of their descendants to come.
    #[allow(dead_code, reason = "for profiles of running programs")]
    pub(crate) fn of_running(pids: &[u32], rate_hz: u32) -> Result<Self, Unavailable> {
        let plan = cpu_time(rate_hz);
        Self::start(plan, open_running(plan, pids)?, pids)
    }

    fn start(plan: Plan, opened: Opened, pids: &[u32]) -> Result<Self, Unavailable> {
        let Opened { buffers, others, source, user_mode_only } = opened;
        let mut engine = Engine::new(source);
        pids.iter().for_each(|pid| engine.adopt(*pid));
        let failed = |e: std::io::Error| Unavailable::new(format!("no thread to unwind on: {e}"));
        let (stopped, stop) = std::io::pipe().map_err(failed)?;
        let body = move || {
            // Where that is permitted: what waits for its turn finds another moment than it was
            // woken for.
            // SAFETY: the call takes numbers; for this thread alone, on Linux.
            unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, EAGER) };
            let engine = watch(engine, buffers, &stopped);
            drop(others);
            (engine, thread_cpu_time_s().ok())
        };
        let thread = std::thread::Builder::new()
            .name("lob-stacks".to_owned())
            .spawn(body)
            .map_err(failed)?;
        let interval_s = if plan.config == 0 { plan.period as f64 * 1e-9 } else { 0.0 };
        Ok(Self { thread, stop, interval_s, user_mode_only, start_ns: now_ns() })
    }

    /// The profile, with names and lines looked up.
    pub(crate) fn finish(self) -> LineProfile {
        drop(self.stop);
        let Ok((engine, cpu_s)) = self.thread.join() else { return LineProfile::default() };
        LineProfile {
            interval_s: self.interval_s,
            user_mode_only: self.user_mode_only,
            profiler_cpu_s: cpu_s.unwrap_or(0.0),
            ..engine.finish(self.start_ns)
        }
    }
}

/// Empties the buffers until it is told to stop.
fn watch(mut engine: Engine, mut buffers: Vec<Buffer>, stopped: &PipeReader) -> Engine {
    let wait = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut waits = vec![wait(stopped.as_raw_fd())];
    waits.extend(buffers.iter().map(|buffer| wait(buffer.fd())));
    let mut pending = Vec::new();
    loop {
        // Who has to be looked at right after a sample wakes this thread with every one.
        let count = if engine.is_urgent() { waits.len() } else { 1 };
        // SAFETY: the call reads and writes the `count` entries it is given.
        unsafe {
            libc::poll(waits.as_mut_ptr(), libc::nfds_t::try_from(count).unwrap_or(1), VISIT_MS)
        };
        let ended = waits.first().is_some_and(|wait| wait.revents != 0);
        // What one buffer gets while another is emptied waits for the next visit, so that records
        // stay in the order of time.
        let until = if ended { u64::MAX } else { now_ns() };
        for buffer in &mut buffers {
            pending.extend(Record::all(&buffer.take()));
        }
        pending.sort_by_key(|record: &Record| record.time);
        let later = pending.partition_point(|record| record.time <= until);
        let rest = pending.split_off(later);
        engine.apply(std::mem::replace(&mut pending, rest));
        if ended {
            return engine;
        }
    }
}

/// The clock of the records.
fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to the structure it is given, and this clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}

/// Who is sampled: the more of it, the more the kernel has to allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Everything on the machine, its kernel too: also processes too short for a clock of their
    /// own.
    Machine,
    /// The program and the kernel working for it.
    Program,
    /// The program in user mode.
    User,
}

/// Opens the events of the next program as far as the kernel allows.
fn open(plan: Plan) -> Result<Opened, Unavailable> {
    let cpus = online_cpus()?;
    // SAFETY: the calls have no preconditions.
    let (pid, tid) = unsafe { (libc::getpid(), libc::gettid()) };
    let number = |id: i32| u32::try_from(id).unwrap_or(0);
    let machine = Source::Machine { pid: number(pid), tid: number(tid) };
    reach(plan, &cpus, |reach| {
        let target = if reach == Reach::Machine { -1 } else { 0 };
        let started =
            if reach == Reach::Machine { 0 } else { flag::DISABLED | flag::ENABLE_ON_EXEC };
        let opened = each_cpu(plan, &cpus, reach, started, &[target])?;
        let source = if reach == Reach::Machine { machine } else { Source::Family };
        Ok((opened, source))
    })
}

/// Opens the events of processes that run.
fn open_running(plan: Plan, pids: &[u32]) -> Result<Opened, Unavailable> {
    let cpus = online_cpus()?;
    let threads = |pid: &u32| {
        let list = std::fs::read_dir(format!("/proc/{pid}/task"));
        let number = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.ok()?.file_name().to_str()?.parse::<i32>().ok()
        };
        list.into_iter().flatten().filter_map(number).collect::<Vec<i32>>()
    };
    let tids: Vec<i32> = pids.iter().flat_map(threads).collect();
    if tids.is_empty() {
        return Err(Unavailable::new("none of the processes runs any more"));
    }
    reach(plan, &cpus, |reach| {
        let targets: &[i32] = if reach == Reach::Machine { &[-1] } else { &tids };
        Ok((each_cpu(plan, &cpus, reach, 0, targets)?, Source::Running))
    })
}

/// Tries one reach after the other.
fn reach(
    plan: Plan,
    cpus: &[i32],
    open: impl Fn(Reach) -> std::io::Result<((Vec<Buffer>, Vec<Perf>), Source)>,
) -> Result<Opened, Unavailable> {
    let mut refusal = None;
    let whole = plan.kernel && cpus.len() <= MAX_WHOLE;
    let tries = [(Reach::Machine, whole), (Reach::Program, plan.kernel), (Reach::User, true)];
    for (reach, _) in tries.into_iter().filter(|(_, wanted)| *wanted) {
        match open(reach) {
            Ok(((buffers, others), source)) => {
                let user_mode_only = (reach == Reach::User && plan.kernel)
                    .then(|| refusal.map_or_else(String::new, |e| kernel_refused(&e)));
                return Ok(Opened { buffers, others, source, user_mode_only });
            }
            Err(error) => refusal = Some(error),
        }
    }
    let error = refusal.unwrap_or_else(|| std::io::Error::other("nothing was tried"));
    Err(refused(&error))
}

fn kernel_refused(error: &std::io::Error) -> String {
    let level = procfs::read("/proc/sys/kernel/perf_event_paranoid");
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => format!(
            "`kernel.perf_event_paranoid` is {}, 1 or less or the capability CAP_PERFMON is needed",
            level.as_deref().map_or("unknown", str::trim)
        ),
        _ => error.to_string(),
    }
}

/// Opens the events of the targets on every CPU: inherited events have to be
/// (perf_event_open(2), "inherit").
fn each_cpu(
    plan: Plan,
    cpus: &[i32],
    reach: Reach,
    flags: u64,
    targets: &[i32],
) -> std::io::Result<(Vec<Buffer>, Vec<Perf>)> {
    let (mut buffers, mut others) = (Vec::new(), Vec::new());
    for cpu in cpus {
        let mut first = None;
        for target in targets {
            let event = match open_one(plan, reach, flags, *target, *cpu) {
                // A thread that has ended meanwhile.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => continue,
                event => event?,
            };
            match first {
                None => {
                    first = Some(event.fd());
                    let full = |e: Unavailable| std::io::Error::other(e.reason);
                    buffers.push(Buffer::map(event, plan.pages).map_err(full)?);
                }
                Some(buffer) => {
                    event.write_to(buffer)?;
                    others.push(event);
                }
            }
        }
    }
    Ok((buffers, others))
}

fn open_one(plan: Plan, reach: Reach, flags: u64, target: i32, cpu: i32) -> std::io::Result<Perf> {
    let attributes = attributes(plan, reach, flags);
    match Perf::open_for(attributes, target, cpu) {
        // Kernels before 5.12 tell no build ids.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            let flags = attributes.flags & !flag::BUILD_ID;
            Perf::open_for(Attributes { flags, ..attributes }, target, cpu)
        }
        opened => opened,
    }
}

fn attributes(plan: Plan, reach: Reach, flags: u64) -> Attributes {
    const MONOTONIC: i32 = libc::CLOCK_MONOTONIC;
    let reach = match reach {
        Reach::Machine => flag::EXCLUDE_IDLE,
        Reach::Program => flag::INHERIT,
        Reach::User => flag::INHERIT | flag::EXCLUDE_KERNEL | flag::EXCLUDE_CALLCHAIN_KERNEL,
    };
    Attributes {
        kind: TYPE_SOFTWARE,
        config: plan.config,
        sample_period: plan.period,
        sample_type: SAMPLE_TYPE,
        sample_regs_user: REGISTERS,
        sample_stack_user: plan.stack_bytes,
        clockid: MONOTONIC,
        wakeup_events: 1,
        flags: flags
            | reach
            | flag::EXCLUDE_HV
            | flag::EXCLUDE_CALLCHAIN_USER
            | flag::MMAP
            | flag::MMAP2
            | flag::BUILD_ID
            | flag::COMM
            | flag::COMM_EXEC
            | flag::TASK
            | flag::USE_CLOCKID
            | flag::SAMPLE_ID_ALL,
        ..Attributes::default()
    }
}

/// CPUs in use.
fn online_cpus() -> Result<Vec<i32>, Unavailable> {
    let path = "/sys/devices/system/cpu/online";
    parse_cpus(&procfs::read(path)?)
        .ok_or_else(|| Unavailable::new(format!("`{path}` has an unknown layout")))
}

/// A list such as `0-3,8`.
fn parse_cpus(text: &str) -> Option<Vec<i32>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse::<i32>().ok()?..=last.parse::<i32>().ok()?);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_are_read() {
        assert_eq!(parse_cpus("0-3,8\n"), Some(vec![0, 1, 2, 3, 8]));
        assert_eq!(parse_cpus("0"), Some(vec![0]));
        assert_eq!(parse_cpus("none"), None);
    }
}
