//! Programs that wait, each for one thing for most of its time: 0.4 seconds.

#![expect(unsafe_code, reason = "what is tried are the calls of the system")]

#[path = "families.rs"]
mod families;

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read, Write, pipe};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use families::{daemon, fifo};
pub(crate) use families::{forever, outlives};

const TIME: Duration = Duration::from_millis(400);

/// Names of all, for help.
pub(crate) const NAMES: &str = "poll, select, epoll, timerfd, pause, alone-parked, join-sleep, join-pipe, \
    join-socket, join-disk, fsync, convoy, condvar, idle-pool, busy-pool, busy-four, zombie, \
    helper-in-pause, stopped, vfork, waits-for-child, flock, eventfd, watchdog, sigwait, \
    first-thread-gone, fifo, daemon, asleep, reader";

/// `None` for a name that is none of these.
pub(crate) fn run(name: &str) -> Option<io::Result<()>> {
    let behaviour: fn() -> io::Result<()> = match name {
        "poll" => poll,
        "select" => select,
        "epoll" => epoll,
        "timerfd" => || timer()?.read(&mut [0; 8]).map(drop),
        "pause" => pause,
        "alone-parked" => || done(|| std::thread::park_timeout(TIME)),
        "asleep" => || done(|| sleep(TIME)),
        "reader" => || io::copy(&mut io::stdin(), &mut io::sink()).map(drop),
        "join-sleep" => || join(spawn(|| done(|| sleep(TIME)))),
        "join-pipe" => join_pipe,
        "join-socket" => join_socket,
        "join-disk" => || join(spawn(direct_reads)),
        "fsync" => fsync,
        "convoy" => convoy,
        "condvar" => condvar,
        "idle-pool" => || with_pool(|| sleep(TIME)),
        "busy-pool" => || with_pool(|| spin(TIME)),
        "busy-four" => || {
            let all: Vec<_> = (0..4).map(|_| spawn(|| done(|| spin(TIME)))).collect();
            all.into_iter().try_for_each(join)
        },
        "zombie" => zombie,
        "helper-in-pause" => helper_in_pause,
        "stopped" => stopped,
        "vfork" => vfork,
        "waits-for-child" => || another("asleep", Stdio::null())?.wait().map(drop),
        "flock" => flock,
        "eventfd" => eventfd,
        "watchdog" => watchdog,
        "sigwait" => sigwait,
        "first-thread-gone" => first_thread_gone,
        "fifo" => fifo,
        "daemon" => daemon,
        _ => return None,
    };
    Some(behaviour())
}

/// Something that cannot fail.
fn done(what: impl FnOnce()) -> io::Result<()> {
    what();
    Ok(())
}

/// This program again, doing something else.
fn another(name: &str, stdin: Stdio) -> io::Result<Child> {
    Command::new(std::env::current_exe()?).arg(name).stdin(stdin).spawn()
}

fn join(thread: JoinHandle<io::Result<()>>) -> io::Result<()> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread has panicked")))
}

/// CPU time of this thread.
fn spin(time: Duration) {
    let used = || lob_scope::thread_cpu_time_s().ok();
    let (start, before) = (Instant::now(), used());
    while before.zip(used()).map_or(start.elapsed().as_secs_f64(), |(a, b)| b - a)
        < time.as_secs_f64()
    {
        black_box((0..10_000u64).fold(0, |sum, n| sum ^ black_box(n)));
    }
}

/// What a call of the system returned, or its error.
fn checked(found: i32) -> io::Result<i32> {
    if found < 0 { Err(io::Error::last_os_error()) } else { Ok(found) }
}

fn millis() -> i32 {
    i32::try_from(TIME.as_millis()).unwrap_or(400)
}

fn poll() -> io::Result<()> {
    // SAFETY: no descriptors are given, so nothing is read or written.
    checked(unsafe { libc::poll(std::ptr::null_mut(), 0, millis()) }).map(drop)
}

fn select() -> io::Result<()> {
    let none = std::ptr::null_mut();
    let mut time = libc::timeval { tv_sec: 0, tv_usec: i64::from(millis()) * 1000 };
    // SAFETY: the sets are null, and the time lives through the call.
    checked(unsafe { libc::select(0, none, none, none, &raw mut time) }).map(drop)
}

