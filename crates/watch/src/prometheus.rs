//! The text format Prometheus scrapes ("Exposition formats", text format 0.0.4).

mod openmetrics;
pub(crate) mod page;
mod parse;

use lob_profiler::Profile;
use lob_scope::Unavailable;

use crate::{ProductionMonitor, SystemMonitor, Watch, WatchedProcess, process};
use page::Page;

pub(crate) use openmetrics::OPENMETRICS;
pub use openmetrics::openmetrics_text;
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
///
/// ```
/// let page = lob_watch::MetricsPage::default().build("0.1.0", Some("abc123")).own_process().finish();
/// assert!(page.contains("lob_build_info{version=\"0.1.0\",revision=\"abc123\"} 1"));
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct MetricsPage {
    page: Page,
}

impl MetricsPage {
    /// Adds the sensors and alerts of the machine.
    pub fn system(mut self, system: &SystemMonitor) -> Self {
        system.write_page(&mut self.page);
        self
    }

    /// Adds requests.
    pub fn requests(mut self, monitor: &ProductionMonitor) -> Self {
        monitor.write_page(&mut self.page);
        self
    }

    /// Adds the latest numbers of a watched file.
    pub fn watch(mut self, watch: &Watch) -> Self {
        watch.write_page(&mut self.page);
        self
    }

    /// Adds a watched process.
    pub fn process(mut self, process: &WatchedProcess) -> Self {
        process.write_page(&mut self.page);
        self
    }

    /// Adds the `process_` metrics of this process.
    pub fn own_process(mut self) -> Self {
        process::write_own(&mut self.page);
        self
    }

    /// Names a file that has no figures, and why.
    pub fn missing_file(mut self, name: &str, why: &Unavailable) -> Self {
        let labels = [("file", name), ("reason", why.reason.as_str())];
        let help = "A watched file that cannot be read, and why.";
        self.page.add("lob_file_unavailable_info", "gauge", help, &labels, 1.0);
        self
    }

    /// Says which build serves the page.
    pub fn build(mut self, version: &str, revision: Option<&str>) -> Self {
        let labels = [("version", version), ("revision", revision.unwrap_or("unknown"))];
        let help = "Version and source revision of the program that serves this page; always 1.";
        self.page.add("lob_build_info", "gauge", help, &labels, 1.0);
        self
    }

    /// The page as Prometheus text.
    #[must_use]
    pub fn finish(self) -> String {
        self.page.finish()
    }
}

/// A [`MetricsPage`] of these sources.
#[must_use]
pub fn metrics_page(
    system: Option<&SystemMonitor>,
    requests: &[&ProductionMonitor],
    watches: &[&Watch],
) -> String {
    let mut page = MetricsPage::default();
    if let Some(system) = system {
        page = page.system(system);
    }
    page = requests.iter().fold(page, |page, monitor| page.requests(monitor));
    watches.iter().fold(page, |page, watch| page.watch(watch)).finish()
}
