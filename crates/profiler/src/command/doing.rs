//! What a thread waits for, from its state, the system call it sleeps in and the kernel's function.

use std::fmt::Write as _;

/// What a thread does at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Doing {
    /// On a CPU.
    Running,
    /// Could run and has no CPU.
    Ready,
    /// Block devices and file systems.
    Disk,
    /// Pipes, sockets, terminals, queues of messages.
    Stream,
    /// A time to pass.
    Timer,
    /// A lock that another thread holds.
    Lock,
    /// A child process.
    Child,
    /// A signal.
    Signal,
    /// Stopped by a signal or by a debugger.
    Stopped,
    /// Something that is not told.
    Other,
}

impl Doing {
    pub(super) const ALL: [Self; 10] = [
        Self::Running,
        Self::Ready,
        Self::Disk,
        Self::Stream,
        Self::Timer,
        Self::Lock,
        Self::Child,
        Self::Signal,
        Self::Stopped,
        Self::Other,
    ];

    /// The word for tables.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Running => "runs",
            Self::Ready => "waits for a CPU",
            Self::Disk => "disk",
            Self::Stream => "stream",
            Self::Timer => "timer",
            Self::Lock => "lock",
            Self::Child => "child",
            Self::Signal => "signal",
            Self::Stopped => "stopped",
            Self::Other => "other",
        }
    }
}

/// Who can end a wait, where that is one of the program's own threads or processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// Something outside: a clock, a disk, another program.
    Outside,
    /// Whoever holds the lock.
    Holder,
    /// One thread of the process: it is joined.
    Thread(u32),
    /// Some thread of the process.
    AnyThread,
    /// This process, a child.
    Process(u32),
    /// Any child process.
    AnyProcess,
}

/// What a thread was seen waiting for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) doing: Doing,
    pub(super) ends: Ends,
    /// The call and what it waits for, such as `read(0) of a pipe`.
    pub(super) what: String,
    /// Whether it ends by itself after a time.
    pub(super) is_timed: bool,
    /// The pipe or socket waited for, for the name of its other end.
    pub(super) stream: Option<File>,
    /// The process at the other end, where it is one of the program's.
    pub(super) peer: Option<u32>,
}

impl Wait {
    pub(super) fn new(doing: Doing, ends: Ends, what: impl Into<String>) -> Self {
        Self { doing, ends, what: what.into(), is_timed: false, stream: None, peer: None }
    }

    pub(super) fn outside(doing: Doing, what: impl Into<String>) -> Self {
        Self::new(doing, Ends::Outside, what)
    }
}

/// What lies at the path of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A character device.
    Device,
    /// A named pipe, by its inode.
    Fifo(u64),
    Else,
}

/// What a descriptor stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum File {
    Pipe(u64),
    Socket(u64),
    Terminal,
    /// A regular file, a folder or a block device.
    Disk,
    TimerFd,
    EventFd,
    SignalFd,
    /// A process, whose end is waited for.
    PidFd,
    Epoll,
    /// Changes of files, devices that are no disk: somebody else's doing.
    Events(String),
    Unknown,
}

impl File {
    /// From what `/proc/PID/fd/N` links to, and what is there.
    pub(super) fn of(link: &str, found: Found) -> Self {
        let inode = |kind: &str| link.strip_prefix(kind)?.strip_suffix(']')?.parse().ok();
        if let Some(inode) = inode("pipe:[") {
            return Self::Pipe(inode);
        }
        if let Some(inode) = inode("socket:[") {
            return Self::Socket(inode);
        }
        match link.strip_prefix("anon_inode:").map(|name| name.trim_matches(['[', ']'])) {
            Some("timerfd") => Self::TimerFd,
            Some("eventfd") => Self::EventFd,
            Some("signalfd") => Self::SignalFd,
            Some("pidfd") => Self::PidFd,
            Some("eventpoll") => Self::Epoll,
            Some(name) => Self::Events(name.to_owned()),
            None if link.starts_with("/dev/pts/")
                || link.starts_with("/dev/tty")
                || link == "/dev/ptmx"
                || link == "/dev/console" =>
            {
                Self::Terminal
            }
            None if found == Found::Device => Self::Events(link.to_owned()),
            None if let Found::Fifo(inode) = found => Self::Pipe(inode),
            None if link.starts_with('/') => Self::Disk,
            None => Self::Unknown,
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Pipe(_) => "a pipe",
            Self::Socket(_) => "a socket",
            Self::Terminal => "a terminal",
            Self::Disk => "a file",
            Self::TimerFd => "a timerfd",
            Self::EventFd => "an eventfd",
            Self::SignalFd => "a signalfd",
            Self::PidFd => "a process",
            Self::Epoll => "an epoll",
            Self::Events(name) => name,
            Self::Unknown => "a descriptor",
        }
    }

