//! The pages that Prometheus scrapes.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use lob_watch::{ProductionMonitor, prometheus_text};

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
