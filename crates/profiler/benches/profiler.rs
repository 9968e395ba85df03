//! What sampling costs the program that is sampled, and what a sensor costs.
//!
//! The figures printed first come from interleaved pairs, so that a busy machine disturbs both
//! sides alike; the criterion benches follow.

#![expect(clippy::print_stdout, reason = "the table is this program's output")]

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group};
use lob_profiler::{LineProfiler, MemoryScope, Sampler, track_alloc_sites};
use lob_scope::{CountingAllocator, process_cpu_time_s, thread_cpu_time_s};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Allocations per batch.
const CALLS: u32 = 2000;
const ROUNDS: usize = 500;

/// Work of a fixed amount, some tens of milliseconds; returns its CPU seconds on this thread.
fn fixed_work_s() -> f64 {
    let now = || thread_cpu_time_s().unwrap_or(f64::NAN);
    let before = now();
    black_box((0..20_000_000u64).fold(0u64, |sum, n| sum.rotate_left(5) ^ black_box(n)));
    now() - before
}

/// CPU seconds of the other threads alive. The process's clock will not do: while a timer of CPU
/// time runs, the kernel moves it by whole ticks.
fn other_threads_s() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return f64::NAN };
    let own = std::fs::read_link("/proc/thread-self").unwrap_or_default();
    let others =
        tasks.flatten().filter(|task| Some(task.file_name().as_os_str()) != own.file_name());
    let ran_ns = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    others.filter_map(ran_ns).sum::<f64>() * 1e-9
}

/// Prints what sampling adds to a busy program, from interleaved pairs, and what it costs an idle
/// one.
fn sampling() {
    const PAIRS: usize = 40;
    let share = |mut samples: Vec<f64>| {
        samples.sort_by(f64::total_cmp);
        let at = |part: usize| samples[samples.len() * part / 4] * 100.0;
        (at(1), at(2), at(3))
    };
    let line = |name: &str, (low, median, high): (f64, f64, f64)| {
        println!("  {name:<38} {median:>6.2} %  (quartiles {low:.2} to {high:.2})");
    };
    println!("share of one core");
    let idle = |_| {
        let sampler = Sampler::start(Duration::from_millis(10));
        let before = process_cpu_time_s().unwrap_or(f64::NAN);
        std::thread::sleep(Duration::from_secs(1));
        let used = process_cpu_time_s().unwrap_or(f64::NAN) - before;
        black_box(sampler.stop());
        used
    };
    line("10 ms sampler, idle program", share((0..10).map(idle).collect()));
    for rate_hz in [100, 250] {
        let paired = |_| {
            let bare = fixed_work_s();
            let Ok(profiler) = LineProfiler::start(rate_hz) else { return [f64::NAN; 2] };
            let others = other_threads_s();
            let sampled = fixed_work_s();
            let reader = other_threads_s() - others;
            drop(profiler);
            [sampled / bare - 1.0, reader / sampled]
        };
        let pairs: Vec<[f64; 2]> = (0..PAIRS).map(paired).collect();
        let of = |part: usize| share(pairs.iter().map(|pair| pair[part]).collect());
        line(&format!("line profiler at {rate_hz} Hz, in the program"), of(0));
        line(&format!("line profiler at {rate_hz} Hz, its own thread"), of(1));
    }
}

#[inline]
fn malloc_free() {
    let layout = Layout::new::<[u64; 8]>();
    // SAFETY: the layout is not empty, and the block is freed once with the same layout.
    unsafe {
        let block = black_box(CountingAllocator.alloc(layout));
        CountingAllocator.dealloc(block, layout);
    }
}

fn batch_ns() -> f64 {
    let start = Instant::now();
    (0..CALLS).for_each(|_| malloc_free());
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

/// Prints what an allocation costs while its sites are tracked, every 512 KiB on average.
fn sites() {
    let median = |mut samples: Vec<f64>| {
        samples.sort_by(f64::total_cmp);
        samples[samples.len() / 2]
    };
    let pair = |_| {
        let bare = batch_ns();
        let tracked = track_alloc_sites(512 << 10);
        let ns = batch_ns();
        drop(tracked);
        (bare, ns)
    };
    let (bare, tracked) = (0..ROUNDS).map(pair).unzip();
    println!("64 bytes, malloc and free, median ns per call");
    println!("  counting allocator                     {:>6.2}", median(bare));
    println!("  counting allocator, sites tracked      {:>6.2}", median(tracked));
}

/// Prints what a profile of nothing costs.
fn empty_profile() {
    let once = |_| {
        let start = Instant::now();
        let (_, profile) = lob_profiler::profile("nothing", Duration::from_millis(10), || ());
        let us = start.elapsed().as_secs_f64() * 1e6;
        black_box(profile);
        us
    };
    let mut us: Vec<f64> = (0..20 * ROUNDS).map(once).collect();
    us.sort_by(f64::total_cmp);
    println!("a profile of nothing, us");
    println!(
        "  least {:.1}, median {:.1}, p99 {:.1}",
        us[0],
        us[us.len() / 2],
        us[us.len() * 99 / 100]
    );
}

fn sensors(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sensor");
    group.throughput(Throughput::Elements(1));
    group.bench_function("memory_scope", |b| b.iter(|| MemoryScope::enter().finish()));
    group.bench_function("cpu_times", |b| b.iter(lob_profiler::cpu_times));
    group.bench_function("process_io", |b| b.iter(lob_profiler::process_io));
    group.finish();
}

criterion_group!(benches, sensors);

fn main() {
    empty_profile();
    sites();
    sampling();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