    fn is_stream(&self) -> bool {
        matches!(self, Self::Pipe(_) | Self::Socket(_))
    }

    /// Waiting for one descriptor in a call such as `read(3) of`.
    pub(super) fn wait(&self, call: &str) -> Wait {
        let what = format!("{call} {}", self.name());
        let wait = match self {
            Self::Pipe(_) | Self::Socket(_) | Self::Terminal | Self::Events(_) => {
                Wait::outside(Doing::Stream, what)
            }
            Self::Disk => Wait::outside(Doing::Disk, what),
            Self::TimerFd => Wait::outside(Doing::Timer, what),
            Self::EventFd => Wait::new(Doing::Lock, Ends::AnyThread, what),
            Self::SignalFd => Wait::new(Doing::Signal, Ends::AnyProcess, what),
            Self::PidFd => Wait::new(Doing::Child, Ends::AnyProcess, what),
            Self::Epoll | Self::Unknown => Wait::outside(Doing::Other, what),
        };
        Wait { stream: self.is_stream().then(|| self.clone()), ..wait }
    }
}

/// One descriptor of a set that is polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Polled {
    pub(super) file: File,
    /// The process of the program at the other end.
    pub(super) peer: Option<u32>,
    /// Whether that is this process itself: a thread is woken by it.
    pub(super) is_own: bool,
}

/// Waiting for any of a set in a call, with or without an end in time. `None`: the set is unknown.
pub(super) fn polled(call: &str, set: Option<&[Polled]>, is_timed: bool) -> Wait {
    let Some(set) = set else {
        return Wait { is_timed, ..Wait::outside(Doing::Stream, format!("{call} of descriptors")) };
    };
    let is = |test: fn(&File) -> bool| set.iter().find(|p| test(&p.file) && !p.is_own);
    let is_outside = |file: &File| {
        file.is_stream() || matches!(file, File::Terminal | File::Events(_) | File::Unknown)
    };
    if let Some(first) = is(is_outside) {
        let mut wait = first.file.wait(&format!("{call} of"));
        wait.doing = Doing::Stream;
        wait.is_timed = is_timed;
        let mut all = set.iter().filter(|p| is_outside(&p.file) && !p.is_own);
        // Which of them would end it is not known, but perhaps who.
        wait.stream = None;
        wait.peer = first.peer.filter(|_| all.clone().all(|p| p.peer == first.peer));
        if all.nth(1).is_some() {
            let _ = write!(wait.what, " and {} more", 1 + all.count());
        }
        return wait;
    }
    let (doing, ends, what) = if is(|file| *file == File::PidFd).is_some() {
        (Doing::Child, Ends::AnyProcess, format!("{call} of a process"))
    } else if is_timed {
        (Doing::Timer, Ends::Outside, format!("{call} until its timeout"))
    } else if is(|file| *file == File::TimerFd).is_some() {
        (Doing::Timer, Ends::Outside, format!("{call} of a timerfd"))
    } else if is(|file| *file == File::SignalFd).is_some() || set.is_empty() {
        (Doing::Signal, Ends::AnyProcess, format!("{call} until a signal"))
    } else {
        (Doing::Lock, Ends::AnyThread, format!("{call} until another thread wakes it"))
    };
    Wait::new(doing, ends, what)
}

/// By the kernel function slept in, where the system call is not told.
pub(super) fn by_function(function: &str) -> Wait {
    const DISK: [&str; 9] =
        ["io_schedule", "folio", "blk", "jbd2", "ext4", "xfs", "btrfs", "nfs", "read_events"];
    const STREAM: [&str; 9] =
        ["pipe", "sock", "tcp", "unix_", "skb", "poll", "select", "tty", "wait_woken"];
    let within = |names: &[&str]| names.iter().any(|name| function.contains(name));
    let what = function;
    if function.contains("wait_for_partner") {
        Wait::outside(Doing::Stream, "an open of a named pipe")
    } else if within(&["nanosleep", "timerfd"]) {
        Wait::outside(Doing::Timer, what)
    } else if within(&["futex", "eventfd"]) {
        Wait::new(Doing::Lock, Ends::AnyThread, what)
    } else if within(&["do_wait", "vfork"]) {
        Wait::new(Doing::Child, Ends::AnyProcess, what)
    } else if within(&["pause", "sigsuspend", "sigtimedwait"]) {
        Wait::new(Doing::Signal, Ends::AnyProcess, what)
    } else if within(&["flock", "locks_lock", "posix_lock"]) {
        Wait::outside(Doing::Lock, what)
    } else if within(&DISK) {
        Wait::outside(Doing::Disk, what)
    } else if within(&STREAM) {
        Wait::outside(Doing::Stream, what)
    } else if function.is_empty() || function == "0" {
        Wait::outside(Doing::Other, "something the kernel does not tell")
    } else {
        Wait::outside(Doing::Other, what)
    }
}

