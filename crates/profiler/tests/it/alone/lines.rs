//! Where CPU time and memory go, by file and line.

use std::hint::black_box;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lob_profiler::{HOT_LINE, LineProfile, LineProfiler, track_alloc_sites};
use lob_scope::thread_cpu_time_s;

/// There is one `SIGPROF` and one profiler.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn burn(cpu_s: f64, mut step: impl FnMut()) {
    let start = thread_cpu_time_s().unwrap();
    while thread_cpu_time_s().unwrap() - start < cpu_s {
        (0..20).for_each(|_| step());
    }
}

#[inline(never)]
fn mixed(seed: u64) -> u64 {
    (0..2000u64).fold(seed, |sum, n| sum.rotate_left(5) ^ black_box(n))
}

const HOT_AT: u32 = line!() + 3;
#[inline(never)]
fn hot_function() {
    black_box(mixed(black_box(1)));
}

#[inline(never)]
fn warm_function() {
    black_box(mixed(black_box(2)));
}

/// Samples whose stack passes through a function.
fn through(profile: &LineProfile, function: &str) -> u64 {
    let passes = |s: &lob_profiler::stacks::SampledStack| {
        s.frames.iter().any(|frame| frame.name.ends_with(function))
    };
    profile.stacks.iter().filter(|s| passes(s)).map(|s| s.samples).sum()
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[test]
fn hot_lines_of_this_process_are_named() {
    let _alone = alone();
    let profiler = LineProfiler::start(1000).unwrap();
    assert!(LineProfiler::start(100).unwrap_err().reason.contains("running already"));
    let hot = std::thread::spawn(|| burn(0.45, hot_function));
    burn(0.15, warm_function);
    hot.join().unwrap();
    let profile = profiler.stop();

    // Other tests of this binary may run beside, so only these two are compared.
    let (hot, warm) = (through(&profile, "hot_function"), through(&profile, "warm_function"));
    assert!(warm >= 5 && hot > warm, "{hot} and {warm} of {}", profile.samples);
    assert_eq!(profile.stacks.iter().map(|s| s.samples).sum::<u64>(), profile.samples);
    assert!((profile.lines.iter().map(|l| l.share).sum::<f64>() - 1.0).abs() < 1e-9);
    // The loop is the hottest line of this file, wherever the compiler put its body.
    let here = |file: &Option<String>| file.as_ref().is_some_and(|f| f.ends_with("lines.rs"));
    let line = profile.lines.iter().find(|l| here(&l.file)).expect("no line of this file");
    assert!(line.function.contains("mixed"), "{line:?}");
    assert_eq!(line.line, Some(HOT_AT - 6), "{line:?}");
    let found: Vec<&str> =
        profile.stacks.iter().flat_map(|s| &s.frames).map(|frame| frame.name.as_str()).collect();
    assert!(
        found.iter().any(|name| name.contains("hot_lines_of_this_process")),
        "cut off too early"
    );
    assert!(profile.hot_lines().all(|line| line.share > HOT_LINE));
    assert!(profile.folded_stacks().contains("hot_function"));
    assert!(profile.flame_graph_svg("test").contains("hot_function"));
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[test]
fn sampling_is_safe_under_load() {
    let _alone = alone();
    let profiler = LineProfiler::start(1000).unwrap();
    let shared = Mutex::new(Vec::new());
    std::thread::scope(|threads| {
        // Allocating, locking, unwinding and starting threads: all that a handler may interrupt.
        threads.spawn(|| burn(0.2, || shared.lock().unwrap().push(vec![0u8; 100])));
        threads.spawn(|| burn(0.2, || shared.lock().unwrap().truncate(10)));
        threads.spawn(|| {
            burn(0.1, || assert!(catch_unwind(|| resume_unwind(Box::new(black_box(7)))).is_err()));
        });
        // Few threads: the counting allocator has slots for a thousand in the life of a process.
        threads.spawn(|| {
            (0..40).for_each(|_| std::thread::spawn(|| black_box(1)).join().map(drop).unwrap());
        });
    });
    let profile = profiler.stop();
    assert!(profile.samples >= 20, "{} samples of half a second", profile.samples);
    assert_eq!(profile.lost, 0);
    // And again: the timer and the handler can be used anew.
    let again = LineProfiler::start(100).unwrap();
    drop(again);
    LineProfiler::start(100).map(LineProfiler::stop).unwrap();
}

#[inline(never)]
fn greedy() -> Vec<u8> {
    black_box(Vec::with_capacity(30_000))
}

#[inline(never)]
fn modest() -> Vec<u8> {
    black_box(Vec::with_capacity(10_000))
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[test]
fn the_lines_that_allocate_most_are_named() {
    let sites = track_alloc_sites(256 << 10).unwrap();
    assert!(track_alloc_sites(1).unwrap_err().reason.contains("already"));
    for _ in 0..4000 {
        drop(greedy());
        drop(modest());
        // Time for the reader to keep up.
        black_box(mixed(3));
    }
    let found = sites.stop();
    let sites = &found.sites;
    let of = |name: &str| {
        let site = sites.iter().find(|s| s.function.contains(name));
        site.unwrap_or_else(|| panic!("{name} is not among {sites:?}"))
    };
    let (greedy, modest) = (of("greedy"), of("modest"));
    // 120 and 40 MB in 4000 blocks each, from some 460 and 150 samples; a reader that had to wait
    // for its turn has lost some.
    let near = |value: f64, truth: f64| (value / truth - 1.0).abs() < 0.3;
    assert!(near(greedy.bytes as f64 / greedy.allocations as f64, 30_000.0), "{greedy:?}");
    if found.lost == 0 {
        assert!(near(greedy.bytes as f64, 120e6) && near(modest.bytes as f64, 40e6), "{sites:?}");
        assert!(near(modest.allocations as f64, 4000.0), "{modest:?}");
    }
    assert!(greedy.file.as_ref().is_some_and(|f| f.ends_with("lines.rs")), "{greedy:?}");
    assert!(greedy.line.is_some() && greedy.place().contains("lines.rs:"));
    assert!(sites.is_sorted_by(|a, b| a.bytes >= b.bytes));
}
