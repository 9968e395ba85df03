//! A process and its descendants, read from `/proc`.

use std::collections::BTreeMap;

use lob_scope::procfs;

/// What the tree looked like at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// Seconds since the program was started.
    pub(super) t_s: f64,
    pub(super) processes: f64,
    pub(super) threads: f64,
    /// Bytes; a page shared by two processes counts twice.
    pub(super) rss: Option<f64>,
    pub(super) anon_rss: Option<f64>,
    /// Address space that may hold memory of its own: private mappings that can be written to.
    pub(super) reserved: Option<f64>,
    /// CPU seconds so far.
    pub(super) cpu_s: f64,
    /// Seconds of waiting for block devices so far; zero where the kernel does not keep count.
    pub(super) blocked_s: f64,
    pub(super) disk_read_bytes: Option<f64>,
    pub(super) disk_write_bytes: Option<f64>,
    /// What the processes without children were doing.
    pub(super) doing: Vec<Doing>,
}

/// What a process was doing when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doing {
    Running,
    /// In uninterruptible sleep, or asleep in a function of the block layer or a file system.
    Disk,
    /// Asleep in a pipe, a socket, a terminal or a poll over them.
    Stream,
    Timer,
    Lock,
    Other,
}

impl Doing {
    /// By the state letter of `/proc/PID/stat` and the kernel function slept in.
    pub(super) fn of(state: char, function: &str) -> Self {
        const DISK: [&str; 9] =
            ["io_schedule", "folio", "blk", "jbd2", "ext4", "xfs", "btrfs", "nfs", "read_events"];
        const STREAM: [&str; 9] =
            ["pipe", "sock", "tcp", "unix_", "skb", "poll", "select", "tty", "wait_woken"];
        let within = |names: &[&str]| names.iter().any(|name| function.contains(name));
        match state {
            'R' => Self::Running,
            'D' => Self::Disk,
            _ if function.contains("nanosleep") => Self::Timer,
            _ if function.contains("futex") => Self::Lock,
            _ if within(&DISK) => Self::Disk,
            _ if within(&STREAM) => Self::Stream,
            _ => Self::Other,
        }
    }
}

/// A process and every descendant seen so far that still lives.
pub(super) struct Tree {
    /// Start time by process number: a number used again is another process.
    known: BTreeMap<u32, Option<u64>>,
    page_bytes: f64,
    ticks_per_s: f64,
}

impl Tree {
    pub(super) fn new(root: u32) -> Self {
        Self {
            known: BTreeMap::from([(root, None)]),
            page_bytes: procfs::page_bytes() as f64,
            ticks_per_s: procfs::ticks_per_s(),
        }
    }

    /// Looks at every process; `None` when none could be read.
    pub(super) fn sample(&mut self, t_s: f64) -> Option<Sample> {
        let mut sum = Sample {
            t_s,
            processes: 0.0,
            threads: 0.0,
            rss: None,
            anon_rss: None,
            reserved: None,
            cpu_s: 0.0,
            blocked_s: 0.0,
            disk_read_bytes: None,
            disk_write_bytes: None,
            doing: Vec::new(),
        };
        let mut queue: Vec<u32> = self.known.keys().copied().collect();
        let mut alive = BTreeMap::new();
        while let Some(pid) = queue.pop() {
            let expected = self.known.get(&pid).copied().flatten();
            let Some(stat) = Stat::read(pid).filter(|s| expected.is_none_or(|e| e == s.started))
            else {
                continue;
            };
            if alive.insert(pid, Some(stat.started)).is_some() {
                continue;
            }
            let children = children(pid);
            self.add(&mut sum, pid, &stat, children.is_empty());
            queue.extend(children);
        }
        self.known = alive;
        (sum.processes > 0.0).then_some(sum)
    }