fn epoll() -> io::Result<()> {
    // SAFETY: the calls get numbers and a place for one event.
    unsafe {
        let set = checked(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        checked(libc::epoll_wait(set, &raw mut event, 1, millis())).map(drop)
    }
}

/// A timer that is over once.
fn timer() -> io::Result<File> {
    let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let once = libc::timespec { tv_sec: 0, tv_nsec: i64::from(millis()) * 1_000_000 };
    let times = libc::itimerspec { it_interval: never, it_value: once };
    // SAFETY: the new descriptor belongs to the file alone, and the times live through the call.
    unsafe {
        let timer = File::from_raw_fd(checked(libc::timerfd_create(libc::CLOCK_MONOTONIC, 0))?);
        let none = std::ptr::null_mut();
        checked(libc::timerfd_settime(timer.as_raw_fd(), 0, &raw const times, none))?;
        Ok(timer)
    }
}

extern "C" fn nothing(_signal: libc::c_int) {}

/// A signal comes when the time is over.
fn alarm() {
    let time = libc::timeval { tv_sec: 0, tv_usec: i64::from(millis()) * 1000 };
    let never = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let times = libc::itimerval { it_interval: never, it_value: time };
    // SAFETY: the handler does nothing, and the times live through the call.
    unsafe {
        libc::signal(libc::SIGALRM, nothing as extern "C" fn(libc::c_int) as libc::sighandler_t);
        libc::setitimer(libc::ITIMER_REAL, &raw const times, std::ptr::null_mut());
    }
}

fn pause() -> io::Result<()> {
    alarm();
    // SAFETY: the call takes nothing.
    unsafe { libc::pause() };
    Ok(())
}

/// A child that writes when the time is over.
fn late(stdout: Stdio) -> io::Result<Child> {
    shell("sleep 0.4; echo").stdout(stdout).spawn()
}

fn shell(text: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", text]).stdin(Stdio::null());
    shell
}

/// A thread waits for what a child writes late.
fn join_pipe() -> io::Result<()> {
    let (mut reader, writer) = pipe()?;
    let mut child = late(writer.into())?;
    join(spawn(move || io::copy(&mut reader, &mut io::sink()).map(drop)))?;
    child.wait().map(drop)
}

fn join_socket() -> io::Result<()> {
    let (mut reader, writer) = UnixStream::pair()?;
    let mut child = late(OwnedFd::from(writer).into())?;
    join(spawn(move || io::copy(&mut reader, &mut io::sink()).map(drop)))?;
    child.wait().map(drop)
}

fn scratch(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("lob-behave-{name}-{}", std::process::id()))
}

/// Reads past the cache of the kernel.
fn direct_reads() -> io::Result<()> {
    let path = scratch("direct");
    std::fs::write(&path, vec![7; 4 << 20])?;
    let open = File::options().read(true).custom_flags(libc::O_DIRECT).open(&path);
    let file = open.or_else(|_| File::open(&path))?;
    file.sync_all()?;
    // Room for a block at an address that is a multiple of its size.
    let mut room = vec![0u8; 2 << 12];
    let from = room.as_ptr().align_offset(1 << 12);
    let start = Instant::now();
    let mut at = 0u64;
    while start.elapsed() < TIME {
        file.read_exact_at(&mut room[from..from + (1 << 12)], (at * 37 % 1024) << 12)?;
        at += 1;
    }
    std::fs::remove_file(path)
}

fn fsync() -> io::Result<()> {
    let path = scratch("fsync");
    let mut file = File::create(&path)?;
    let start = Instant::now();
    while start.elapsed() < TIME {
        file.write_all(&[7; 512])?;
        file.sync_all()?;
    }
    std::fs::remove_file(path)
}

/// Four threads, of which one at a time may go on.
fn convoy() -> io::Result<()> {
    let lock = Arc::new(Mutex::new(()));
    let one = |lock: Arc<Mutex<()>>| {
        let start = Instant::now();
        while start.elapsed() < TIME {
            let held = lock.lock();
            sleep(Duration::from_millis(3));
            drop(held);
        }
        Ok(())
    };
    let all: Vec<_> = (0..4).map(|_| lock.clone()).map(|lock| spawn(move || one(lock))).collect();
    all.into_iter().try_for_each(join)
}

/// One thread takes what another makes, which takes its time.
fn condvar() -> io::Result<()> {
    let (give, take) = mpsc::channel();
    let maker = spawn(move || {
        let start = Instant::now();
        while start.elapsed() < TIME {
            sleep(Duration::from_millis(10));
            give.send(1).map_err(io::Error::other)?;
        }
        Ok(())
    });
    let sum: i32 = take.iter().sum();
    black_box(sum);
    join(maker)
}

