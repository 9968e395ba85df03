//! One stretch of work measured from every side, and its Prometheus text.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use lob_metrics::Unit;
use lob_profiler::{ProductionMonitor, profile, prometheus_text};

use crate::scopes::alone;

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
fn a_profile_holds_time_memory_scopes_and_a_timeline() {
    let _alone = alone();
    let (sum, profile) = profile("profiled work", Duration::from_millis(1), || {
        let _scope = lob_profiler::scope("inner \"part\"");
        let block = black_box(vec![1u8; 16 << 20]);
        block.iter().map(|byte| u64::from(*byte)).sum::<u64>()
    });
    assert_eq!(sum, 16 << 20);
    let value = |metric: &str| {
        let found = profile.measurements.iter().find(|m| m.metric == metric).unwrap();
        assert!(found.value.is_some() || found.reason.is_some(), "{metric}");
        found.value
    };
    assert!(value("wall_time").unwrap() > 0.0);
    #[cfg(target_os = "linux")]
    {
        assert!(value("cpu_time").unwrap() > 0.0);
        assert!(value("peak_rss").unwrap() > (16 << 20) as f64);
        assert!(value("page_faults.minor").unwrap() > 0.0);
        assert!(profile.timeline.iter().any(|t| t.metric == "rss" && t.unit == Unit::Bytes));
    }
    let paths: Vec<&str> = profile.scopes.iter().map(|s| s.path.as_str()).collect();
    assert_eq!(paths, ["profiled work", "profiled work/inner \"part\""]);
    let families = check_prometheus(&prometheus_text(&profile));
    assert_eq!(families["lob_scope_seconds"], 10);
    assert_eq!(families["lob_wall_time"], 1);
    let scenario = profile.into_scenario("tests");
    assert_eq!((scenario.id.as_str(), scenario.scopes.len()), ("profiled work", 2));
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
