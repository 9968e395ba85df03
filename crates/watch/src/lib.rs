//! A running program watched: requests against an agreement, sensors with alerts, and the pages and
//! the endpoint that show them.
//!
//! - [`ProductionMonitor`] records requests and judges them against a promised latency; a
//!   [`JsonLinesLog`] keeps them, a [`LogReplay`] or a [`Watch`] reads them back, from another
//!   process too.
//! - [`SystemMonitor`] watches the sensors of the machine with [`Alert`]s.
//! - A [`MetricsPage`] writes it all, and a [`WatchedProcess`], as Prometheus text;
//!   [`MetricsServer`] serves it, as OpenMetrics to who asks for that; [`scrape`] and
//!   [`parse_prometheus_text`] read it.
//! - [`PerformanceProfiler`] measures work by the options of a [`ProfilerConfig`], from a file if
//!   wanted, and remembers what it found.
//!
//! ```
//! use std::time::Duration;
//! let monitor = lob_watch::ProductionMonitor::new(Duration::from_secs(2));
//! drop(monitor.request("predict"));
//! let page = lob_watch::metrics_page(None, &[&monitor], &[]);
//! let families = lob_watch::parse_prometheus_text(&page)?;
//! assert!(families.iter().any(|family| family.name == "lob_request_seconds"));
//! # Ok::<(), lob_watch::WatchError>(())
//! ```

mod alert;
mod config;
mod error;
mod monitor;
mod performance;
mod process;
mod prometheus;
mod serve;
mod system;
mod timestamp;
mod watch;

pub use alert::{Alert, AlertEvent, AlertRule, AlertSide};
pub use config::{ProfilerConfig, ProfilerConfigBuilder};
pub use error::WatchError;
pub use monitor::{
    HourReport, JsonLinesLog, LogLimits, LogReplay, MAX_LABELS, OTHER_LABELS, ProductionMonitor,
    RequestGuard, RequestReport,
};
pub use performance::{
    ComputeMetrics, MemoryMetrics, OperationTime, PerformanceProfiler, ProfileMetrics,
    ProfileReport, Profiling, RegressionCheck, RegressionDetector, RegressionGuard,
    RegressionVerdict, SampleProfile, SystemMetrics, TimingMetrics,
};
pub use process::WatchedProcess;
pub use prometheus::{
    MetricsPage, PrometheusFamily, PrometheusSample, metrics_page, openmetrics_text,
    parse_prometheus_text, prometheus_text,
};
pub use serve::{MetricsServer, Reply, ServerCounts, ServerLimits, scrape};
pub use system::{SensorValue, SystemMonitor, SystemReport, Tracked, sensor};
pub use watch::Watch;
