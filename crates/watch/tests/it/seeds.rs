//! What the seed documents 003 and 004 do, sample by sample, against the public API.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lob_metrics::Verdict;
use lob_profiler::key_averages::{KeyOrder, key_averages_table};
use lob_profiler::schedule::{Schedule, ScheduledProfiler};
use lob_profiler::{
    BatchPoint, FeatureCost, LeakConfig, LeakVerdict, Requirements, best_batch, cost_estimate,
    epoch_growth_rule, expensive_features, first_run_rule, leak_report, readiness,
};
use lob_watch::{
    PerformanceProfiler, ProductionMonitor, ProfilerConfig, ProfilerConfigBuilder,
    RegressionDetector, RegressionVerdict,
};

use crate::alone;

fn profiler(
    options: impl FnOnce(ProfilerConfigBuilder) -> ProfilerConfigBuilder,
) -> PerformanceProfiler {
    let quiet = ProfilerConfig::builder().track_gpu(false).track_system(false);
    PerformanceProfiler::new(options(quiet).build().unwrap())
}

/// A model: a row of products over so many weights for each sample.
fn model(samples: usize, weights: usize) -> f32 {
    let _scope = lob_scope::scope("model");
    lob_scope::scope_shape(&[samples, weights]);
    lob_scope::count_flops(2 * (samples * weights) as u64);
    (0..samples * weights).fold(0.0, |sum, i| sum + black_box(i as f32) * 0.5)
}

fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

const MS: Duration = Duration::from_millis(1);

