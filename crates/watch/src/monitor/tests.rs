use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// 2026-11-21 06:00 UTC.
const START: Duration = Duration::from_secs(1_795_240_800);

fn log_path(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("lob-monitor-{name}-{}.jsonl", std::process::id()))
}

#[test]
fn percentiles_are_those_of_the_last_hour() {
    let monitor = ProductionMonitor::default();
    monitor.record_at("a", Duration::from_secs(50), START);
    for ms in 1..=1000 {
        monitor.record_at("a", Duration::from_millis(ms), START + 62 * MINUTE);
    }
    let report = &monitor.report_at(START + 63 * MINUTE, HOUR)[0];
    assert_eq!((report.requests, report.violations), (1000, 0));
    for (got, expected) in
        [(report.p50_s, 0.5), (report.p95_s, 0.95), (report.p99_s, 0.99), (report.max_s, 1.0)]
    {
        assert!((got - expected).abs() <= 0.032 * expected, "{got} against {expected}");
    }
    assert!((report.mean_s - 0.5005).abs() < 1e-9);
    // What has been, stays counted.
    let text = monitor.prometheus_text();
    assert!(text.contains("lob_request_seconds_count{label=\"a\"} 1001"), "{text}");
    assert!(text.contains("lob_request_sla_violations_total{label=\"a\"} 1"), "{text}");
}

#[test]
fn windows_are_as_long_as_asked_and_all_labels_add_up() {
    let monitor = ProductionMonitor::default();
    monitor.record_at("a", MINUTE, START);
    monitor.record_at("b", Duration::from_secs(1), START + 20 * MINUTE);
    let counts = |window| -> Vec<String> {
        let reports = monitor.report_at(START + 21 * MINUTE, window);
        reports.into_iter().map(|report| report.label).collect()
    };
    assert_eq!(counts(5 * MINUTE), ["b"]);
    assert_eq!(counts(HOUR), ["a", "b"]);
    let all = overall_at(&monitor.inner(), START + 21 * MINUTE, 12).unwrap();
    assert_eq!((all.requests, all.violations), (2, 1));
}

#[test]
fn an_hour_without_requests_reports_nothing() {
    let monitor = ProductionMonitor::default();
    monitor.record_at("a", Duration::from_secs(1), START);
    assert_eq!(monitor.report_at(START + MINUTE, HOUR).len(), 1);
    assert_eq!(monitor.report_at(START + 61 * MINUTE, HOUR), []);
}

#[test]
fn clock_hours_are_kept_apart_for_a_day() {
    let monitor = ProductionMonitor::default();
    for hour in 0..30u32 {
        let requests = 1 + u64::from(hour % 3);
        (0..requests).for_each(|_| {
            monitor.record_at("a", Duration::from_secs(3), START + hour * HOUR + 59 * MINUTE);
        });
    }
    let inner = monitor.inner();
    let hours = inner.labels["a"].hours("a", START + 29 * HOUR + 59 * MINUTE);
    assert_eq!(hours.len(), 25);
    assert!(hours[..24].iter().all(|hour| hour.complete) && !hours[24].complete);
    assert_eq!(hours[24].start, START + 29 * HOUR);
    assert_eq!((hours[24].report.requests, hours[24].report.violations), (3, 3));
    assert_eq!(hours[23].report.requests, 2);
}

#[test]
fn days_of_requests_take_the_room_of_an_hour() {
    let monitor = ProductionMonitor::default();
    for n in 0..1000 {
        monitor.record_at("a", Duration::from_millis(5), START + n * 5 * MINUTE);
    }
    assert_eq!(monitor.inner().labels["a"].n_slices(), SLICES);
    assert_eq!(monitor.report_at(START + 999 * 5 * MINUTE, HOUR)[0].requests, SLICES as u64);
}

#[test]
fn labels_are_limited() {
    let monitor = ProductionMonitor::default();
    for n in 0..100 {
        monitor.record(&format!("label {n}"), Duration::from_millis(1));
    }
    let report = monitor.last_hour();
    assert_eq!(report.len(), MAX_LABELS + 1);
    let other = report.iter().find(|r| r.label == OTHER_LABELS).unwrap();
    assert_eq!((other.requests, monitor.labels_refused()), (36, 36));
}

