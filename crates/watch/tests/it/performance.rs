//! The configured profiler: every option changes what it finds.

use std::hint::black_box;

use lob_metrics::{Provenance, Verdict};
use lob_profiler::{Requirements, readiness};
use lob_watch::{PerformanceProfiler, ProfilerConfig, ProfilerConfigBuilder};

use crate::alone;

fn profiled(
    build: impl FnOnce(ProfilerConfigBuilder) -> ProfilerConfigBuilder,
) -> PerformanceProfiler {
    let quiet = ProfilerConfig::builder().track_gpu(false).track_system(false);
    let profiler = PerformanceProfiler::new(build(quiet).build().unwrap());
    profiler.profile("work", || {
        let _inner = lob_scope::scope("inner");
        lob_profiler::count_flops(2000);
        black_box(vec![1u8; 1 << 20]);
    });
    profiler
}

fn has(profiler: &PerformanceProfiler, metric: &str) -> bool {
    let profile = profiler.metrics(Some("work")).unwrap();
    profile.measurements.iter().any(|m| m.metric == metric)
}

#[test]
fn options_switch_their_measurements_on() {
    let _alone = alone();
    type Option = fn(ProfilerConfigBuilder) -> ProfilerConfigBuilder;
    let cases: [(Option, &str); 7] = [
        (|b| b.track_gpu(true), "gpu.utilisation"),
        (|b| b.track_carbon(true), "co2_g"),
        (|b| b.track_carbon(true), "energy"),
        (|b| b.track_cpu_temp(true), "cpu.temperature"),
        (|b| b.track_network(true), "network.received"),
        (|b| b.estimate_flops(true), "flops"),
        (|b| b.track_system(true).system_interval(0.01), "cpu.busy"),
    ];
    let without = profiled(|b| b);
    for (option, metric) in cases {
        assert!(!has(&without, metric), "{metric} without its option");
        assert!(has(&profiled(option), metric), "{metric} with its option");
    }
    let allocs = |p: &PerformanceProfiler| p.metrics(None).unwrap().allocs.len();
    assert_eq!(allocs(&without), 0);
    let detailed = profiled(|b| b.detailed_memory(true));
    lob_scope::track_scope_allocs(false);
    assert!(allocs(&detailed) > 0);
    let lines = profiled(|b| b.enable_line_profiling(true));
    let findings = lines.metrics(None).unwrap().findings;
    assert!(
        lines.line_profile(None).is_some() || findings.iter().any(|f| f.text.contains("hot lines"))
    );
    assert!(without.line_profile(None).is_none());
}

#[test]
fn carbon_needs_a_stated_factor() {
    let _alone = alone();
    let of = |profiler: PerformanceProfiler| {
        let profile = profiler.metrics(Some("work")).unwrap();
        profile.measurements.into_iter().find(|m| m.metric == "co2_g").unwrap()
    };
    let without = of(profiled(|b| b.track_carbon(true)));
    assert_eq!((without.value(), without.provenance()), (None, Provenance::Unavailable));
    let with = of(profiled(|b| b.track_carbon(true).grid_g_per_kwh(Some(380.0))));
    // Where the machine counts energy the estimate names its factor; elsewhere the counter is named.
    match with.value() {
        Some(grams) => assert!(grams >= 0.0 && with.reason().unwrap().contains("380 g/kWh")),
        None => assert!(!with.reason().unwrap().contains("grid factor")),
    }
}

#[test]
fn samples_are_timed_and_judged() {
    let _alone = alone();
    let profiler = profiled(|b| b);
    let (sum, found) = profiler
        .profile_samples("predict", 10_000, || (0..10_000u64).fold(0, |sum, n| black_box(sum ^ n)));
    assert!(sum < 1 << 20);
    assert!((found.per_sample_s() * 10_000.0 - found.total_s).abs() < 1e-9);
    assert!((found.samples_per_s * found.total_s - 10_000.0).abs() < 1e-3);
    let ready = readiness(&Requirements::default(), &found.service_figures());
    assert_eq!(ready.checks[0].verdict, Verdict::Pass);
    let breakdown = profiler.timing_breakdown(Some("work"));
    let shares: f64 = breakdown.iter().map(|part| part.share).sum();
    assert!(breakdown.iter().any(|part| part.path == "work/inner") && (shares - 1.0).abs() < 1e-9);
    assert_eq!(profiler.value("predict", "flops"), None);
    assert!(profiler.metrics(Some("nobody")).is_none());
    assert!(!profiler.current_system_stats().is_empty());
    assert!(profiler.current_memory().map_or(!cfg!(target_os = "linux"), |bytes| bytes > 1 << 16));
    assert!(profiler.current_gpu_memory().unwrap_err().reason.contains("track_gpu"));
}