fn file(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("seeds");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

#[test]
fn simple_profiling_has_typed_metrics() {
    let _alone = alone();
    let profiler = profiler(|b| b);
    profiler.profile("training_loop", || model(64, 1000));
    let metrics = profiler.figures(None).unwrap();
    assert!(metrics.timing.wall_s > 0.0);
    if cfg!(target_os = "linux") {
        assert!(metrics.memory.peak_ram_mb().unwrap() > 1.0);
        assert!(metrics.timing.cpu_s.is_some());
    }
    assert_eq!((metrics.memory.peak_gpu, metrics.throughput_per_s), (None, None));
}

#[test]
fn every_option_of_the_advanced_configuration_is_there() {
    let _alone = alone();
    let config = ProfilerConfig::builder()
        .track_gpu(true)
        .track_carbon(false)
        .detailed_memory(true)
        .memory_interval(0.1)
        .track_cpu_temp(true)
        .track_network(false)
        .build()
        .unwrap();
    let profiler = PerformanceProfiler::new(config);
    profiler.profile("all options", || ());
    lob_scope::track_scope_allocs(false);
    let profile = profiler.metrics(None).unwrap();
    let has = |name: &str| profile.measurements.iter().any(|m| m.metric.starts_with(name));
    assert!(has("gpu.") && has("cpu.temperature") && !has("network.") && !has("co2_g"));
}

#[test]
fn a_leak_over_epochs_is_seen_and_a_plateau_is_not() {
    let _alone = alone();
    let profiler = profiler(|b| b);
    let mut kept = Vec::new();
    let mut snapshots = Vec::new();
    profiler.profile("potential_memory_leak", || {
        for _ in 0..10 {
            kept.push(black_box(vec![1u8; 12 << 20]));
            snapshots.extend(profiler.current_memory().ok().map(|bytes| bytes as f64));
        }
    });
    if cfg!(target_os = "linux") {
        assert!(epoch_growth_rule(&snapshots).is_some_and(|rule| rule.exceeded), "{snapshots:?}");
        let flat = vec![snapshots[9]; 10];
        assert!(epoch_growth_rule(&flat).is_some_and(|rule| !rule.exceeded));
        // The slope test asks for more points than ten before it accuses.
        let t_s: Vec<f64> = (0..40).map(f64::from).collect();
        let growing: Vec<f64> = t_s.iter().map(|t| snapshots[0] + t * 12e6).collect();
        assert_eq!(leak_report(&t_s, &growing, LeakConfig::default()).verdict, LeakVerdict::Leak);
    }
}

#[test]
fn gpu_memory_is_a_figure_or_a_reason() {
    let _alone = alone();
    let profiler = profiler(|b| b.track_gpu(true));
    profiler.profile("gpu_training", || model(8, 10));
    let metrics = profiler.figures(None).unwrap();
    match profiler.current_gpu_memory() {
        Ok((bytes, share)) => {
            assert!(bytes > 0 && (0.0..=1.0).contains(&share));
            assert!(metrics.memory.peak_gpu_mb().is_some());
        }
        Err(why) => {
            assert!(!why.reason.is_empty());
            assert_eq!((metrics.memory.peak_gpu, metrics.compute.gpu_utilisation), (None, None));
        }
    }
}

#[test]
fn nested_profiles_break_the_pipeline_down() {
    let _alone = alone();
    let profiler = profiler(|b| b);
    let stages = [("data_loading", 2), ("preprocessing", 4), ("training", 8), ("evaluation", 2)];
    profiler.profile("complete_pipeline", || {
        for (stage, ms) in stages {
            profiler.profile(stage, || spin(ms * MS));
        }
    });
    let report = profiler.timing_breakdown(None);
    let of = |path: &str| report.iter().find(|part| part.path == path).unwrap();
    for (stage, ms) in stages {
        let part = of(&format!("complete_pipeline/{stage}"));
        assert!(part.self_s >= f64::from(ms) * 1e-3, "{stage}: {part:?}");
        // The stage by itself is there too.
        assert_eq!(profiler.timing_breakdown(Some(stage))[0].path, stage);
    }
    assert!(report.is_sorted_by(|a, b| a.self_s >= b.self_s), "dearest first");
    assert_eq!(report.len(), 5);
    let shares: f64 = report.iter().map(|part| part.share).sum();
    assert!((shares - 1.0).abs() < 1e-9, "no time counts twice: {shares}");
}

#[test]
fn hot_lines_have_a_number_and_a_share() {
    let _alone = alone();
    let profiler = profiler(|b| b.enable_line_profiling(true));
    profiler.profile("bottleneck_detection", || spin(300 * MS));
    let Some(lines) = profiler.line_profile(None) else {
        let findings = profiler.metrics(None).unwrap().findings;
        assert!(findings.iter().any(|f| f.text.contains("hot lines")), "a reason is given");
        return;
    };
    for line in lines.hot_lines() {
        assert!(line.share > 0.1 && line.line.is_none_or(|number| number > 0));
    }
}

#[test]
fn operations_are_summed_and_divided_by_parameters() {
    let _alone = alone();
    let profiler = profiler(|b| b.estimate_flops(true));
    profiler.profile("model_complexity", || model(32, 784));
    let compute = profiler.figures(None).unwrap().compute;
    assert_eq!(compute.flops, Some(2.0 * 32.0 * 784.0));
    assert_eq!(compute.flops_per_parameter(784), Some(64.0));
    assert_eq!(compute.flops_per_parameter(0), None);
    assert!(compute.flop_per_s.unwrap() > 0.0);
}

#[test]
fn the_best_batch_size_is_the_one_of_most_samples_a_second() {
    let _alone = alone();
    let profiler = profiler(|b| b);
    let mut points = Vec::new();
    for batch_size in [16u64, 32, 64, 128] {
        let name = format!("batch_size_{batch_size}");
        let work = || (0..10).for_each(|_| _ = black_box(model(batch_size as usize, 50)));
        profiler.profile_samples(&name, 10 * batch_size, work);
        let metrics = profiler.figures(Some(&name)).unwrap();
        points.push(BatchPoint {
            batch_size: batch_size as usize,
            samples_per_s: metrics.throughput_per_s.unwrap(),
            peak_bytes: metrics.memory.peak_ram,
        });
    }
    let fastest = points.iter().map(|p| p.samples_per_s).fold(0.0, f64::max);
    let best = best_batch(&points, None, 0.1).unwrap();
    assert!(best.samples_per_s >= 0.9 * fastest, "{best:?} of {points:?}");
}

#[test]
fn models_and_learning_rates_are_compared_by_name() {
    let _alone = alone();
    let profiler = profiler(|b| b.estimate_flops(true));
    for (name, weights) in [("simple_mlp", 100), ("deep_mlp", 400), ("cnn", 200)] {
        profiler.profile(&format!("{name}_training"), || model(64, weights));
    }
    let flops = |name: &str| profiler.figures(Some(name)).unwrap().compute.flops.unwrap();
    assert!(flops("deep_mlp_training") > flops("cnn_training"));
    for rate in ["0.001", "0.01", "0.1"] {
        profiler.profile(&format!("lr_{rate}"), || model(16, 100));
        let wall_s = profiler.figures(Some(&format!("lr_{rate}"))).unwrap().timing.wall_s;
        assert!(0.9 / wall_s > 0.0, "accuracy a second");
    }
}

#[test]
fn the_system_is_watched_during_a_long_profile() {
    let _alone = alone();
    let profiler = profiler(|b| b.track_system(true).system_interval(0.02));
    profiler.profile("resource_monitoring", || {
        for _ in 0..5 {
            spin(20 * MS);
            let stats = profiler.current_system_stats();
            assert!(stats.iter().any(|s| s.name == "cpu.busy"));
            assert!(stats.iter().any(|s| s.name == "memory.used_share"));
            assert!(stats.iter().any(|s| s.name == "pressure.io"));
        }
    });
    if cfg!(target_os = "linux") {
        let report = profiler.system_report().unwrap();
        assert!(report.mean_cpu.unwrap() > 0.0 && report.peak_memory.unwrap() > 0.0);
        let system = profiler.figures(None).unwrap().system;
        assert!(system.cpu_share.unwrap() > 0.0 && system.memory_share.unwrap() > 0.0);
    }
}

#[test]
fn a_regression_is_found_against_a_file_of_baselines() {
    let _alone = alone();
    let path = file("baseline_metrics.json");
    let _ = std::fs::remove_file(&path);
    let mut detector = RegressionDetector::open(&path).unwrap();
    let train = |detector: &RegressionDetector, ms: u32| {
        let running = detector.check_regression("model_training", 0.5);
        let from = lob_scope::thread_cpu_time_s().unwrap_or(0.0);
        // By CPU time, so that a busy machine changes nothing.
        while lob_scope::thread_cpu_time_s().map_or(1.0, |now| now - from) < f64::from(ms) * 1e-3 {
            std::hint::spin_loop();
        }
        running.finish()
    };
    let first = train(&detector, 100);
    assert_eq!(first.verdict, RegressionVerdict::NoBaseline);
    detector.set_baseline(&first);
    detector.save().unwrap();
    let read = RegressionDetector::open(&path).unwrap();
    let twice = train(&read, 300);
    assert_eq!(twice.verdict, RegressionVerdict::Regressed, "{}", twice.text());
    assert!(twice.text().contains("above its baseline"), "{}", twice.text());
    let same = train(&read, 100);
    assert_ne!(same.cpu_s.0, None);
    assert!(same.cpu_s.0 < twice.cpu_s.0, "{}", same.text());
    std::fs::write(&path, "{\"model_training\": {\"wall_time_s\": \"long\"}}").unwrap();
    let error = RegressionDetector::open(&path).unwrap_err().to_string();
    assert!(error.contains("baseline_metrics.json") && error.contains("wall_time_s"), "{error}");
}

#[test]
fn requests_are_profiled_logged_and_reported_by_the_hour() {
    let _alone = alone();
    let profiler = profiler(|b| b);
    let monitor = ProductionMonitor::new(Duration::from_secs(2));
    for request_id in 0..20 {
        let request = monitor.request("predict");
        profiler.profile(&format!("request_{request_id}"), || model(8, 50));
        request.finish(if request_id == 7 { Duration::from_secs(3) } else { 30 * MS });
    }
    let report = &monitor.last_hour()[0];
    assert_eq!((report.requests, report.violations), (20, 1));
    assert!(profiler.figures(Some("request_7")).unwrap().timing.wall_s < 2.0);
}

#[test]
fn warm_up_and_active_steps_follow_a_schedule() {
    let _alone = alone();
    let schedule = Schedule { wait: 1, warm_up: 3, active: 5, repeat: 2, ..Schedule::default() };
    let mut traces = Vec::new();
    let handler = |cycle, profile: lob_profiler::Profile| {
        let table = key_averages_table(&profile, KeyOrder::SelfTime, 10);
        traces.push((
            cycle,
            profile.scopes.iter().find(|s| s.path.ends_with("model")).unwrap().calls,
            table,
        ));
    };
    let mut steps = ScheduledProfiler::start("warmed_up_inference", schedule, 50 * MS, handler);
    for _ in 0..30 {
        model(4, 50);
        steps.step();
    }
    steps.finish();
    let calls: Vec<(usize, u64)> =
        traces.iter().map(|(cycle, calls, _)| (*cycle, *calls)).collect();
    assert_eq!(calls, [(0, 5), (1, 5)]);
    assert!(traces[0].2.contains("model"));
}

#[test]
fn training_and_inference_each_have_a_throughput() {
    let _alone = alone();
    let profiler = profiler(|b| b);
    profiler.profile_samples("training_performance", 640, || model(640, 20));
    profiler.profile_samples("inference_performance", 6400, || model(640, 20));
    let rate = |name: &str| profiler.figures(Some(name)).unwrap().throughput_per_s.unwrap();
    assert!(rate("training_performance") > 0.0 && rate("inference_performance") > 0.0);
}

#[test]
fn memory_time_and_shapes_stand_in_a_sorted_table() {
    let _alone = alone();
    lob_scope::record_shapes(true);
    let profiler = profiler(|b| b.detailed_memory(true));
    profiler.profile("steps", || {
        model(32, 100);
        model(64, 100);
        let _copy = lob_scope::scope("copy");
        black_box(vec![0u8; 1 << 20]);
    });
    lob_scope::record_shapes(false);
    lob_scope::track_scope_allocs(false);
    let table = profiler.key_averages(None, KeyOrder::SelfMemory, 2).unwrap();
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows.len() == 3 && rows[1].starts_with("copy"), "{table}");
    let table = profiler.key_averages(None, KeyOrder::Calls, 10).unwrap();
    let model = table.lines().find(|row| row.starts_with("model")).unwrap();
    assert!(model.contains("[32, 100] [64, 100]"), "{table}");
}

