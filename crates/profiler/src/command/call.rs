//! The system call a thread sleeps in (`/proc/PID/task/TID/syscall`), and what it waits for there.

use super::doing::{Doing, Ends, File, Polled, Wait, polled};

/// Number and arguments of a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) number: i64,
    pub(super) args: [u64; 6],
}

/// What of the thread's process has to be looked up to tell a wait.
pub(super) trait Look {
    fn file(&mut self, descriptor: u64) -> File;
    /// The set of `poll`: address and count of `pollfd`.
    fn poll_set(&mut self, address: u64, count: u64) -> Option<Vec<Polled>>;
    /// The set of `select`: count of bits and addresses of the three bit maps.
    fn select_set(&mut self, bits: u64, maps: [u64; 3]) -> Option<Vec<Polled>>;
    fn epoll_set(&mut self, descriptor: u64) -> Option<Vec<Polled>>;
    /// Whether a number is a living thread of the process.
    fn is_thread(&self, number: u32) -> bool;
}

/// `futex` operations (include/uapi/linux/futex.h).
const FUTEX_WAIT: u64 = 0;
const FUTEX_LOCK_PI: u64 = 6;
const FUTEX_WAIT_BITSET: u64 = 9;
const FUTEX_LOCK_PI2: u64 = 13;
const FUTEX_PRIVATE: u64 = 128;
const FUTEX_COMMAND: u64 = 127;
/// A locked mutex with waiters, by convention of glibc, of Rust and of Go.
const CONTENDED: u64 = 2;
/// Waiters' bit of a word that holds its owner's number (musl, priority inheritance).
const FUTEX_WAITERS: u64 = 0x8000_0000;
const FUTEX_OWNER: u64 = 0x3fff_ffff;
/// `fcntl` commands that wait for a lock.
const LOCKING: [u64; 2] = [libc::F_SETLKW as u64, libc::F_OFD_SETLKW as u64];

