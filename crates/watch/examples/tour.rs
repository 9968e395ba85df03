//! Scopes, allocations, hot lines, requests and a trace of a small service:
//! `cargo run --release -p lob-watch --example tour -- DIRECTORY`.

#![expect(clippy::print_stdout, reason = "printing is what this example is for")]

use std::{hint::black_box, path::PathBuf, time::Duration};

use lob_profiler::LineProfiler;
use lob_scope::scope;
use lob_watch::ProductionMonitor;

#[global_allocator]
static ALLOCATOR: lob_scope::CountingAllocator = lob_scope::CountingAllocator;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    lob_scope::enable_trace(10_000);
    lob_scope::track_scope_allocs(true);
    let lines = LineProfiler::start(500);
    let monitor = ProductionMonitor::new(Duration::from_secs(2));
    let (_, profile) = lob_profiler::profile("tour", Duration::from_millis(5), || {
        for symbol in ["AUDUSD", "EURUSD", "GBPUSD"].repeat(20) {
            let _request = monitor.request(symbol);
            black_box(embed(&render(200_000)));
        }
    });
    print!("{}", monitor.prometheus_text());
    std::fs::write(dir.join("trace.json"), lob_scope::take_trace().to_chrome_json())?;
    std::fs::write(dir.join("flame.svg"), lob_profiler::flame_graph_svg(&profile.scopes, "tour"))?;
    let lines = lines.map(LineProfiler::stop)?;
    lines.hot_lines().for_each(|line| println!("# {:.0} % {}", line.share * 100.0, line.place()));
    std::fs::write(dir.join("lines.svg"), lines.flame_graph_svg("tour: CPU time by function"))?;
    Ok(())
}

fn render(pixels: usize) -> Vec<f32> {
    let _scope = scope!("render");
    (0..pixels).map(|i| (i as f32 * 0.1).sin()).collect()
}

fn embed(image: &[f32]) -> f32 {
    let _scope = scope!("embed");
    image.iter().map(|x| x.exp().ln_1p()).sum()
}
