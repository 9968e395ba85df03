//! All threads of the program's processes, and what the program as a whole waits for.
//!
//! At every moment the program does what its active threads do (those that run, have no CPU, wait
//! for a disk or for a lock that another holds). While none is active, it waits for what its first
//! thread waits for; where that is another thread or a child process, for what these wait for, and
//! so on. Whoever else sleeps serves: a pool without work, a helper in `pause`.

use std::collections::{BTreeMap, BTreeSet};

use super::chain::{Answer, Chain};
use super::descriptor::{Process, Streams};
use super::doing::{Doing, Ends};
use super::lanes::Lane;
use super::thread::{Step, Thread};
use super::tree::Member;
use super::waits::{Reason, Row, Waits};

/// Ended threads that are kept for the tables; of the others only their sum.
const MAX_ENDED: usize = 1000;
/// Sentences kept about what was waited for.
const MAX_REASONS: usize = 200;

/// The threads seen so far.
#[derive(Debug, Default)]
pub(super) struct Threads {
    root: u32,
    midway: bool,
    alive: BTreeMap<(u32, u32), (Thread, Lane)>,
    ended: Vec<(Thread, Lane)>,
    /// Threads that ended and were not kept.
    forgotten: usize,
    streams: Streams,
    /// Seconds since the program was started, at the last pass.
    last_s: f64,
    passes: usize,
    /// Seconds by what the program as a whole did.
    seconds: BTreeMap<Doing, f64>,
    /// Seconds by what, in words.
    reasons: BTreeMap<(Doing, String), f64>,
}

impl Threads {
    pub(super) fn new(root: u32) -> Self {
        Self { root, ..Self::default() }
    }

    /// What threads did before the first pass is none of the profile.
    pub(super) fn begin_midway(&mut self) {
        self.midway = true;
    }

    /// Looks at every thread of the processes.
    pub(super) fn pass(&mut self, t_s: f64, members: &[Member]) {
        let pids: Vec<u32> = members.iter().map(|m| m.pid).collect();
        let mut alive = BTreeMap::new();
        let is_old = self.midway && self.passes == 0;
        for member in members {
            let mut process = Process { pid: member.pid, all: &pids, streams: &mut self.streams };
            for tid in tids(member.pid) {
                let key = (member.pid, tid);
                let known = self.alive.remove(&key);
                let again = known.and_then(|(mut thread, lane)| {
                    let lives = thread.look_again(t_s, &mut process);
                    if !lives {
                        keep(&mut self.ended, &mut self.forgotten, (thread, lane));
                        return None;
                    }
                    Some((thread, lane))
                });
                let found = again.or_else(|| {
                    let thread = Thread::found(tid, self.last_s, t_s, &mut process, is_old)?;
                    Some((thread, Lane::new(self.last_s)))
                });
                if let Some((thread, mut lane)) = found {
                    lane.add(t_s, thread.doing());
                    alive.insert(key, (thread, lane));
                }
            }
        }
        for gone in std::mem::replace(&mut self.alive, alive).into_values() {
            keep(&mut self.ended, &mut self.forgotten, gone);
        }
        if !is_old {
            self.judge(t_s - self.last_s, members);
        }
        self.last_s = t_s;
        self.passes += 1;
    }

    /// Adds what the program did since the last pass.
    fn judge(&mut self, passed_s: f64, members: &[Member]) {
        let threads: BTreeMap<_, _> = self.alive.iter().map(|(k, (t, _))| (*k, t)).collect();
        let (active_s, parts) = active(threads.values().copied(), passed_s);
        let answers = Chain::new(&threads, members).answers(self.root);
        let mut said: Vec<(Doing, String, f64)> = Vec::new();
        for (thread, doing, seconds) in &parts {
            let what = match doing {
                Doing::Running | Doing::Ready => format!("`{}`", thread.name),
                _ => told(thread, *doing, &threads, members),
            };
            said.push((*doing, what, *seconds));
        }
        let whole: f64 = answers.iter().map(|answer| answer.weight).sum();
        for Answer { thread, doing, weight } in &answers {
            let seconds = (passed_s - active_s).max(0.0) * weight / whole.max(1e-12);
            said.push((*doing, told(thread, *doing, &threads, members), seconds));
        }
        for (doing, what, seconds) in said {
            *self.seconds.entry(doing).or_default() += seconds;
            let is_new = !self.reasons.contains_key(&(doing, what.clone()));
            if !is_new || self.reasons.len() < MAX_REASONS {
                *self.reasons.entry((doing, what)).or_default() += seconds;
            }
        }
    }

    /// What was found.
    pub(super) fn finish(self) -> Waits {
        let rows = self.alive.into_values().chain(self.ended).map(|(thread, lane)| Row {
            name: format!("{} {}", thread.name, thread.tid),
            seconds: thread.seconds(),
            most: thread.most().unwrap_or_default(),
            lane,
        });
        let reasons = self.reasons.into_iter();
        Waits {
            passes: self.passes,
            seconds: self.seconds,
            reasons: reasons.map(|((doing, what), s)| Reason { doing, what, s }).collect(),
            rows: rows.collect(),
            forgotten: self.forgotten,
        }
        .sorted()
    }
}

