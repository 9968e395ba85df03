//! The text format Prometheus scrapes ("Exposition formats", text format 0.0.4).

pub(crate) mod page;
mod parse;

use lob_profiler::Profile;

use crate::{ProductionMonitor, SystemMonitor, Watch};
use page::Page;

pub use parse::{PrometheusFamily, PrometheusSample, parse_prometheus_text};

/// A profile as Prometheus text. Seconds and bytes, as that format wants them; measurements that
/// are unavailable are left out, since a gauge cannot say why.
///
/// ```
/// let (_, profile) = lob_profiler::profile("sum", std::time::Duration::from_millis(10), || {
///     let _scope = lob_scope::scope("add");
/// });
/// let text = lob_watch::prometheus_text(&profile);
/// assert!(text.contains("lob_scope_calls_total{profile=\"sum\",path=\"sum/add\"} 1"));
/// ```
#[must_use]
pub fn prometheus_text(profile: &Profile) -> String {
    let mut page = Page::default();
    let name = profile.name.as_str();
    for measurement in &profile.measurements {
        page.measurement(name, measurement);
    }
    for scope in &profile.scopes {
        page.scope(name, scope);
    }
    for allocs in &profile.allocs {
        let labels = [("profile", name), ("path", allocs.path.as_str())];
        let help = "Blocks allocated inside the scope.";
        page.add(
            "lob_scope_allocations_total",
            "counter",
            help,
            &labels,
            allocs.allocations as f64,
        );
        let help = "Bytes allocated inside the scope.";
        let bytes = allocs.allocated_bytes as f64;
        page.add("lob_scope_allocated_bytes_total", "counter", help, &labels, bytes);
    }
    page.finish()
}

/// One page from several sources, as `/metrics` serves it: each metric family once.
#[must_use]
pub fn metrics_page(
    system: Option<&SystemMonitor>,
    requests: &[&ProductionMonitor],
    watches: &[&Watch],
) -> String {
    let mut page = Page::default();
    if let Some(system) = system {
        system.write_page(&mut page);
    }
    requests.iter().for_each(|monitor| monitor.write_page(&mut page));
    watches.iter().for_each(|watch| watch.write_page(&mut page));
    page.finish()
}
