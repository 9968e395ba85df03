//! A program that allocates in a known way and prints how many bytes and blocks of its own it holds
//! at the end, for `lob profile --allocs`: `cargo run --example heap -- KIND MS`, where the kind is
//! slow, cache, given-back, threads, realloc, signal, fork, exec, killed or two-sites.

#![expect(clippy::print_stdout, reason = "printing is what this example is for")]

use std::collections::VecDeque;
use std::hint::black_box;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [kind, ms] = words.as_slice() else { return Err("say KIND MS".into()) };
    let time = Duration::from_millis(ms.parse()?);
    let held = match kind.as_str() {
        "slow" => slow(time),
        "two-sites" => two_sites(time),
        "cache" => cache(time),
        "given-back" => given_back(time),
        "threads" => threads(time),
        "realloc" => realloc(time),
        "signal" => signal(time),
        "fork" => fork(time),
        "exec" => exec(ms)?,
        "killed" => killed(time),
        _ => return Err("an unknown kind".into()),
    };
    println!("{} {}", held.0, held.1);
    Ok(())
}

/// Bytes and blocks.
type Held = (usize, usize);

/// Something every two milliseconds.
fn steps(time: Duration, mut step: impl FnMut(usize)) {
    let begun = Instant::now();
    let mut n = 0;
    while begun.elapsed() < time {
        step(n);
        n += 1;
        sleep(Duration::from_millis(2));
    }
}

#[inline(never)]
fn block(bytes: usize) -> Vec<u8> {
    black_box(vec![1; black_box(bytes)])
}

/// Far below what shows in pages: 200 bytes a step are kept, and fifty times as much is not.
fn slow(time: Duration) -> Held {
    let mut held = (0, 0);
    steps(time, |_| {
        std::mem::forget(kept());
        held = (held.0 + 200, held.1 + 1);
        (1..100).for_each(|n| drop(block(2 * n)));
    });
    held
}

#[inline(never)]
fn kept() -> Vec<u8> {
    black_box(Vec::with_capacity(black_box(200)))
}

/// One function allocates the same size at two lines and keeps what comes from one.
fn two_sites(time: Duration) -> Held {
    let mut held = (0, 0);
    steps(time, |_| {
        let used: Vec<u8> = black_box(Vec::with_capacity(black_box(300)));
        let lost: Vec<u8> = black_box(Vec::with_capacity(black_box(300)));
        drop(used);
        std::mem::forget(lost);
        held = (held.0 + 300, held.1 + 1);
    });
    held
}

/// A ring that is full after a fifth of the time.
fn cache(time: Duration) -> Held {
    let mut ring = VecDeque::with_capacity(200);
    let places = usize::try_from(time.as_millis() / 10).unwrap_or(100).min(199);
    steps(time, |_| {
        if ring.len() >= places {
            ring.pop_front();
        }
        ring.push_back(block(500));
    });
    let held = (500 * ring.len() + ring.capacity() * size_of::<Vec<u8>>(), ring.len() + 1);
    std::mem::forget(ring);
    held
}

/// Grows to the end and is freed there.
fn given_back(time: Duration) -> Held {
    let mut all = Vec::with_capacity(10_000);
    steps(time, |_| all.push(block(1000)));
    drop(black_box(all));
    (0, 0)
}

/// Threads that take blocks from each other, change their size and free them.
fn threads(time: Duration) -> Held {
    let pool: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::with_capacity(4096));
    std::thread::scope(|scope| {
        for seed in 1..=4_usize {
            let pool = &pool;
            scope.spawn(move || {
                let (begun, mut dice) = (Instant::now(), seed * 7919);
                while begun.elapsed() < time {
                    for _ in 0..1000 {
                        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let bytes = 1 + (dice >> 40) % 3000;
                        let mut new: Vec<u8> = Vec::with_capacity(bytes);
                        new.push(1);
                        if dice & (1 << 50) == 0 {
                            new.reserve_exact(bytes + 100);
                        }
                        let mut pool = pool.lock().unwrap_or_else(|held| held.into_inner());
                        let at = (dice >> 20) % 1000;
                        if pool.len() < 1000 {
                            pool.push(new);
                        } else {
                            pool[at] = new;
                        }
                    }
                }
            });
        }
    });
    let pool = pool.into_inner().unwrap_or_default();
    let bytes: usize = pool.iter().map(Vec::capacity).sum();
    let held = (bytes + pool.capacity() * size_of::<Vec<u8>>(), pool.len() + 1);
    std::mem::forget(pool);
    held
}

/// One block that grows and shrinks.
fn realloc(time: Duration) -> Held {
    let mut bytes: Vec<u8> = Vec::new();
    steps(time, |n| {
        bytes.resize(1000 + n % 7 * 1000, 1);
        bytes.shrink_to_fit();
    });
    let held = (bytes.capacity(), 1);
    std::mem::forget(bytes);
    held
}

/// A handler that allocates while the program does.
fn signal(time: Duration) -> Held {
    extern "C" fn on_alarm(_: libc::c_int) {
        // SAFETY: what is allocated is freed. A handler must not do this: it may come in the
        // middle of the C library's own work, so the program below does not allocate meanwhile.
        unsafe { libc::free(libc::malloc(77)) };
    }
    // SAFETY: the handler has the right type, and the timer is read.
    unsafe {
        libc::signal(libc::SIGALRM, on_alarm as *const () as libc::sighandler_t);
        let every = libc::timeval { tv_sec: 0, tv_usec: 500 };
        let timer = libc::itimerval { it_interval: every, it_value: every };
        libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut());
    }
    let begun = Instant::now();
    while begun.elapsed() < time {
        black_box((0..1000_u32).sum::<u32>());
    }
    // SAFETY: stops the timer.
    unsafe { libc::alarm(0) };
    let off = libc::itimerval {
        it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 },
        it_value: libc::timeval { tv_sec: 0, tv_usec: 0 },
    };
    // SAFETY: the timer is read.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const off, std::ptr::null_mut()) };
    (0, 0)
}

/// A child without another program, which leaks; the parent does not.
fn fork(time: Duration) -> Held {
    let before = block(5000);
    // SAFETY: this process has one thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // What the parent allocated is freed here, which is none of its business.
        drop(before);
        slow(time);
        // SAFETY: ends the child without what else is to be done at the end.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: waits for the child.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    std::mem::forget(before);
    (5000, 1)
}

fn exec(ms: &str) -> Result<Held, Box<dyn std::error::Error>> {
    let child = Command::new(std::env::current_exe()?)
        .args(["slow", ms])
        .stdout(Stdio::piped())
        .output()?;
    let text = String::from_utf8(child.stdout)?;
    let (bytes, blocks) = text.trim().split_once(' ').ok_or("no figures")?;
    Ok((bytes.parse()?, blocks.parse()?))
}

/// Ended by a signal nobody can catch.
fn killed(time: Duration) -> Held {
    let held = slow(time);
    println!("{} {}", held.0, held.1);
    let _ = std::io::stdout().flush();
    // SAFETY: ends this process.
    unsafe { libc::raise(libc::SIGKILL) };
    held
}
