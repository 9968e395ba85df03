//! Prints what this machine can do at best: `cargo run --release -p lob-profiler --example roof`.

#![expect(clippy::print_stdout, reason = "printing is what this example is for")]

use std::time::Instant;

use lob_profiler::host;
use lob_profiler::machine::{RoofBudget, measure_roof_within};

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let budget = if quick { RoofBudget::Quick } else { RoofBudget::Full };
    let host = host(None);
    println!("{} · {:?} cores", host.cpu.as_deref().unwrap_or("unknown CPU"), host.cores);
    let start = Instant::now();
    let outcome = measure_roof_within(&std::env::temp_dir(), budget);
    let roof = &outcome.roof;
    let giga = |name: &str, value: Option<f64>, unit: &str| {
        if let Some(value) = value {
            println!("{name:<24} {:>9.2} G{unit}/s", value * 1e-9);
        }
    };
    giga("fill", roof.fill_bytes_per_s, "B");
    giga("copy", roof.copy_bytes_per_s, "B");
    giga("zstd decode", roof.zstd_decode_bytes_per_s, "B");
    giga("f32 matrix product", roof.gemm_flop_per_s, "FLOP");
    for (name, value) in &roof.more {
        giga(name, Some(*value), if name.ends_with("flop_per_s") { "FLOP" } else { "B" });
    }
    if let Some(seconds) = roof.fsync_s {
        println!("{:<24} {:>9.3} ms", "fsync", seconds * 1e3);
    }
    for (name, unavailable) in &outcome.missing {
        println!("{name:<24} {unavailable}");
    }
    println!("measured in {:.1} s", start.elapsed().as_secs_f64());
}
