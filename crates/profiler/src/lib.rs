//! Work and programs measured from every side, and the measured limits of the machine.
//!
//! - [`profile`] measures a closure: time, memory, scopes, allocations, counters of the CPU;
//!   [`profile_command`] measures any other program from outside, [`CommandCost`] only takes the
//!   kernel's accounts of it.
//! - Sensors such as [`pressure`], [`gpus`] and [`process_io`] return a value or a
//!   [`lob_scope::Unavailable`] with its reason, never a made-up zero; a [`Sampler`] turns the cheap
//!   ones into series, and [`leak_report`] judges the growth of memory. [`MemoryScope`] gives a
//!   stretch of work its own memory peak.
//! - [`machine::measure_roof_within`] measures what the machine can do at best, so that a figure can be given as a
//!   share of a limit; [`host`] says which machine it was.
//! - [`LineProfiler`] samples which lines the CPU time goes to, [`track_alloc_sites`] which lines
//!   allocate, and [`HardwareCounters`] reads what the CPU counts, where the kernel allows it.
//! - [`flame_graph_svg`] draws scopes, [`otlp_json`] turns a trace into spans of OpenTelemetry.
//! - [`diagnose`], [`best_batch`] and [`readiness()`] say what the figures mean.
//!
//! Scopes, traces and the counting allocator are in [`lob_scope`], which is all that a library
//! needs; it is re-exported here under that name. Alerts, request latencies and Prometheus pages
//! are in `lob-watch`.
//!
//! Feature `lines`: sampling of stacks.
//!
//! ```
//! use std::time::Duration;
//! let (sum, profile) = lob_profiler::profile("sum", Duration::from_millis(5), || {
//!     let _part = lob_scope::scope("part");
//!     (0..1000u64).sum::<u64>()
//! });
//! assert_eq!((sum, profile.scopes[1].path.as_str()), (499_500, "sum/part"));
//! ```

mod analysis;
mod command;
mod error;
mod flame;
mod host;
pub mod key_averages;
mod leak;
pub mod machine;
mod memory_scope;
mod nvml;
mod otlp;
mod perf;
mod profile;
mod sampler;
pub mod schedule;
mod sensors;
pub mod stacks;
mod trace_format;

pub use lob_scope;
pub use lob_scope::{count_flops, flops_counted};

pub use analysis::{
    BatchChoice, BatchPoint, CostEstimate, Diagnosis, FeatureCost, Observed, Readiness,
    ReadinessCheck, Requirements, ServiceFigures, best_batch, cost_estimate, diagnose,
    expensive_features, readiness, sweep_batches,
};
pub use command::{
    Bound, CommandCost, CommandOptions, CommandProfile, profile_command, profile_command_with,
};
pub use error::ProfilerError;
pub use flame::{flame_graph_svg, folded_stacks};
pub use host::host;
pub use leak::{
    LeakConfig, LeakReport, LeakVerdict, SimpleRule, epoch_growth_rule, first_run_rule, leak_report,
};
pub use memory_scope::{MemoryScope, ScopeMemory};
pub use nvml::{Gpu, GpuProcess, GpuReading, gpus};
pub use otlp::otlp_json;
pub use perf::{HardwareCounters, HardwareReading};
pub use profile::{
    Profile, ProfileGuard, ProfiledFuture, measurement, profile, profiler_warnings, scope_totals,
};
pub use sampler::Sampler;
pub use sensors::{
    ContextSwitches, CpuTimes, EnergyReading, PageFaults, Pressure, ProcessIo, ProcessReading,
    Resource, SystemMemory, Traffic, co2_g, context_switches, cpu_frequency_hz, cpu_times,
    disk_traffic, energy, load_average, network_traffic, page_faults, pressure, process_io,
    process_reading, system_context_switches, system_memory, temperature_celsius,
};
pub use stacks::{
    AllocProfile, AllocSites, HOT_LINE, LineProfile, LineProfiler, track_alloc_sites,
};
pub use trace_format::TraceFormat;
