//! The loop that looks at a program while it runs, and ends it if that is asked for.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use lob_scope::thread_cpu_time_s;

use super::adopt::Adopted;
use super::options::CommandOptions;
use super::threads::Threads;
use super::tree::{Member, Sample, Stat, Tree};
use super::wait;
use super::waits::Waits;

/// Points kept per series; beyond, every second is dropped and the interval doubled.
const MAX_POINTS: usize = 4096;
/// Shortest interval accepted.
const MIN_INTERVAL: Duration = Duration::from_millis(1);
/// A pause that is longer than any program.
const NEVER: Duration = Duration::from_secs(1 << 30);
/// Longest time a request to end may wait to be seen.
const HEED: Duration = Duration::from_millis(50);
/// Share of a CPU that looking at processes and threads may take: beyond, it is done less often.
const MAX_SHARE: f64 = 0.02;
/// But not more rarely than this, or a tenth of a CPU: one costly look would leave the rest unseen.
const MAX_PAUSE: Duration = Duration::from_millis(250);
const MAX_SHARE_AT_LAST: f64 = 0.1;
/// Time a program gets to end after each signal.
const GRACE: Duration = Duration::from_secs(5);
/// Time descendants get to end with the program before they are said to outlive it.
const LINGER: Duration = Duration::from_millis(60);

/// Why the watching ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The program ended by itself.
    Itself,
    /// The time that was asked for is over.
    TimeUp,
    /// Whoever profiles it asked for an end.
    Asked,
}

/// What was seen.
pub(super) struct Watched {
    pub(super) wall_s: f64,
    pub(super) samples: Vec<Sample>,
    pub(super) waits: Waits,
    pub(super) end: End,
    pub(super) adopted: Adopted,
    /// CPU seconds between the first sample and the last, in user mode and in the kernel.
    pub(super) cpu_s: Option<(f64, f64)>,
    /// Processes of the program that go on.
    pub(super) outliving: Vec<Member>,
    /// Whether most samples were taken later than asked for, since they cost too much.
    pub(super) is_slowed: bool,
}

impl Watched {
    /// CPU seconds, in user mode and in the kernel, of descendants that nobody waited for: those
    /// adopted that ended, and those that go on.
    pub(super) fn unclaimed_s(&self) -> (f64, f64) {
        let adopted = (self.adopted.user_s, self.adopted.system_s);
        let outliving = self.outliving.iter().map(Member::cpu_s);
        outliving.fold(adopted, |sum, cpu_s| (sum.0 + cpu_s.0, sum.1 + cpu_s.1))
    }
}

/// Looks at a program when it is time to.
struct Watcher<'a> {
    options: &'a CommandOptions,
    start: Instant,
    interval: Duration,
    due: Instant,
    root: u32,
    tree: Tree,
    threads: Threads,
    samples: Vec<Sample>,
    /// How many looks there were, and how many cost more than the interval allows.
    looks: (usize, usize),
    adopted: Adopted,
    /// CPU seconds at the first sample and at the last.
    cpu_s: Option<[(f64, f64); 2]>,
}

impl<'a> Watcher<'a> {
    fn new(root: u32, start: Instant, options: &'a CommandOptions) -> Self {
        let threads = Threads::new(root);
        Self {
            options,
            start,
            interval: options.interval.max(MIN_INTERVAL),
            due: Instant::now(),
            root,
            tree: Tree::new(root, options.adopts_orphans),
            threads,
            samples: Vec::new(),
            looks: (0, 0),
            adopted: Adopted::default(),
            cpu_s: None,
        }
    }

    /// Looks if it is time to; returns how long it may take until the next look.
    fn look(&mut self) -> Duration {
        let now = Instant::now();
        if !self.options.watches {
            self.due = now + NEVER;
        } else if now >= self.due {
            let pause = self.sample();
            self.looks = (self.looks.0 + 1, self.looks.1 + usize::from(pause > self.interval));
            self.due = now + self.interval.max(pause);
        }
        let mut pause = self.due.saturating_duration_since(Instant::now());
        if self.options.stop.is_some() || self.options.duration.is_some() {
            pause = pause.min(HEED);
        }
        pause
    }

    /// Takes a sample; returns the shortest pause after it that its cost allows.
    fn sample(&mut self) -> Duration {
        let before = thread_cpu_time_s();
        let t_s = self.start.elapsed().as_secs_f64();
        self.samples.extend(self.tree.sample(t_s));
        self.threads.pass(t_s, &self.tree.members);
        let used = self.tree.members.iter().map(Member::cpu_s);
        let used = used.fold((0.0, 0.0), |sum, cpu_s| (sum.0 + cpu_s.0, sum.1 + cpu_s.1));
        if !self.tree.members.is_empty() {
            self.cpu_s = Some([self.cpu_s.map_or(used, |[first, _]| first), used]);
        }
        self.adopted.reap(&self.tree.ended_orphans);
        if self.samples.len() >= MAX_POINTS {
            self.samples =
                std::mem::take(&mut self.samples).into_iter().skip(1).step_by(2).collect();
            self.interval *= 2;
        }
        let cost_s = thread_cpu_time_s().and_then(|after| Ok(after - before?)).unwrap_or(0.0);
        let longest_s = (cost_s / MAX_SHARE_AT_LAST).max(MAX_PAUSE.as_secs_f64());
        Duration::from_secs_f64((cost_s / MAX_SHARE).clamp(0.0, longest_s))
    }