#[test]
fn performance_issues_are_diagnosed_with_advice() {
    let _alone = alone();
    let profiler = profiler(|b| b.track_system(true).system_interval(0.01));
    profiler.profile("diagnosed", || spin(30 * MS));
    for found in profiler.diagnose(None) {
        assert!(!found.finding.text.is_empty() && !found.recommendation.text.is_empty());
    }
}

#[test]
fn a_comprehensive_profile_makes_a_report_that_is_exported() {
    let _alone = alone();
    let profiler = profiler(|b| b);
    let (result, samples) = profiler.profile_samples("prediction_workload", 10_000, || {
        black_box(vec![1u8; 4 << 20]);
        model(100, 100)
    });
    assert!(result > 0.0);
    assert!((samples.per_sample_s() * 1e4 - samples.total_s).abs() < 1e-9);
    if cfg!(target_os = "linux") {
        assert!(samples.peak_bytes.unwrap() >= samples.baseline_bytes.unwrap());
        assert!(samples.increase_bytes().unwrap() >= 0.0);
    }
    let report = profiler.create_report(Some("prediction_workload")).unwrap();
    assert!(report.system_stats.iter().any(|s| s.name == "memory.used_share"));
    assert_eq!(report.recommendations().count(), report.bottlenecks.len());
    let text = report.text();
    for part in ["prediction_workload", "throughput", "bottlenecks", "recommendations"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let path = file("profiling/performance_report.json");
    report.export(&path).unwrap();
    let document: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(document["timing"]["wall_time_s"].as_f64(), Some(report.metrics.timing.wall_s));
    assert!(document["system_stats"].as_object().is_some_and(|stats| !stats.is_empty()));
    assert!(document["bottlenecks"].is_array() && document["recommendations"].is_array());
    assert!(profiler.create_report(Some("never profiled")).is_none());
}

#[test]
fn components_are_profiled_each_and_ranked() {
    let _alone = alone();
    let profiler = profiler(|b| b);
    let mut rows = Vec::new();
    for (name, weights) in [("data_loading", 10), ("feature_extraction", 400), ("prediction", 100)]
    {
        let (_, samples) = profiler.profile_samples(name, 1000, || model(100, weights));
        rows.push((name, samples.samples_per_s));
    }
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    assert!(rows.len() == 3 && rows.iter().all(|(_, rate)| *rate > 0.0), "{rows:?}");
}

#[test]
fn repeated_runs_and_requirements_are_judged() {
    let _alone = alone();
    let profiler = profiler(|b| b);
    let increases: Vec<f64> = (0..10)
        .filter_map(|_| {
            profiler.profile_samples("batch", 100, || model(100, 20)).1.increase_bytes()
        })
        .collect();
    let rule = first_run_rule(&increases);
    assert!(rule.is_none_or(|rule| rule.limit > 1.0 && rule.worst >= 0.0));
    let (_, samples) = profiler.profile_samples("production", 100, || model(100, 20));
    let required =
        Requirements { max_latency_s: 0.1, min_throughput_per_s: 100.0, max_memory_bytes: 1e9 };
    let outcome = readiness(&required, &samples.service_figures());
    let verdicts: Vec<Verdict> = outcome.checks.iter().map(|check| check.verdict).collect();
    assert_eq!(verdicts[..2], [Verdict::Pass, Verdict::Pass], "{}", outcome.text());
    let cost = cost_estimate(1e6, samples.samples_per_s, Some(0.5)).unwrap();
    assert!(cost.total > 0.0 && cost.hours > 0.0);
    let feature = |name: &str, seconds, importance| FeatureCost {
        name: name.to_owned(),
        seconds,
        importance,
    };
    let features = [feature("dear", 8.0, 0.1), feature("cheap", 1.0, 5.0)];
    let dear = expensive_features(&features, 2.0);
    assert_eq!(dear[0].name, "dear");
}
