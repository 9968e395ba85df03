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
}

/// A process that lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) pid: u32,
    pub(super) parent: u32,
    /// Its process group.
    pub(super) group: u32,
    pub(super) name: String,
    user_ticks: u64,
    system_ticks: u64,
}

impl Member {
    /// A process that has done nothing.
    #[cfg(test)]
    pub(super) fn example(pid: u32, parent: u32) -> Self {
        Self { pid, parent, group: 1, name: format!("p{pid}"), user_ticks: 0, system_ticks: 0 }
    }

    /// CPU seconds so far, of children waited for too: in user mode and in the kernel.
    pub(super) fn cpu_s(&self) -> (f64, f64) {
        let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_s();
        (seconds(self.user_ticks), seconds(self.system_ticks))
    }
}

/// A process and every descendant seen so far that still lives.
pub(super) struct Tree {
    /// Start time by process number: a number used again is another process.
    known: BTreeMap<u32, Option<u64>>,
    /// Processes that lived at the last look.
    pub(super) members: Vec<Member>,
    /// Adopted ones that have ended and wait to be reaped.
    pub(super) ended_orphans: Vec<u32>,
    root: u32,
    /// Whether descendants without a parent become children of this process.
    adopts: bool,
    /// Own children that are none of the program.
    strangers: Vec<u32>,
    page_bytes: f64,
    ticks_per_s: f64,
}

impl Tree {
    /// `adopts`: descendants without a parent become children of this process.
    pub(super) fn new(root: u32, adopts: bool) -> Self {
        let strangers = if adopts { children(std::process::id()) } else { Vec::new() };
        Self {
            known: BTreeMap::from([(root, None)]),
            members: Vec::new(),
            ended_orphans: Vec::new(),
            root,
            adopts,
            strangers: strangers.into_iter().filter(|pid| *pid != root).collect(),
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
        };
        let mut queue: Vec<u32> = self.known.keys().copied().collect();
        if self.adopts {
            let own = children(std::process::id()).into_iter();
            queue.extend(own.filter(|pid| !self.strangers.contains(pid)));
        }
        let mut alive = BTreeMap::new();
        self.members.clear();
        self.ended_orphans.clear();
        while let Some(pid) = queue.pop() {
            let expected = self.known.get(&pid).copied().flatten();
            let Some(stat) = Stat::read(pid).filter(|s| expected.is_none_or(|e| e == s.started))
            else {
                continue;
            };
            if alive.insert(pid, Some(stat.started)).is_some() {
                continue;
            }
            self.add(&mut sum, pid, &stat);
            queue.extend(children(pid));
        }
        self.known = alive;
        (sum.processes > 0.0).then_some(sum)
    }

    fn add(&mut self, sum: &mut Sample, pid: u32, stat: &Stat) {
        let add = |total: &mut Option<f64>, value: f64| {
            *total = Some(total.unwrap_or(0.0) + value);
        };
        sum.processes += 1.0;
        sum.threads += stat.threads as f64;
        sum.cpu_s += stat.cpu_ticks as f64 / self.ticks_per_s;
        sum.blocked_s += stat.blocked_ticks as f64 / self.ticks_per_s;
        // A process that has ended and waits to be reaped has no memory, and does nothing.
        if stat.has_ended() {
            if self.adopts && pid != self.root && stat.parent == std::process::id() {
                self.ended_orphans.push(pid);
            }
            return;
        }
        self.members.push(Member {
            pid,
            parent: stat.parent,
            group: stat.group,
            name: stat.name.clone(),
            user_ticks: stat.user_ticks,
            system_ticks: stat.cpu_ticks - stat.user_ticks,
        });
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) name: String,
    state: char,
    parent: u32,
    group: u32,
    /// Own and of children waited for, user and system.
    cpu_ticks: u64,
    /// The part of them in user mode.
    user_ticks: u64,
    /// Page faults, of children waited for too.
    pub(super) minor_faults: u64,
    pub(super) major_faults: u64,
    threads: u64,
    pub(super) started: u64,
    blocked_ticks: u64,
}

impl Stat {
    pub(super) fn read(pid: u32) -> Option<Self> {
        Self::parse(&procfs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Whether nothing of it runs any more: it waits to be reaped. A process goes on whose first
    /// thread alone has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.state == 'X' || self.state == 'Z' && self.threads <= 1
    }

    fn parse(text: &str) -> Option<Self> {
        // The name may hold spaces and parentheses; the fields begin after the last one.
        let (head, fields) = text.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        // Field 3 of the manual is the first here.
        let number = |field: usize| -> Option<u64> { fields.get(field - 3)?.parse().ok() };
        // Times of children are signed in the kernel's text, but never below zero.
        let sum = |fields: [usize; 2]| -> Option<u64> { fields.into_iter().map(number).sum() };
        let (user, system) = (sum([14, 16])?, sum([15, 17])?);
        Some(Self {
            name: name.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: u32::try_from(number(4)?).ok()?,
            group: u32::try_from(number(5)?).unwrap_or(0),
            cpu_ticks: user + system,
            user_ticks: user,
            minor_faults: sum([10, 11])?,
            major_faults: sum([12, 13])?,
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
        let expected = Stat {
            name: "a) b (c".to_owned(),
            state: 'S',
            parent: 1357,
            group: 1357,
            cpu_ticks: 10,
            user_ticks: 4,
            minor_faults: 129,
            major_faults: 0,
            threads: 5,
            started: 587_299,
            blocked_ticks: 77,
        };
        assert!(!expected.has_ended());
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("1 (x) S 1"), None);
        assert_eq!(Stat::parse(""), None);
    }
}