    fn finish(mut self, ended: Instant, end: End) -> Watched {
        let others = |tree: &Tree, root: u32| -> Vec<Member> {
            tree.members.iter().filter(|m| m.pid != root).cloned().collect()
        };
        let mut outliving = Vec::new();
        if self.options.watches {
            let give_up = Instant::now() + LINGER;
            loop {
                let _ = self.tree.sample(0.0);
                self.adopted.reap(&self.tree.ended_orphans);
                outliving = others(&self.tree, self.root);
                if outliving.is_empty() || Instant::now() >= give_up {
                    break;
                }
                std::thread::sleep(LINGER / 6);
            }
        }
        Watched {
            wall_s: ended.duration_since(self.start).as_secs_f64(),
            samples: self.samples,
            waits: self.threads.finish(),
            end,
            adopted: self.adopted,
            cpu_s: self.cpu_s.map(|[a, b]| ((b.0 - a.0).max(0.0), (b.1 - a.1).max(0.0))),
            outliving,
            is_slowed: 2 * self.looks.1 > self.looks.0,
        }
    }

    /// What asks for an end now: the signal to end it with.
    fn asked(&self) -> Option<(i32, End)> {
        if let Some(signal) = self.options.stop.and_then(|stop| stop()) {
            return Some((signal, End::Asked));
        }
        let is_over = self.options.duration.is_some_and(|limit| self.start.elapsed() >= limit);
        is_over.then_some((TERMINATE, End::TimeUp))
    }
}

/// Watches a program that this process has started until it has ended, which it may not be told
/// of yet. It is left to be reaped.
pub(super) fn started(pid: u32, start: Instant, options: &CommandOptions) -> io::Result<Watched> {
    let (tell, told) = mpsc::channel();
    let waiter = std::thread::Builder::new()
        .name("lob-wait".to_owned())
        .spawn(move || tell.send(wait::until_ended(pid).map(|()| Instant::now())));
    waiter?;
    let mut watcher = Watcher::new(pid, start, options);
    let mut ending = Ending::default();
    loop {
        let pause = watcher.look();
        match told.recv_timeout(pause) {
            Err(RecvTimeoutError::Timeout) => ending.go_on(&watcher),
            Ok(ended) => return Ok(watcher.finish(ended?, ending.end())),
            // The thread always sends before it ends, unless it panicked.
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other("the waiting thread has ended"));
            }
        }
    }
}

/// Watches a program that runs already, since `since`, and leaves it alone; what is told of it
/// goes to `seen` now and then.
pub(super) fn running(
    pid: u32,
    since: u64,
    start: Instant,
    options: &CommandOptions,
    seen: &mut dyn FnMut(Stat),
) -> Watched {
    let mut watcher = Watcher::new(pid, start, options);
    watcher.threads.begin_midway();
    loop {
        let pause = watcher.look();
        let stat = Stat::read(pid).filter(|stat| stat.started == since && !stat.has_ended());
        let Some(stat) = stat else {
            return watcher.finish(Instant::now(), End::Itself);
        };
        seen(stat);
        if let Some((_, end)) = watcher.asked() {
            return watcher.finish(Instant::now(), end);
        }
        std::thread::sleep(pause.min(HEED));
    }
}

/// The processes of a program that runs already: itself and its descendants.
pub(super) fn family(pid: u32) -> Vec<u32> {
    let mut tree = Tree::new(pid, false);
    let _ = tree.sample(0.0);
    tree.members.iter().map(|member| member.pid).collect()
}

/// Ends a program: with the signal asked for, then with others.
#[derive(Default)]
struct Ending {
    /// The last signal sent, when, and why.
    sent: Option<(i32, Instant, End)>,
}

impl Ending {
    fn end(&self) -> End {
        self.sent.map_or(End::Itself, |(_, _, end)| end)
    }

    fn go_on(&mut self, watcher: &Watcher<'_>) {
        let asked = watcher.asked();
        let next = match (self.sent, asked) {
            (None, Some((signal, end))) => (signal, end),
            (Some((last, _, end)), Some((KILL, _))) if last != KILL => (KILL, end),
            (Some((last, at, end)), _) if last != KILL && at.elapsed() >= GRACE => {
                (if last == 0 { TERMINATE } else { KILL }, end)
            }
            _ => return,
        };
        self.sent = Some((next.0, Instant::now(), next.1));
        let root = watcher.tree.members.iter().find(|m| m.pid == watcher.root);
        let group = root.map(|m| m.group);
        send(watcher.root, next.0);
        for member in &watcher.tree.members {
            if member.pid != watcher.root && Some(member.group) == group {
                send(member.pid, next.0);
            }
        }
    }
}

#[cfg(unix)]
const TERMINATE: i32 = libc::SIGTERM;
#[cfg(unix)]
const KILL: i32 = libc::SIGKILL;
#[cfg(not(unix))]
const TERMINATE: i32 = 15;
#[cfg(not(unix))]
const KILL: i32 = 9;

#[cfg(unix)]
fn send(pid: u32, signal: i32) {
    if let Ok(pid) = libc::pid_t::try_from(pid)
        && pid > 1
    {
        // SAFETY: the call takes numbers. The process is a descendant that was seen alive.
        unsafe { libc::kill(pid, signal) };
    }
}

#[cfg(not(unix))]
fn send(_pid: u32, _signal: i32) {}
