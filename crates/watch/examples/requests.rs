//! Requests held against an agreement, logged, and served to Prometheus:
//! `cargo run --release -p lob-watch --example requests`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use lob_watch::{
    JsonLinesLog, LogLimits, LogReplay, MetricsServer, ProductionMonitor, Reply, ServerLimits,
    metrics_page, parse_prometheus_text, scrape,
};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("lob-requests-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("requests.jsonl");
    let agreed = Duration::from_millis(100);
    let log = JsonLinesLog::open(&file, LogLimits::default())?;
    let monitor = Arc::new(ProductionMonitor::new(agreed).with_log(log));
    for n in 0..50u64 {
        drop(monitor.request("predict"));
        monitor.record("train", Duration::from_millis(90 + n));
    }
    for report in monitor.last_hour() {
        println!(
            "{:<10} {} requests, p95 {:.3} s, {} late",
            report.label, report.requests, report.p95_s, report.violations
        );
    }
    for hour in monitor.hourly() {
        println!("{:<10} {} requests in the hour", hour.report.label, hour.report.requests);
    }

    let shared = Arc::clone(&monitor);
    let pages = move |path: &str| {
        (path == "/metrics").then(|| Reply::prometheus(metrics_page(None, &[&shared], &[])))
    };
    let server = MetricsServer::start("127.0.0.1:0".parse()?, ServerLimits::default(), pages)?;
    let page = scrape(&server.address().to_string(), "/metrics")?;
    for family in parse_prometheus_text(&page)? {
        println!("{:<36} {} samples", family.name, family.samples.len());
    }
    server.stop();

    // Another process would read the same figures from the log.
    let mut replay = LogReplay::new(&file, agreed);
    println!("{} requests in the log", replay.poll()?);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
        super::main()
    }
}