impl Call {
    /// `None` for a thread that runs, or one asleep outside of a call.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let number = words.next()?.parse().ok().filter(|number| *number >= 0)?;
        let mut args = [0; 6];
        for slot in &mut args {
            *slot = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
        }
        Some(Self { number, args })
    }

    /// Whether it makes a process: a parent that waits for the memory it lent.
    pub(super) fn is_clone(&self) -> bool {
        [libc::SYS_clone, libc::SYS_clone3].contains(&self.number) || legacy::is_vfork(self.number)
    }

    /// What it waits for; `None` for a call that is not known to wait.
    pub(super) fn wait(&self, of: &mut dyn Look) -> Option<Wait> {
        let polls = self.polls(of);
        polls.or_else(|| self.streams(of)).or_else(|| self.threads(of)).or_else(|| self.else_of(of))
    }

    fn polls(&self, of: &mut dyn Look) -> Option<Wait> {
        let [a, b, c, d, e, _] = self.args;
        // Milliseconds of an `int`, negative for no end; or the address of a time, null for none.
        let in_ms = |timeout: u64| int(timeout) >= 0;
        let (name, set, is_timed) = match self.number {
            libc::SYS_ppoll => ("poll", of.poll_set(a, b), c != 0),
            libc::SYS_pselect6 => ("select", of.select_set(a, [b, c, d]), e != 0),
            libc::SYS_epoll_pwait => ("epoll_wait", of.epoll_set(a), in_ms(d)),
            libc::SYS_epoll_pwait2 => ("epoll_wait", of.epoll_set(a), d != 0),
            number => match legacy::poll(number)? {
                "poll" => ("poll", of.poll_set(a, b), in_ms(c)),
                "select" => ("select", of.select_set(a, [b, c, d]), e != 0),
                name => (name, of.epoll_set(a), in_ms(d)),
            },
        };
        Some(polled(name, set.as_deref(), is_timed))
    }

    fn streams(&self, of: &mut dyn Look) -> Option<Wait> {
        let first = self.args[0];
        let (name, word) = match self.number {
            libc::SYS_read
            | libc::SYS_readv
            | libc::SYS_pread64
            | libc::SYS_preadv
            | libc::SYS_preadv2 => ("read", "of"),
            libc::SYS_write
            | libc::SYS_writev
            | libc::SYS_pwrite64
            | libc::SYS_pwritev
            | libc::SYS_pwritev2 => ("write", "to"),
            libc::SYS_recvfrom | libc::SYS_recvmsg | libc::SYS_recvmmsg => ("recv", "of"),
            libc::SYS_sendto | libc::SYS_sendmsg | libc::SYS_sendmmsg => ("send", "to"),
            libc::SYS_accept | libc::SYS_accept4 => ("accept", "of"),
            libc::SYS_connect => ("connect", "of"),
            libc::SYS_ioctl => ("ioctl", "of"),
            libc::SYS_splice | libc::SYS_tee => ("splice", "of"),
            libc::SYS_sendfile => ("sendfile", "to"),
            _ => return None,
        };
        Some(of.file(first).wait(&format!("{name}({}) {word}", int(first))))
    }

    fn threads(&self, of: &mut dyn Look) -> Option<Wait> {
        let [first, second, third, ..] = self.args;
        let process = |named: bool, number: u64| {
            let found = u32::try_from(number).ok().filter(|n| named && *n <= i32::MAX as u32);
            found.filter(|n| *n > 0).map_or(Ends::AnyProcess, Ends::Process)
        };
        let wait = match self.number {
            libc::SYS_futex => return Some(self.futex(of)),
            libc::SYS_futex_waitv => Wait::new(Doing::Lock, Ends::AnyThread, "futex_waitv"),
            libc::SYS_wait4 => {
                Wait::new(Doing::Child, process(true, first), "a wait for a child process")
            }
            libc::SYS_waitid => Wait::new(
                Doing::Child,
                process(first == u64::from(libc::P_PID), second),
                "a wait for a child process",
            ),
            libc::SYS_rt_sigsuspend => Wait::new(Doing::Signal, Ends::AnyProcess, "sigsuspend"),
            libc::SYS_rt_sigtimedwait => Wait {
                is_timed: third != 0,
                ..Wait::new(Doing::Signal, Ends::AnyProcess, "sigwait")
            },
            libc::SYS_semop | libc::SYS_semtimedop => {
                Wait::new(Doing::Lock, Ends::AnyProcess, "semop")
            }
            number if legacy::is_pause(number) => {
                Wait::new(Doing::Signal, Ends::AnyProcess, "pause")
            }
            _ => return None,
        };
        Some(wait)
    }

    /// A mutex has a holder, a join a thread; anything else (conditions, semaphores, parked
    /// threads) waits for whoever wakes it.
    fn futex(&self, of: &mut dyn Look) -> Wait {
        let [_, operation, value, timeout, ..] = self.args;
        let (command, value) = (operation & FUTEX_COMMAND, value & 0xffff_ffff);
        let is_private = operation & FUTEX_PRIVATE != 0;
        let waits = [FUTEX_WAIT, FUTEX_WAIT_BITSET].contains(&command);
        let thread = |number: u64| u32::try_from(number).ok().filter(|n| of.is_thread(*n));
        let is_owned = value & FUTEX_WAITERS != 0 && thread(value & FUTEX_OWNER).is_some();
        if [FUTEX_LOCK_PI, FUTEX_LOCK_PI2].contains(&command)
            || waits && (value == CONTENDED || is_private && is_owned)
        {
            return Wait::new(Doing::Lock, Ends::Holder, "a wait for a mutex");
        }
        // The kernel clears the word with the thread's number when the thread ends.
        if let Some(joined) = thread(value).filter(|_| waits && !is_private) {
            return Wait::new(Doing::Lock, Ends::Thread(joined), "a join of a thread");
        }
        let what = "a wait for another thread";
        Wait { is_timed: timeout != 0, ..Wait::new(Doing::Lock, Ends::AnyThread, what) }
    }

    fn else_of(&self, of: &mut dyn Look) -> Option<Wait> {
        let [first, second, ..] = self.args;
        let wait = match self.number {
            libc::SYS_nanosleep | libc::SYS_clock_nanosleep => {
                Wait::outside(Doing::Timer, "nanosleep")
            }
            libc::SYS_fsync
            | libc::SYS_fdatasync
            | libc::SYS_syncfs
            | libc::SYS_msync
            | libc::SYS_sync_file_range
            | libc::SYS_sync => Wait::outside(Doing::Disk, "fsync"),
            libc::SYS_io_getevents => Wait::outside(Doing::Disk, "io_getevents"),
            libc::SYS_copy_file_range => Wait::outside(Doing::Disk, "copy_file_range"),
            libc::SYS_flock => Wait::outside(Doing::Lock, "flock of a file"),
            libc::SYS_fcntl if LOCKING.contains(&second) => {
                Wait::outside(Doing::Lock, format!("a lock on {}", of.file(first).name()))
            }
            libc::SYS_mq_timedreceive
            | libc::SYS_mq_timedsend
            | libc::SYS_msgrcv
            | libc::SYS_msgsnd => Wait::outside(Doing::Stream, "a queue of messages"),
            libc::SYS_io_uring_enter => Wait::outside(Doing::Other, "io_uring_enter"),
            _ => return None,
        };
        Some(wait)
    }
}