/// In uninterruptible sleep: disks, but for the kernel's own locks and a parent that lent its
/// memory to a child (vfork(2)).
pub(super) fn uninterruptible(function: &str, in_clone: bool) -> Wait {
    let within = |names: &[&str]| names.iter().any(|name| function.contains(name));
    if in_clone || function.contains("vfork") {
        return Wait::new(Doing::Child, Ends::AnyProcess, "vfork");
    }
    if within(&["rwsem", "mutex", "mmap_lock"]) {
        return Wait::new(Doing::Lock, Ends::Holder, format!("the kernel's lock in {function}"));
    }
    Wait::outside(Doing::Disk, "disk input or output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_told_by_their_links() {
        for (link, found, expected) in [
            ("pipe:[77]", Found::Else, File::Pipe(77)),
            ("socket:[5]", Found::Else, File::Socket(5)),
            ("/dev/pts/3", Found::Device, File::Terminal),
            ("/tmp/pipe:[1]", Found::Else, File::Disk),
            ("/tmp/fifo", Found::Fifo(9), File::Pipe(9)),
            ("/data/x (deleted)", Found::Else, File::Disk),
            ("/dev/vda", Found::Else, File::Disk),
            ("/dev/fuse", Found::Device, File::Events("/dev/fuse".into())),
            ("anon_inode:[timerfd]", Found::Else, File::TimerFd),
            ("anon_inode:inotify", Found::Else, File::Events("inotify".into())),
            ("anon_inode:[pidfd]", Found::Else, File::PidFd),
            ("pipe:[x]", Found::Else, File::Unknown),
            ("", Found::Else, File::Unknown),
        ] {
            assert_eq!(File::of(link, found), expected, "{link}");
        }
    }

    #[test]
    fn a_set_waits_for_a_stream_only_if_one_is_in_it() {
        let outside = |file| Polled { file, peer: None, is_own: false };
        let own = |file| Polled { file, peer: Some(1), is_own: true };
        let (pipe, socket) = (File::Pipe(1), File::Socket(2));
        for (set, timeout, doing, ends) in [
            (vec![], true, Doing::Timer, Ends::Outside),
            (vec![], false, Doing::Signal, Ends::AnyProcess),
            (vec![outside(pipe.clone())], true, Doing::Stream, Ends::Outside),
            (vec![own(socket.clone())], true, Doing::Timer, Ends::Outside),
            (vec![own(socket.clone())], false, Doing::Lock, Ends::AnyThread),
            (vec![outside(File::EventFd)], false, Doing::Lock, Ends::AnyThread),
            (vec![outside(File::TimerFd)], false, Doing::Timer, Ends::Outside),
            (vec![own(socket), outside(pipe)], false, Doing::Stream, Ends::Outside),
            (vec![outside(File::SignalFd)], false, Doing::Signal, Ends::AnyProcess),
            (vec![outside(File::PidFd)], true, Doing::Child, Ends::AnyProcess),
        ] {
            let wait = polled("poll", Some(&set), timeout);
            assert_eq!((wait.doing, wait.ends), (doing, ends), "{set:?} {timeout}");
        }
        assert_eq!(polled("poll", None, true).doing, Doing::Stream);
        let from = |file, peer| Polled { file, peer: Some(peer), is_own: false };
        let two = [from(File::Pipe(1), 7), from(File::Pipe(2), 8), own(File::Pipe(3))];
        let wait = polled("poll", Some(&two), false);
        assert_eq!((wait.peer, wait.what.as_str()), (None, "poll of a pipe and 1 more"));
        let one = [from(File::Pipe(1), 7), from(File::Pipe(2), 7)];
        assert_eq!(polled("poll", Some(&one), false).peer, Some(7), "whichever ends it");
    }

    #[test]
    fn waits_are_told_apart_by_the_kernel_function() {
        for (function, expected) in [
            ("jbd2_log_wait_commit", Doing::Disk),
            ("folio_wait_bit_common", Doing::Disk),
            ("pipe_read", Doing::Stream),
            ("wait_for_partner", Doing::Stream),
            ("do_sys_poll", Doing::Stream),
            ("hrtimer_nanosleep", Doing::Timer),
            ("timerfd_read_iter", Doing::Timer),
            ("futex_wait_queue", Doing::Lock),
            ("do_wait", Doing::Child),
            ("sigsuspend", Doing::Signal),
            ("0", Doing::Other),
        ] {
            assert_eq!(by_function(function).doing, expected, "{function}");
        }
        assert_eq!(uninterruptible("wait_for_vfork_done", false).doing, Doing::Child);
        assert_eq!(uninterruptible("rwsem_down_read_slowpath", false).doing, Doing::Lock);
        assert_eq!(uninterruptible("io_schedule", false).doing, Doing::Disk);
    }
}
