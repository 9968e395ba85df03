//! The pages that Prometheus scrapes.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use lob_watch::{
    MetricsPage, ProductionMonitor, ProfilerConfig, PrometheusFamily, SystemMonitor,
    openmetrics_text, parse_prometheus_text, prometheus_text,
};

use crate::alone;

/// Parses Prometheus text strictly: every sample belongs to the family announced last, no series
/// comes twice, numbers are numbers. Returns the number of samples by family.
pub(crate) fn check_prometheus(text: &str) -> BTreeMap<String, usize> {
    let (mut families, mut series) = (BTreeMap::new(), Vec::new());
    let mut current: Option<(String, String)> = None;
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    };
    assert!(text.is_empty() || text.ends_with('\n'));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, _) = help.split_once(' ').unwrap();
            assert!(is_name(name) && families.insert(name.to_owned(), 0).is_none(), "{line}");
            continue;
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(["counter", "gauge", "summary"].contains(&kind), "{line}");
            current = Some((name.to_owned(), kind.to_owned()));
            continue;
        }
        let (identity, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok() || ["+Inf", "-Inf"].contains(&value), "{line}");
        let name = identity.split('{').next().unwrap();
        let (family, kind) = current.as_ref().unwrap();
        let suffix = name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{line}"));
        let allowed: &[&str] = if kind == "summary" { &["", "_sum", "_count"] } else { &[""] };
        assert!(is_name(name) && allowed.contains(&suffix), "{line}");
        if let Some(labels) = identity.strip_prefix(name).and_then(|l| l.strip_prefix('{')) {
            check_labels(labels.strip_suffix('}').unwrap());
        }
        assert!(!series.contains(&identity), "{line} comes twice");
        series.push(identity);
        *families.get_mut(family).unwrap() += 1;
    }
    families
}

fn check_labels(mut labels: &str) {
    while !labels.is_empty() {
        let (name, rest) = labels.split_once("=\"").unwrap();
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        let mut escaped = false;
        let end = rest.find(|c| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        });
        labels = rest[end.unwrap() + 1..].trim_start_matches(',');
    }
}

#[test]
fn a_profiles_page_is_prometheus_text() {
    let _alone = alone();
    lob_scope::track_scope_allocs(true);
    let (_, profile) = lob_profiler::profile("page of work", Duration::from_millis(1), || {
        let _scope = lob_scope::scope("inner \"part\"");
        drop(black_box(vec![1u8; 1 << 20]));
    });
    lob_scope::track_scope_allocs(false);
    let families = check_prometheus(&prometheus_text(&profile));
    assert_eq!((families["lob_scope_seconds"], families["lob_wall_time"]), (10, 1));
    assert_eq!(families["lob_scope_allocated_bytes_total"], 2);
}

#[test]
fn the_monitors_page_is_prometheus_text() {
    let monitor = ProductionMonitor::default();
    drop(monitor.request("a \"quoted\\\" label\n"));
    monitor.record("b", Duration::from_secs(3));
    let families = check_prometheus(&monitor.prometheus_text());
    assert_eq!(families["lob_request_seconds"], 10);
    assert_eq!(families["lob_request_sla_violations_total"], 2);
}

/// Everything `lob serve` can say at once.
fn whole_page(system: &SystemMonitor) -> String {
    let requests = ProductionMonitor::default();
    drop(requests.request("a"));
    let folder = std::env::temp_dir().join(format!("lob-page-{}.jsonl", std::process::id()));
    std::fs::write(&folder, "{\"loss\": 1}\n").unwrap();
    let mut watch = lob_watch::Watch::new("m", &folder);
    watch.poll().unwrap();
    std::fs::remove_file(&folder).unwrap();
    let why = lob_scope::Unavailable::new("gone");
    let page = MetricsPage::default().system(system).requests(&requests).watch(&watch);
    let page = page.missing_file("x", &why).build("1.0", None).own_process();
    #[cfg(target_os = "linux")]
    let page = page.process(&lob_watch::WatchedProcess::find(std::process::id()).unwrap());
    page.finish()
}

fn monitor() -> SystemMonitor {
    let config = ProfilerConfig::builder()
        .system_interval(0.01)
        .track_network(true)
        .track_cpu_temp(true)
        .track_carbon(true)
        .build()
        .unwrap();
    let system = SystemMonitor::start(&config);
    let _ = system.wait_for_values();
    system
}

