//! What a scope costs where programs have it: among many siblings, on several threads, with cold
//! caches. Each row stands beside two clock reads of the same loop in the same build, round by
//! round, and the last column is the difference.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use lob_scope::{enable, scope, scope_named};

use super::clock_read;

/// Calls a batch; a multiple of every number of siblings.
const CALLS: usize = 2048;
const ROUNDS: usize = 400;
/// Calls with other work between them.
const COLD_CALLS: usize = 64;
/// More than the first level of any current CPU's data cache holds.
const OTHER_WORK_BYTES: usize = 64 << 10;

/// The least nanoseconds per call of two loops in turn: two clock reads, and `call`.
struct Pair {
    reads_ns: f64,
    scope_ns: f64,
}

fn pair(rounds: usize, mut reads: impl FnMut() -> f64, mut call: impl FnMut() -> f64) -> Pair {
    let mut best = Pair { reads_ns: f64::INFINITY, scope_ns: f64::INFINITY };
    for _ in 0..rounds {
        best.reads_ns = best.reads_ns.min(reads());
        best.scope_ns = best.scope_ns.min(call());
    }
    best
}

/// Nanoseconds a call over all `names` in turn.
fn round_robin_ns(names: &[&'static str], mut call: impl FnMut(&'static str)) -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS / names.len() {
        for &name in names {
            call(black_box(name));
        }
    }
    start.elapsed().as_secs_f64() * 1e9 / CALLS as f64
}

#[inline]
fn reads(name: &'static str) {
    let from = black_box(clock_read());
    black_box((name, clock_read().wrapping_sub(from)));
}

#[inline]
fn scoped(name: &'static str) {
    let _scope = scope(name);
    black_box(());
}

fn names(count: usize) -> Vec<&'static str> {
    (0..count).map(|i| &*format!("sibling_{i}").leak()).collect()
}

fn hot(names: &[&'static str]) -> Pair {
    pair(ROUNDS, || round_robin_ns(names, reads), || round_robin_ns(names, scoped))
}

/// The same on `threads` threads at once, each with siblings of its own; the slowest thread.
fn threaded(threads: usize, names: &[&'static str]) -> Pair {
    let barrier = Barrier::new(threads);
    let all: Vec<Pair> = std::thread::scope(|spawner| {
        let each = (0..threads).map(|_| {
            spawner.spawn(|| {
                barrier.wait();
                hot(names)
            })
        });
        let handles: Vec<_> = each.collect();
        handles.into_iter().map(|handle| handle.join().expect("no panic in the loop")).collect()
    });
    let slowest = |of: fn(&Pair) -> f64| all.iter().map(of).fold(0.0, f64::max);
    Pair { reads_ns: slowest(|p| p.reads_ns), scope_ns: slowest(|p| p.scope_ns) }
}

/// With other work between two calls, whose own time is taken off both sides.
fn cold() -> Pair {
    let memory = vec![1u8; OTHER_WORK_BYTES];
    let run = |mut call: Box<dyn FnMut()>| {
        let start = Instant::now();
        for _ in 0..COLD_CALLS {
            let lines = black_box(&memory).chunks(64).map(|line| u64::from(line[0]));
            black_box(lines.sum::<u64>());
            call();
        }
        start.elapsed().as_secs_f64() * 1e9 / COLD_CALLS as f64
    };
    let mut least = [f64::INFINITY; 3];
    for _ in 0..4 * ROUNDS {
        let calls: [Box<dyn FnMut()>; 3] =
            [Box::new(|| ()), Box::new(|| reads("cold")), Box::new(|| scoped("cold"))];
        for (least, call) in least.iter_mut().zip(calls) {
            *least = least.min(run(call));
        }
    }
    Pair { reads_ns: least[1] - least[0], scope_ns: least[2] - least[0] }
}

/// Names made at run time; the reference makes them too.
fn formatted() -> Pair {
    let batch = |call: &dyn Fn(usize)| {
        let start = Instant::now();
        (0..CALLS).for_each(|i| call(i % 64));
        start.elapsed().as_secs_f64() * 1e9 / CALLS as f64
    };
    let bare = |i: usize| {
        let name = black_box(format!("x_{i}"));
        let from = black_box(clock_read());
        black_box((name, clock_read().wrapping_sub(from)));
    };
    let named = |i: usize| drop(scope_named(&format!("x_{i}")));
    pair(ROUNDS, || batch(&bare), || batch(&named))
}

/// Prints the table.
pub(crate) fn table() {
    enable(true);
    println!("{:<34} {:>8} {:>8} {:>8}  ns per call, least", "", "2 reads", "scope", "between");
    let print = |title: &str, Pair { reads_ns, scope_ns }: Pair| {
        println!("  {title:<32} {reads_ns:>8.2} {scope_ns:>8.2} {:>8.2}", scope_ns - reads_ns);
    };
    for siblings in [1, 8, 64, 512] {
        let names = names(siblings);
        let _parent = scope_named(&format!("{siblings} siblings"));
        print(&format!("{siblings} siblings in turn"), hot(&names));
    }
    print("1 sibling, 4 threads", threaded(4, &names(1)));
    print("64 siblings, 4 threads", threaded(4, &names(64)));
    print("64 kB of other work between", cold());
    print("names made at run time, 64", formatted());
}