/// Four threads without work, while something else is done.
fn with_pool(work: impl FnOnce()) -> io::Result<()> {
    let state = Arc::new((Mutex::new(false), Condvar::new()));
    let idle = |state: Arc<(Mutex<bool>, Condvar)>| {
        let held = state.0.lock().map_err(|_| io::Error::other("poisoned"))?;
        let done = state.1.wait_while(held, |done| !*done);
        done.map(drop).map_err(|_| io::Error::other("poisoned"))
    };
    let pool: Vec<_> = (0..4).map(|_| state.clone()).map(|s| spawn(move || idle(s))).collect();
    work();
    *state.0.lock().map_err(|_| io::Error::other("poisoned"))? = true;
    state.1.notify_all();
    pool.into_iter().try_for_each(join)
}

fn zombie() -> io::Result<()> {
    let child = Command::new("true").spawn()?;
    sleep(TIME);
    drop(child);
    Ok(())
}

/// A fifth of the time is worked, the rest slept; a child does nothing at all.
fn helper_in_pause() -> io::Result<()> {
    let (_writer, mut child) = {
        let (reader, writer) = pipe()?;
        (writer, another("forever", reader.into())?)
    };
    let start = Instant::now();
    while start.elapsed() < TIME {
        spin(Duration::from_millis(2));
        sleep(Duration::from_millis(8));
    }
    child.kill()?;
    child.wait().map(drop)
}

/// A child wakes it up again.
fn stopped() -> io::Result<()> {
    let me = std::process::id();
    let mut child = shell(&format!("sleep 0.4; kill -CONT {me}")).spawn()?;
    // SAFETY: the call takes a number.
    unsafe { libc::raise(libc::SIGSTOP) };
    child.wait().map(drop)
}

#[expect(deprecated, reason = "the call is the case")]
fn vfork() -> io::Result<()> {
    let time = libc::timespec { tv_sec: 0, tv_nsec: i64::from(millis()) * 1_000_000 };
    // SAFETY: the child calls two functions that leave the memory it shares as it is.
    unsafe {
        let child = libc::vfork();
        if child == 0 {
            libc::nanosleep(&raw const time, std::ptr::null_mut());
            libc::_exit(0);
        }
        let mut status = 0;
        checked(libc::waitpid(checked(child)?, &raw mut status, 0)).map(drop)
    }
}

/// The child of a shell holds the lock.
fn flock() -> io::Result<()> {
    let path = scratch("flock");
    let file = File::create(&path)?;
    let (mut ready, writer) = pipe()?;
    let mut child = Command::new("flock")
        .arg(&path)
        .args(["-c", "echo; exec >&-; sleep 0.4"])
        .stdin(Stdio::null())
        .stdout(writer)
        .spawn()?;
    ready.read_exact(&mut [0])?;
    file.lock()?;
    std::fs::remove_file(path)?;
    child.wait().map(drop)
}

/// Another thread sleeps, then says so.
fn eventfd() -> io::Result<()> {
    // SAFETY: the new descriptor belongs to the file alone.
    let event = unsafe { File::from_raw_fd(checked(libc::eventfd(0, 0))?) };
    let mut other = event.try_clone()?;
    let late = spawn(move || {
        sleep(TIME);
        other.write_all(&1u64.to_ne_bytes())
    });
    (&event).read_exact(&mut [0; 8])?;
    join(late)
}

/// The first thread waits for a stream, another looks at the clock now and then.
fn watchdog() -> io::Result<()> {
    let (stop, stopped) = mpsc::channel::<()>();
    let dog = spawn(move || {
        while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
            sleep(Duration::from_millis(50));
        }
        Ok(())
    });
    let (mut reader, writer) = pipe()?;
    let mut child = late(writer.into())?;
    io::copy(&mut reader, &mut io::sink())?;
    drop(stop);
    child.wait()?;
    join(dog)
}

/// The first thread waits for signals, another sleeps and sends one.
fn sigwait() -> io::Result<()> {
    // SAFETY: the set and the number live through the calls; threads inherit the mask.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGUSR1);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        let late = spawn(|| {
            sleep(TIME);
            checked(libc::kill(libc::getpid(), libc::SIGUSR1)).map(drop)
        });
        let mut signal = 0;
        libc::sigwait(&raw const set, &raw mut signal);
        join(late)
    }
}

/// The first thread ends, another sleeps and ends the process.
fn first_thread_gone() -> io::Result<()> {
    spawn(|| {
        sleep(TIME);
        std::process::exit(0);
    });
    // SAFETY: nothing on this thread's stack is used by others.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    Ok(())
}