    fn add(&self, sum: &mut Sample, pid: u32, stat: &Stat, is_leaf: bool) {
        let add = |total: &mut Option<f64>, value: f64| {
            *total = Some(total.unwrap_or(0.0) + value);
        };
        sum.processes += 1.0;
        sum.threads += stat.threads as f64;
        sum.cpu_s += stat.cpu_ticks as f64 / self.ticks_per_s;
        sum.blocked_s += stat.blocked_ticks as f64 / self.ticks_per_s;
        // A process that has ended and waits to be reaped has no memory, and does nothing.
        if stat.state == 'Z' || stat.state == 'X' {
            return;
        }
        let pages = procfs::read(format!("/proc/{pid}/statm")).ok();
        // Memory of a process that is ending shrinks while it is read, which is no news of it.
        let pages = pages.filter(|_| !is_ending(pid));
        if let Some((resident, shared)) =
            pages.as_ref().and_then(|text| procfs::resident_and_shared_pages(text))
        {
            add(&mut sum.rss, resident as f64 * self.page_bytes);
            add(&mut sum.anon_rss, resident.saturating_sub(shared) as f64 * self.page_bytes);
        }
        // The sixth number of the line (proc_pid_statm(5)).
        if let Some([.., data]) = pages.and_then(|text| procfs::numbers::<6>(&text)) {
            add(&mut sum.reserved, data as f64 * self.page_bytes);
        }
        let io = procfs::read(format!("/proc/{pid}/io")).ok();
        if let Some(io) = io.and_then(|text| crate::sensors::parse_io(&text)) {
            add(&mut sum.disk_read_bytes, io.disk_read_bytes as f64);
            add(&mut sum.disk_write_bytes, io.disk_write_bytes as f64);
        }
        if is_leaf {
            let function = procfs::read(format!("/proc/{pid}/wchan")).unwrap_or_default();
            sum.doing.push(Doing::of(stat.state, &function));
        }
    }
}

/// Whether a process is on its way out: `PF_EXITING` among its flags, the ninth field of its line.
fn is_ending(pid: u32) -> bool {
    const PF_EXITING: u64 = 0x4;
    let Ok(text) = procfs::read(format!("/proc/{pid}/stat")) else { return true };
    let flags = text.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(6));
    flags.and_then(|flags| flags.parse::<u64>().ok()).is_some_and(|flags| flags & PF_EXITING != 0)
}

/// Process numbers of the children of all threads of a process.
fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let of_task = |task: std::fs::DirEntry| procfs::read(task.path().join("children")).ok();
    tasks
        .filter_map(|task| of_task(task.ok()?))
        .flat_map(|text| {
            text.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<u32>>()
        })
        .collect()
}

/// The fields of `/proc/PID/stat` that matter here (proc_pid_stat(5)).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    /// Own and of children waited for, user and system.
    cpu_ticks: u64,
    threads: u64,
    started: u64,
    blocked_ticks: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&procfs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The name may hold spaces and parentheses; the fields begin after the last one.
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        // Field 3 of the manual is the first here.
        let number = |field: usize| -> Option<u64> { fields.get(field - 3)?.parse().ok() };
        // Times of children are signed in the kernel's text, but never below zero.
        let ticks: Option<u64> = (14..=17).map(number).sum();
        Some(Self {
            state: fields.first()?.chars().next()?,
            cpu_ticks: ticks?,
            threads: number(20)?,
            started: number(22)?,
            blocked_ticks: number(42).unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_are_read_past_odd_names() {
        let text = "1360 (a) b (c) S 1357 1357 20799 0 -1 4194304 129 0 0 0 1 2 3 4 20 0 5 0 587299 \
                    2990080 408 18446744073709551615 1 1 1 0 0 0 0 6 0 1 0 0 17 1 0 0 77 0 0 1 1 1 \
                    1 1 1 1 0";
        let expected =
            Stat { state: 'S', cpu_ticks: 10, threads: 5, started: 587_299, blocked_ticks: 77 };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("1 (x) S 1"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn waits_are_told_apart_by_the_kernel_function() {
        for (state, function, expected) in [
            ('R', "0", Doing::Running),
            ('D', "", Doing::Disk),
            ('S', "jbd2_log_wait_commit", Doing::Disk),
            ('S', "folio_wait_bit_common", Doing::Disk),
            ('S', "pipe_read", Doing::Stream),
            ('S', "do_sys_poll", Doing::Stream),
            ('S', "hrtimer_nanosleep", Doing::Timer),
            ('S', "futex_wait_queue", Doing::Lock),
            ('S', "0", Doing::Other),
        ] {
            assert_eq!(Doing::of(state, function), expected, "{state} {function}");
        }
    }
}
