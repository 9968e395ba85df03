//! Which lines the CPU time goes to, which allocate, and what the CPU counted:
//! `cargo run --release -p lob-profiler --features lines --example hot`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use lob_profiler::{HOT_LINE, HardwareCounters, LineProfiler, track_alloc_sites};

#[global_allocator]
static ALLOCATOR: lob_scope::CountingAllocator = lob_scope::CountingAllocator;

fn work() -> usize {
    let begun = Instant::now();
    let mut bytes = 0;
    while begun.elapsed() < Duration::from_millis(200) {
        bytes += black_box(vec![1u8; 1 << 16]).len();
        black_box((0..10_000u64).fold(0, |sum: u64, n| sum.rotate_left(5) ^ black_box(n)));
    }
    bytes
}

fn run() -> usize {
    let (lines, sites) = (LineProfiler::start(250), track_alloc_sites(512 << 10));
    let counters = HardwareCounters::start();
    let bytes = work();
    match counters.read().instructions {
        Ok(count) => println!("{count} instructions"),
        Err(missing) => println!("instructions: {missing}"),
    }
    println!("lines above {:.0} % of the CPU time", HOT_LINE * 100.0);
    match lines.map(LineProfiler::stop) {
        Ok(lines) => {
            lines.hot_lines().for_each(|line| {
                println!("  {:.0} % {}", line.share * 100.0, line.place());
            });
        }
        Err(missing) => println!("  {missing}"),
    }
    match sites.map(lob_profiler::AllocSites::stop) {
        Ok(found) => found.sites.iter().take(3).for_each(|site| {
            println!("  {} samples of allocations at {}", site.samples, site.place());
        }),
        Err(missing) => println!("  {missing}"),
    }
    bytes
}

fn main() {
    run();
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        assert!(super::run() >= 1 << 16);
    }
}