/// An argument that is an `int`: its upper half means nothing.
fn int(argument: u64) -> i32 {
    let [a, b, c, d, ..] = argument.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

/// Calls that only older architectures have.
#[cfg(target_arch = "x86_64")]
mod legacy {
    pub(super) fn poll(number: i64) -> Option<&'static str> {
        match number {
            libc::SYS_poll => Some("poll"),
            libc::SYS_select => Some("select"),
            libc::SYS_epoll_wait => Some("epoll_wait"),
            _ => None,
        }
    }

    pub(super) fn is_pause(number: i64) -> bool {
        number == libc::SYS_pause
    }

    pub(super) fn is_vfork(number: i64) -> bool {
        number == libc::SYS_vfork
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod legacy {
    pub(super) fn poll(_: i64) -> Option<&'static str> {
        None
    }

    pub(super) fn is_pause(_: i64) -> bool {
        false
    }

    pub(super) fn is_vfork(_: i64) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process with thread 7, a pipe at 3 and nothing in its sets.
    struct Small;

    impl Look for Small {
        fn file(&mut self, descriptor: u64) -> File {
            if descriptor == 3 { File::Pipe(1) } else { File::Disk }
        }
        fn poll_set(&mut self, _: u64, _: u64) -> Option<Vec<Polled>> {
            Some(Vec::new())
        }
        fn select_set(&mut self, _: u64, _: [u64; 3]) -> Option<Vec<Polled>> {
            Some(Vec::new())
        }
        fn epoll_set(&mut self, _: u64) -> Option<Vec<Polled>> {
            None
        }
        fn is_thread(&self, number: u32) -> bool {
            number == 7
        }
    }

    fn wait(number: i64, args: [u64; 6]) -> (Doing, Ends) {
        let wait = Call { number, args }.wait(&mut Small).unwrap();
        (wait.doing, wait.ends)
    }

    #[test]
    fn the_text_of_the_kernel_is_read() {
        let text = "230 0x0 0x1 0x7ffe 0x0 0x0 0xff 0x7ffe4979b878 0x7f0892c30503\n";
        let call = Call::parse(text).unwrap();
        assert_eq!((call.number, call.args), (230, [0, 1, 0x7ffe, 0, 0, 0xff]));
        for text in ["running\n", "-1 0x7ffe 0x7f08\n", "", "0 1 2"] {
            assert_eq!(Call::parse(text), None, "{text}");
        }
    }

    #[test]
    fn calls_say_what_they_wait_for() {
        let none = [0; 6];
        let stream = (Doing::Stream, Ends::Outside);
        assert_eq!(wait(libc::SYS_read, [3, 0, 0, 0, 0, 0]), stream);
        assert_eq!(wait(libc::SYS_pread64, [4, 0, 0, 0, 0, 0]), (Doing::Disk, Ends::Outside));
        assert_eq!(wait(libc::SYS_clock_nanosleep, none), (Doing::Timer, Ends::Outside));
        assert_eq!(wait(libc::SYS_wait4, [9, 0, 0, 0, 0, 0]).1, Ends::Process(9));
        assert_eq!(wait(libc::SYS_wait4, [u64::MAX, 0, 0, 0, 0, 0]).1, Ends::AnyProcess);
        assert_eq!(wait(libc::SYS_wait4, [0xffff_ffff, 0, 0, 0, 0, 0]).1, Ends::AnyProcess);
        assert_eq!(wait(libc::SYS_fdatasync, none), (Doing::Disk, Ends::Outside));
        // An empty set with a time is a timer, without one it waits for a signal.
        assert_eq!(wait(libc::SYS_ppoll, [0, 0, 1, 0, 0, 0]), (Doing::Timer, Ends::Outside));
        assert_eq!(wait(libc::SYS_ppoll, none).0, Doing::Signal);
        assert_eq!(wait(libc::SYS_pselect6, [0, 0, 0, 0, 5, 0]), (Doing::Timer, Ends::Outside));
        assert_eq!(wait(libc::SYS_epoll_pwait, [3, 0, 0, 5, 0, 0]), stream);
        assert_eq!(Call { number: libc::SYS_getpid, args: none }.wait(&mut Small), None);
    }

    #[test]
    fn mutexes_joins_and_conditions_are_told_apart() {
        let futex = |operation, value| wait(libc::SYS_futex, [1, operation, value, 0, 0, 0]).1;
        assert_eq!(futex(128, 2), Ends::Holder);
        assert_eq!(futex(137, 2), Ends::Holder);
        assert_eq!(futex(128, 0x8000_0007), Ends::Holder);
        assert_eq!(futex(134, 0), Ends::Holder);
        assert_eq!(futex(9 | 256, 7), Ends::Thread(7));
        assert_eq!(futex(9 | 256, 8), Ends::AnyThread);
        assert_eq!(futex(9 | 128, 7), Ends::AnyThread);
        assert_eq!(futex(137, 0xffff_ffff), Ends::AnyThread);
    }
}
