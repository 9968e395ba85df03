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
//! - [`CountingAllocator`] counts allocations, also per scope, when a program opts in.
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

mod alloc;
mod chrome;
mod clock;
mod command;
mod cpu;
mod error;
mod flame;
mod host;
mod leak;
mod machine;
mod memory;
mod monitor;
mod nvml;
mod procfs;
mod profile;
mod prometheus;
mod sampler;
mod scope;
mod sensors;
mod sketch;
mod unavailable;

pub use alloc::{AllocStats, CountingAllocator, alloc_stats, reset_alloc_peak, thread_alloc_stats};
pub use command::{Bound, CommandProfile, profile_command};
pub use cpu::{cores, process_cpu_time_s, thread_cpu_time_s};
pub use error::ProfilerError;
pub use flame::{flame_graph_svg, folded_stacks};
pub use host::host;
pub use leak::{
    LeakConfig, LeakReport, LeakVerdict, SimpleRule, epoch_growth_rule, first_run_rule, leak_report,
};
pub use machine::{RoofBudget, RoofOutcome, measure_roof, measure_roof_within};
pub use memory::{anon_rss_bytes, peak_rss_bytes, reset_peak_rss, rss_bytes};
pub use monitor::{MAX_LABELS, OTHER_LABELS, ProductionMonitor, RequestGuard, RequestReport};
pub use nvml::{Gpu, GpuReading, gpus};
pub use profile::{Profile, profile, profiler_warnings};
pub use prometheus::prometheus_text;
pub use sampler::Sampler;
pub use scope::{
    Flow, MAX_DYNAMIC_NAMES, MAX_SCOPES_PER_THREAD, OTHER_NAMES, ScopeAllocs, ScopeGuard,
    ScopedFuture, Trace, TraceEvent, TraceKind, calibrate_scope_cost, disable_trace,
    dynamic_names_refused, enable, enable_trace, is_enabled, scope, scope_calls_total, scope_field,
    scope_named, scopes_dropped, take_scope_allocs, take_scopes, take_trace, track_scope_allocs,
};
pub use sensors::{
    ContextSwitches, CpuTimes, EnergyReading, PageFaults, Pressure, ProcessIo, Resource, Traffic,
    co2_g, context_switches, cpu_frequency_hz, cpu_times, disk_traffic, energy, load_average,
    network_traffic, page_faults, pressure, process_io, temperature_celsius,
};
pub use unavailable::Unavailable;