#[test]
fn a_panicking_request_is_recorded() {
    let monitor = ProductionMonitor::new(Duration::ZERO);
    let caught = std::panic::catch_unwind(|| {
        let _request = monitor.request("panics");
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(caught.is_err());
    assert_eq!(monitor.last_hour()[0].requests, 1);
}

#[test]
fn the_alert_rings_once_and_ends_well_below_the_agreement() {
    let monitor = ProductionMonitor::default();
    let mut events = Vec::new();
    // Ten minutes of slow requests, then as many of fast ones until the slow are forgotten.
    for second in 0..1800u32 {
        let latency = Duration::from_millis(if second < 600 { 2500 } else { 100 });
        let event = monitor.record_at("a", latency, START + Duration::from_secs(second.into()));
        events.extend(event);
    }
    assert!(matches!(events[..], [AlertEvent::Raised(_), AlertEvent::Cleared(_)]), "{events:?}");
    assert!(monitor.prometheus_text().contains("lob_alert_raised_total{alert=\"sla\"} 1"));
}

#[test]
fn the_log_holds_the_seed_names_and_another_process_reads_it_back() {
    let path = log_path("replay");
    let log = JsonLinesLog::open(&path, LogLimits::default()).unwrap();
    let monitor = ProductionMonitor::new(Duration::from_secs(2)).with_log(log);
    monitor.request_with_id("predict", "r-1").finish(Duration::from_secs(3));
    monitor.record("predict", Duration::from_millis(10));
    let text = std::fs::read_to_string(&path).unwrap();
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["request_id"], "r-1");
    assert_eq!(first["sla_violation"], true);
    for name in ["timestamp", "internal_latency", "user_facing_latency", "memory_mb", "cpu_percent"]
    {
        assert!(first.get(name).is_some(), "{name} in {first}");
    }
    assert!(text.contains("\"state\":\"raised\""), "{text}");
    let mut replay = LogReplay::new(&path, Duration::from_secs(2));
    assert_eq!(replay.poll(), Ok(2));
    let (ours, theirs) = (monitor.last_hour(), replay.monitor().last_hour());
    assert_eq!(ours, theirs);
    std::fs::write(&path, "torn\n{\"timestamp\":\"2999-01-01T00:00:00Z\",\"label\":\"a\",\"user_facing_latency\":1}\n").unwrap();
    assert_eq!((replay.poll(), replay.refused()), (Ok(0), 2));
    std::fs::remove_file(&path).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_that_cannot_be_written_fails_no_request() {
    let monitor = ProductionMonitor::default().with_log(JsonLinesLog::on_a_full_disk());
    monitor.record("a", MINUTE);
    let (errors, reason) = monitor.log_errors();
    assert_eq!(monitor.last_hour()[0].requests, 1);
    assert!(errors >= 1 && reason.unwrap().contains("/dev/full"));
}

proptest! {
    #[test]
    fn whatever_the_order_of_times_nothing_is_lost_from_the_totals(
        times in proptest::collection::vec((0u64..20_000, 0u64..5000), 1..300),
    ) {
        let monitor = ProductionMonitor::default();
        for (at, ms) in &times {
            monitor.record_at("a", Duration::from_millis(*ms), START + Duration::from_secs(*at));
        }
        let last = START + Duration::from_secs(times.iter().map(|(at, _)| *at).max().unwrap());
        let slow = times.iter().filter(|(_, ms)| *ms > 2000).count() as u64;
        {
            let inner = monitor.inner();
            prop_assert_eq!(inner.labels["a"].requests, times.len() as u64);
            prop_assert_eq!(inner.labels["a"].violations, slow);
        }
        // The newest five minutes are always whole.
        let newest = last.as_secs() / SLICE_S;
        let expected =
            times.iter().filter(|(at, _)| (START.as_secs() + at) / SLICE_S == newest).count();
        let report = monitor.report_at(last, Duration::from_secs(1));
        prop_assert_eq!(report[0].requests, expected as u64);
    }
}
