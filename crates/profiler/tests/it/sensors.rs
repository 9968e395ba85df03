//! Sensors give a value where the kernel has one and a reason elsewhere.

use std::hint::black_box;
use std::time::Duration;

use lob_profiler::{Sampler, host};
use lob_scope::{cores, thread_cpu_time_s};

#[test]
fn the_host_is_described() {
    let host = host(Some("rustc 1.95.0"));
    assert_eq!(host.cores, Some(cores().unwrap()));
    assert_eq!(host.compiler.as_deref(), Some("rustc 1.95.0"));
    assert!(host.kernel.is_some());
    #[cfg(target_os = "linux")]
    assert!(host.memory_bytes.unwrap() > 1 << 20);
}

#[cfg(target_os = "linux")]
#[test]
fn the_sampler_sees_memory_and_cpu() {
    let sampler = Sampler::start(Duration::from_millis(1));
    let from = thread_cpu_time_s().unwrap();
    while thread_cpu_time_s().unwrap() < from + 10e-3 {
        black_box(0);
    }
    let series = sampler.stop();
    let names: Vec<&str> = series.iter().map(|s| s.metric.as_str()).collect();
    assert_eq!(names, ["rss", "anon_rss", "cpu_share"]);
    for s in &series {
        assert_eq!(s.t_s.len(), s.values.len());
        assert!(s.t_s.is_sorted());
    }
    assert!(series[0].values.iter().all(|&bytes| bytes > 0.0));
    assert!(series[2].values.iter().all(|share| (0.0..=1.0).contains(share)));
}

#[test]
fn a_dropped_sampler_ends() {
    drop(Sampler::start(Duration::from_secs(3600)));
}

#[test]
fn every_system_sensor_is_a_plausible_value_or_a_reason() {
    use lob_profiler::Resource;
    use lob_scope::Unavailable;
    let mut seen = Vec::new();
    let mut check = |name: &str, value: Result<f64, Unavailable>, most: f64| match value {
        Ok(value) => {
            assert!((0.0..=most).contains(&value), "{name}: {value}");
            seen.push(name.to_owned());
        }
        Err(missing) => assert!(!missing.reason.is_empty(), "{name}"),
    };
    check("load", lob_profiler::load_average().map(|load| load[0]), 1e5);
    for resource in [Resource::Cpu, Resource::Memory, Resource::Io] {
        check("pressure", lob_profiler::pressure(resource).map(|p| p.some_avg10), 1.0);
    }
    check("cpu", lob_profiler::cpu_times().map(|times| times.total_s()), 1e12);
    check("disk", lob_profiler::disk_traffic().map(|t| t.in_bytes as f64), 1e18);
    check("network", lob_profiler::network_traffic().map(|t| t.in_bytes as f64), 1e18);
    check("faults", lob_profiler::page_faults().map(|f| f.minor as f64), 1e15);
    check("switches", lob_profiler::context_switches().map(|s| s.voluntary as f64), 1e15);
    check("io", lob_profiler::process_io().map(|io| io.read_bytes as f64), 1e18);
    check("temperature", lob_profiler::temperature_celsius(), 150.0);
    check("frequency", lob_profiler::cpu_frequency_hz(), 1e10);
    let energy = lob_profiler::energy();
    check("energy", energy.map(|e| e.joules_since(&e)), 0.0);
    check("gpus", lob_profiler::gpus().map(|gpus| gpus.len() as f64), 1e3);
    #[cfg(target_os = "linux")]
    for name in ["load", "cpu", "faults", "switches", "io"] {
        assert!(seen.iter().any(|s| s == name), "{name} is missing on Linux: {seen:?}");
    }
}