/// The conventions of names and units that Prometheus asks for ("Metric and label naming"), written
/// apart from what makes the page.
fn lint(families: &[PrometheusFamily]) -> Vec<String> {
    const SHORT: [&str; 15] =
        ["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d", "hz"];
    let mut found = Vec::new();
    for family in families {
        let name = family.name.as_str();
        let mut check = |good: bool, what: &str| {
            if !good {
                found.push(format!("{name}: {what}"));
            }
        };
        let is_counter = family.kind == "counter";
        check(is_counter == name.ends_with("_total"), "`_total` is for counters and all of them");
        check(family.kind != "untyped", "it has no type");
        check(!name.split('_').any(|word| SHORT.contains(&word)), "a unit is abbreviated");
        check(!name.split('_').any(|w| ["gauge", "counter", "summary"].contains(&w)), "its type");
        check(!name.contains("_per_"), "a rate is no counter");
        let reserved = ["_count", "_sum", "_bucket", "_created"];
        check(!reserved.iter().any(|suffix| name.ends_with(suffix)), "a reserved suffix");
        let is_snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        check(name.chars().all(is_snake), "no snake case");
        let help = family.help.as_deref().unwrap_or("");
        check(help.split(' ').count() >= 3 && help.ends_with('.'), "HELP says too little");
        check(!help.contains("The sensor `"), "HELP repeats the name");
        for unit in ["seconds", "bytes", "celsius", "watts", "joules", "hertz"] {
            if name.split('_').any(|word| word == unit) {
                let stem = unit.trim_end_matches('s');
                check(help.to_lowercase().contains(stem), "HELP does not name the unit");
            }
        }
    }
    let mut families: Vec<&str> = families
        .iter()
        .map(|f| f.name.trim_end_matches("_total").trim_end_matches("_info"))
        .collect();
    families.sort_unstable();
    let clash = families.windows(2).find(|two| two[0] == two[1]);
    found.extend(clash.map(|two| format!("{}: two families in OpenMetrics", two[0])));
    found
}

#[test]
fn names_units_and_help_keep_the_conventions() {
    let _alone = alone();
    let system = monitor();
    let text = whole_page(&system);
    check_prometheus(&text);
    let families = parse_prometheus_text(&text).unwrap();
    assert_eq!(lint(&families), Vec::<String>::new());
    let (_, profile) = lob_profiler::profile("x", Duration::from_millis(1), || {
        let _scope = lob_scope::scope("inner");
    });
    let scopes = parse_prometheus_text(&prometheus_text(&profile)).unwrap();
    let scopes: Vec<_> = scopes.into_iter().filter(|f| f.name.starts_with("lob_scope")).collect();
    assert_eq!(lint(&scopes), Vec::<String>::new());
    // The lint finds what it is there for.
    let bad = "# HELP lob_x_per_s The sensor `x`.\n# TYPE lob_x_per_s gauge\nlob_x_per_s 1\n\
               # TYPE a counter\na 1\n";
    let found = lint(&parse_prometheus_text(bad).unwrap());
    assert!(found.len() >= 5, "{found:?}");
    #[cfg(target_os = "linux")]
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_open_fds",
        "process_max_fds",
        "lob_build_info",
        "lob_watched_cpu_seconds_total",
        "lob_context_switches_total",
        "lob_cpu_seconds_total",
    ] {
        assert!(families.iter().any(|f| f.name == name), "{name} in {text}");
    }
}

#[test]
fn counters_only_grow() {
    let _alone = alone();
    let system = monitor();
    let counters = |text: &str| -> BTreeMap<String, f64> {
        let families = parse_prometheus_text(text).unwrap();
        let counters = families.into_iter().filter(|f| f.kind == "counter").flat_map(|f| f.samples);
        counters.map(|s| (format!("{} {:?}", s.name, s.labels), s.value)).collect()
    };
    let first = counters(&whole_page(&system));
    let start = std::time::Instant::now();
    let mut work = 0u64;
    while start.elapsed() < Duration::from_millis(100) {
        work = black_box(work.wrapping_mul(31) + 1);
    }
    let second = counters(&whole_page(&system));
    assert!(first.len() > 5 && first.keys().eq(second.keys()), "{first:?} {second:?}");
    for (name, before) in &first {
        assert!(second[name] >= *before, "{name}: {before} -> {}", second[name]);
    }
    let grown = first.iter().filter(|(name, before)| second[*name] > **before).count();
    assert!(grown >= 2, "time has passed: {first:?} {second:?}");
}

/// The text of OpenMetrics, read by rules written apart: metadata before samples, no family twice,
/// the suffixes of each type, the end.
#[test]
fn the_openmetrics_page_keeps_its_own_rules() {
    let _alone = alone();
    let text = openmetrics_text(&whole_page(&monitor()));
    assert!(text.ends_with("\n# EOF\n") && text.matches("# EOF").count() == 1);
    let mut kinds: BTreeMap<String, String> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines().take_while(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            name.clone_into(&mut current);
            continue;
        }
        if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(!kinds.contains_key(rest.split(' ').next().unwrap()), "{line}");
            continue;
        }
        let name = line.split(['{', ' ']).next().unwrap();
        let suffix = name.strip_prefix(current.as_str()).unwrap_or_else(|| panic!("{line}"));
        let allowed: &[&str] = match kinds[&current].as_str() {
            "counter" => &["_total"],
            "info" => &["_info"],
            "summary" => &["", "_sum", "_count"],
            "gauge" | "unknown" => &[""],
            other => panic!("{other}"),
        };
        assert!(allowed.contains(&suffix), "{line}");
        assert!(kinds[&current] != "info" || line.ends_with(" 1"), "{line}");
    }
    assert_eq!(kinds["lob_build"], "info");
    assert_eq!(kinds["lob_alert_raised"], "counter");
}