fn keep(ended: &mut Vec<(Thread, Lane)>, forgotten: &mut usize, gone: (Thread, Lane)) {
    if ended.len() < MAX_ENDED {
        ended.push(gone);
    } else {
        *forgotten += 1;
    }
}

/// Seconds in which some thread was active, and whose they were.
///
/// How the times of threads overlap is not known. They are taken to be active independently of each
/// other, but for those that are ready without a CPU: they queue, so the longest of them counts for
/// all. Otherwise a thousand threads woken at once would fill a second that they spent asleep.
fn active<'a>(
    threads: impl Iterator<Item = &'a Thread>,
    passed_s: f64,
) -> (f64, Vec<(&'a Thread, Doing, f64)>) {
    let (mut idle, mut most, mut most_ready, mut all_ready, mut rest) = (1.0, 0.0, 0.0, 0.0, 0.0);
    let mut parts = Vec::new();
    for thread in threads {
        let Step { ran, ready, waited } = thread.step;
        let blocked = thread.wait.as_ref().filter(|wait| {
            wait.doing == Doing::Disk || (wait.doing, wait.ends) == (Doing::Lock, Ends::Holder)
        });
        let blocked = blocked.map_or((Doing::Other, 0.0), |wait| (wait.doing, waited));
        for (doing, share) in [(Doing::Running, ran), (Doing::Ready, ready), blocked] {
            if share > 0.0 {
                parts.push((thread, doing, share));
            }
        }
        let whole = (ran + ready + blocked.1).min(1.0);
        idle *= 1.0 - whole;
        most = f64::max(most, whole);
        most_ready = f64::max(most_ready, ready);
        all_ready += ready;
        rest += ran + blocked.1;
    }
    let share = f64::max(most, f64::min(1.0 - idle, rest + most_ready));
    for part in parts.iter_mut().filter(|part| part.1 == Doing::Ready) {
        part.2 *= most_ready / f64::max(all_ready, 1e-12);
    }
    let (active_s, whole) = (share * passed_s, parts.iter().map(|p| p.2).sum::<f64>());
    for part in &mut parts {
        part.2 *= active_s / whole.max(1e-12);
    }
    (active_s, parts)
}

/// What a thread waits for, and who is at the other end.
fn told(
    thread: &Thread,
    doing: Doing,
    threads: &BTreeMap<(u32, u32), &Thread>,
    members: &[Member],
) -> String {
    let Some(wait) = &thread.wait else { return format!("`{}`", thread.name) };
    if doing == Doing::Timer && wait.doing != Doing::Timer {
        return format!("`{}` in a wait that only its timeout ends", thread.name);
    }
    let mut text = format!("`{}` in {}", thread.name, wait.what);
    let Some(peer) = wait.peer else { return text };
    if peer == thread.pid {
        text.push_str(" from a thread of its own");
    } else if let Some(other) = threads.get(&(peer, peer)) {
        let way = if wait.what.contains(" to ") { "read by " } else { "from " };
        text.push_str(&format!(" {way}`{}`", other.name));
        let then = Chain::new(threads, members).answers(peer);
        if let Some(Answer { thread, .. }) = then.first()
            && let Some(wait) = &thread.wait
        {
            let who = if thread.pid == peer {
                "which is".to_owned()
            } else {
                format!("which waits for `{}`", thread.name)
            };
            text.push_str(&format!(", {who} in {}", wait.what));
        }
    }
    text
}

/// The threads of a process.
fn tids(pid: u32) -> BTreeSet<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return BTreeSet::new() };
    let tids: BTreeSet<u32> =
        tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok()).collect();
    tids
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of one in which some thread is active, of threads that ran and were ready so long.
    fn active_s(steps: &[(f64, f64)]) -> f64 {
        let thread = |(ran, ready): &(f64, f64)| {
            let mut thread = Thread::example(1, 1, None, 0.0);
            thread.step = Step { ran: *ran, ready: *ready, waited: 1.0 - ran - ready };
            thread
        };
        let threads: Vec<Thread> = steps.iter().map(thread).collect();
        let (active_s, parts) = active(threads.iter(), 1.0);
        let sum: f64 = parts.iter().map(|part| part.2).sum();
        assert!((sum - active_s).abs() < 1e-9, "{steps:?}: {sum} of {active_s}");
        active_s
    }

    #[test]
    fn busy_threads_fill_the_time_and_a_herd_woken_once_does_not() {
        assert!((active_s(&[(0.2, 0.0)]) - 0.2).abs() < 1e-9);
        // Four that want all of two loaded CPUs.
        assert!((active_s(&[(0.1, 0.9); 4]) - 1.0).abs() < 1e-9);
        // A thousand that ran for 0.1 ms each and queued for it up to 100 ms.
        assert!(active_s(&[(0.0001, 0.1); 1000]) < 0.25);
        // Two in turn.
        assert!(active_s(&[(0.5, 0.0); 2]) > 0.7);
        assert!(active_s(&[]).abs() < 1e-12);
    }
}
