//! Scopes, memory and system sensors, and the measured limits of the machine.
//!
//! - [`scope()`] times nested stretches of code for the price of two clock reads; [`take_scopes`]
//!   hands out calls, total and self time and percentiles per path. [`enable_trace`] keeps single
//!   calls too; [`Trace::to_chrome_json`] writes them for Perfetto, [`flame_graph_svg`] draws the
//!   tree, [`ScopedFuture`] and [`Flow`] follow work across tasks and threads.
//! - Sensors such as [`rss_bytes`], [`pressure`] and [`gpus`] return a value or an
//!   [`Unavailable`] with its reason, never a made-up zero; a [`Sampler`] turns the cheap ones
//!   into series, and [`leak_report`] judges the growth of memory.
//! - [`profile`] measures a closure from every side, [`profile_command`] any other program, and
//!   [`ProductionMonitor`] requests against a promised latency.
//! - [`measure_roof`] measures what the machine can do at best, so that a figure can be given as a
//!   share of a limit; [`host`] says which machine it was.
//! - [`PerformanceProfiler`] does all of it by a [`ProfilerConfig`]; [`SystemMonitor`] watches the
//!   sensors with [`Alert`]s, and [`MetricsServer`] shows them to Prometheus.
//! - [`diagnose`], [`Roofline`], [`best_batch`], [`readiness()`] and the FLOP counts say what the
//!   figures mean.
//! - [`CountingAllocator`] counts allocations, also per scope, when a program opts in;
//!   [`MemoryScope`] gives a stretch of work its own memory peak.
//! - [`LineProfiler`] samples which lines the CPU time goes to, [`track_alloc_sites`] which lines
//!   allocate, and [`HardwareCounters`] reads what the CPU counts, where the kernel allows it.
//!
//! Features: `lines` (sampling of stacks), `tracing` (`ScopeLayer`), `nvtx` (`nvtx_scopes`), `otlp`
//! (`OtlpExporter`), `compile-out` (scopes cost nothing, and record nothing).
//!
//! ```
//! lob_profiler::enable(true);
//! {
//!     let _work = lob_profiler::scope!("work");
//!     let _step = lob_profiler::scope!("step");
//! }
//! let scopes = lob_profiler::take_scopes();
//! assert_eq!(scopes[1].path, "work/step");
//! assert!(scopes[0].self_s <= scopes[0].total_s);
//! ```

mod alert;
mod alloc;
mod analysis;
mod chrome;
mod clock;
mod command;
mod config;
mod cpu;
mod error;
mod flame;
mod heap;
mod host;
mod leak;
mod machine;
mod memory;
mod memory_scope;
mod monitor;
mod nvml;
#[cfg(feature = "nvtx")]
mod nvtx;
#[cfg(feature = "otlp")]
mod otlp;
mod perf;
mod performance;
mod procfs;
mod profile;
mod prometheus;
mod sampler;
mod scope;
mod sensors;
mod serve;
mod sketch;
mod stacks;
mod system;
mod timestamp;
#[cfg(feature = "tracing")]
mod tracing_layer;
mod unavailable;
mod watch;

pub use alert::{Alert, AlertEvent, AlertRule, AlertSide};
pub use alloc::{AllocStats, CountingAllocator, alloc_stats, reset_alloc_peak, thread_alloc_stats};
pub use analysis::{
    ACCELERATOR_UTILISATION_PASS, BatchChoice, BatchPoint, CostEstimate, Diagnosis, FeatureCost,
    Observed, Readiness, ReadinessCheck, Requirements, Roofline, RooflineBound, RooflineReport,
    RunFigures, ServiceFigures, Work, accelerator_utilisation, activation_flops,
    batch_norm_inference_flops, best_batch, comparison_table, conv1d_flops, conv2d_flops,
    cost_estimate, count_flops, dense_flops, diagnose, expensive_features, flops_counted,
    flops_per_param, infonce_flops, layer_norm_flops, optimiser_flops, rank_by_throughput,
    readiness, sweep_batches, train_step_flops,
};
pub use command::{Bound, CommandProfile, profile_command};
pub use config::{ProfilerConfig, ProfilerConfigBuilder};
pub use cpu::{cores, process_cpu_time_s, thread_cpu_time_s};
pub use error::ProfilerError;
pub use flame::{flame_graph_svg, folded_stacks};
pub use heap::keep_freed_memory;
pub use host::host;
pub use leak::{
    LeakConfig, LeakReport, LeakVerdict, SimpleRule, epoch_growth_rule, first_run_rule, leak_report,
};
pub use machine::{RoofBudget, RoofOutcome, measure_roof, measure_roof_within};
pub use memory::{anon_rss_bytes, peak_rss_bytes, reset_peak_rss, rss_bytes};
pub use memory_scope::{MemoryScope, ScopeMemory};
pub use monitor::{
    HourReport, JsonLinesLog, JsonLinesTail, LogLimits, LogReplay, MAX_LABELS, OTHER_LABELS,
    ProductionMonitor, RequestGuard, RequestReport,
};
pub use nvml::{Gpu, GpuProcess, GpuReading, gpus};
#[cfg(feature = "nvtx")]
pub use nvtx::{NvtxRange, nvtx_scopes};
#[cfg(feature = "otlp")]
pub use otlp::{OtlpExporter, otlp_json};
pub use perf::{HardwareCounters, HardwareReading};
pub use performance::{OperationTime, PerformanceProfiler, SampleProfile};
pub use profile::{Profile, profile, profiler_warnings};
pub use prometheus::{
    PrometheusFamily, PrometheusSample, metrics_page, parse_prometheus_text, prometheus_text,
};
pub use sampler::Sampler;
pub use scope::{
    Flow, MAX_DYNAMIC_NAMES, MAX_SCOPES_PER_THREAD, OTHER_NAMES, ScopeAllocs, ScopeGuard,
    ScopedFuture, Trace, TraceEvent, TraceKind, calibrate_scope_cost, disable_trace,
    dynamic_names_refused, enable, enable_trace, is_enabled, scope, scope_calls_total, scope_field,
    scope_named, scopes_dropped, take_scope_allocs, take_scopes, take_trace, track_scope_allocs,
};
pub use sensors::{
    ContextSwitches, CpuTimes, EnergyReading, PageFaults, Pressure, ProcessIo, ProcessReading,
    Resource, SystemMemory, Traffic, co2_g, context_switches, cpu_frequency_hz, cpu_times,
    disk_traffic, energy, load_average, network_traffic, page_faults, pressure, process_io,
    process_reading, system_context_switches, system_memory, temperature_celsius,
};
pub use serve::{MetricsServer, Reply, ServerCounts, ServerLimits, scrape};
pub use stacks::{
    AllocProfile, AllocSite, AllocSites, HOT_LINE, HotLine, LineProfile, LineProfiler,
    SampledStack, track_alloc_sites,
};
pub use system::{SensorValue, SystemMonitor, SystemReading, SystemReport, Tracked, sensor};
#[cfg(feature = "tracing")]
pub use tracing_layer::ScopeLayer;
pub use unavailable::Unavailable;
pub use watch::Watch;
