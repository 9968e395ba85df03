//! Architectures side by side, configured from TOML: time, memory, operations, accuracy for the
//! time, and what stands in the way: `cargo run --release -p lob-watch --example compare`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use lob_metrics::Unit;
use lob_profiler::{Requirements, readiness};
use lob_watch::{Alert, AlertRule, PerformanceProfiler, ProfilerConfig, sensor};

const SETTINGS: &str = "
track_gpu = false
track_system = true
system_interval = 0.01
estimate_flops = true
memory_interval = 0.01
";

/// A dense layer of so many inputs and outputs on a batch of 32.
fn layer(inputs: u64, outputs: u64) {
    let _scope = lob_scope::scope("layer");
    black_box((0..inputs * outputs / 64).fold(0f32, |sum, n| sum + black_box(n as f32)));
    lob_profiler::count_flops(2 * 32 * inputs * outputs);
}

fn main() -> Result<(), Box<dyn Error>> {
    let profiler = PerformanceProfiler::new(ProfilerConfig::from_toml(SETTINGS)?);
    let models: [(&str, &[u64], f64); 2] =
        [("simple_mlp", &[784, 512, 10], 0.91), ("deep_mlp", &[784, 512, 512, 10], 0.93)];
    let mut rows = Vec::new();
    for (name, widths, accuracy) in models {
        let train = || widths.windows(2).for_each(|pair| layer(pair[0], pair[1]));
        let ((), samples) = profiler.profile_samples(name, 32, train);
        let cell = |metric: &str, unit: Unit| {
            let value = profiler.value(name, metric);
            value.map_or("not measured".to_owned(), |value| unit.format(value))
        };
        let text = format!(
            "{name:<12} {:>12} {:>12} {:>10} FLOP, {:.1} accuracy/s",
            Unit::SamplesPerSecond.format(samples.samples_per_s),
            cell("peak_rss", Unit::Bytes),
            cell("flops", Unit::Count),
            accuracy / samples.total_s
        );
        print!(
            "{name}: {}",
            readiness(&Requirements::default(), &samples.service_figures()).text()
        );
        rows.push((samples.samples_per_s, text));
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    rows.iter().for_each(|(_, text)| println!("{text}"));
    assert_eq!(profiler.value("simple_mlp", "flops"), Some(64.0 * (784.0 * 512.0 + 512.0 * 10.0)));

    for part in profiler.timing_breakdown(Some("deep_mlp")) {
        println!("{:<16} {:>5.1} %", part.path, part.share * 100.0);
    }
    for diagnosis in profiler.diagnose(None) {
        println!("{} -> {}", diagnosis.finding.text, diagnosis.recommendation.text);
    }
    let mut busy = Alert::new(AlertRule::above("cpu", 0.90, 0.85));
    let share = sensor(&profiler.current_system_stats(), "cpu.busy");
    println!(
        "{} of the cores busy: {:?}",
        share.map_or("an unknown share".to_owned(), |share| { Unit::Fraction.format(share) }),
        busy.observe(Duration::ZERO, share)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
        super::main()
    }
}
