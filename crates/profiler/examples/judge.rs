//! What measured figures mean: the batch size to take, bottlenecks, whether a service is ready,
//! what it costs, and whether its memory grows: `cargo run -p lob-profiler --example judge`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::hint::black_box;

use lob_profiler::{
    FeatureCost, LeakConfig, LeakVerdict, MemoryScope, Observed, Requirements, ServiceFigures,
    best_batch, cost_estimate, diagnose, epoch_growth_rule, expensive_features, first_run_rule,
    leak_report, readiness, sweep_batches,
};

/// A model of two layers, as far as its time and memory go.
fn predict(samples: usize) {
    black_box((0..samples * 2000).fold(0f32, |sum, n| sum + black_box(n as f32).sqrt()));
}

fn main() -> Result<(), Box<dyn Error>> {
    let points = sweep_batches(&[16, 32, 64, 128], 10, predict);
    let choice = best_batch(&points, None, 0.05).ok_or("no batch was timed")?;
    println!("batch size {}: {:.0} samples/s", choice.batch_size, choice.samples_per_s);

    let memory = MemoryScope::enter();
    predict(choice.batch_size);
    let used = memory.finish();
    let figures = ServiceFigures {
        latency_s: Some(1.0 / choice.samples_per_s),
        throughput_per_s: Some(choice.samples_per_s),
        memory_bytes: match (used.peak_rss_bytes, used.rss_before_bytes) {
            (Ok(peak), Ok(before)) => Some(peak.saturating_sub(before) as f64),
            _ => None,
        },
    };
    print!("{}", readiness(&Requirements::default(), &figures).text());
    let cost = cost_estimate(1e6, choice.samples_per_s, Some(2.5)).ok_or("no rate")?;
    println!("a million samples: {:.4} at 2.50 an hour", cost.total);

    let seen = Observed { data_wait_share: Some(0.3), cpu_share: Some(0.4), ..Observed::default() };
    for diagnosis in diagnose(&seen) {
        println!("{} -> {}", diagnosis.finding.text, diagnosis.recommendation.text);
    }
    let feature = |name: &str, seconds, importance| FeatureCost {
        name: name.to_owned(),
        seconds,
        importance,
    };
    let features = [feature("spread", 1e-6, 0.6), feature("full book", 4e-5, 0.1)];
    for dear in expensive_features(&features, 2.0) {
        println!("expensive for what it tells: {}", dear.name);
    }

    // Memory at the end of each of twelve epochs: it grows by 20 MB each.
    let epochs: Vec<f64> = (0..12).map(f64::from).collect();
    let bytes: Vec<f64> = epochs.iter().map(|epoch| 1e9 + epoch * 20e6).collect();
    let report = leak_report(&epochs, &bytes, LeakConfig::default());
    println!("{}", report.text("epoch"));
    assert_eq!(report.verdict, LeakVerdict::Leak);
    assert!(epoch_growth_rule(&bytes).is_some_and(|rule| rule.exceeded));
    assert!(first_run_rule(&bytes).is_some_and(|rule| !rule.exceeded), "1.22 times the first");
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
        super::main()
    }
}
