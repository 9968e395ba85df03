//! Nested scopes and what they cost, traces, allocation counts, and the clocks and memory of the
//! process: everything a library needs so that a program can profile it, and nothing else. Without
//! optional features the only dependency is `libc`.
//!
//! - [`scope()`] times nested stretches of code for the price of two clock reads; [`take_scopes`]
//!   returns calls, total and self time and percentiles per path. [`enable_trace`] keeps single
//!   calls too; [`Trace::to_chrome_json`] writes them for Perfetto, [`ScopedFuture`] and [`Flow`]
//!   follow work across tasks and threads.
//! - [`CountingAllocator`] counts allocations, also per scope, when a program opts in.
//! - [`process_cpu_time_s`], [`rss_bytes`] and their like return a value or an [`Unavailable`]
//!   with its reason, never a made-up zero.
//!
//! Scopes start switched off and cost one load and a branch then. A library enters scopes; the
//! program it is part of calls [`enable`] and takes the results. `lob-profiler` measures whole
//! stretches of work and other programs on top of this crate.
//!
//! Features: `tracing` (`ScopeLayer`: spans of the `tracing` crate become scopes), `nvtx`
//! (`nvtx_scopes`: scopes become NVTX ranges), `compile-out` (scopes cost nothing, and record
//! nothing).
//!
//! ```
//! lob_scope::enable(true);
//! {
//!     let _work = lob_scope::scope!("work");
//!     let _step = lob_scope::scope!("step");
//! }
//! let scopes = lob_scope::take_scopes();
//! assert_eq!(scopes[1].path, "work/step");
//! assert!(scopes[0].self_s <= scopes[0].total_s);
//! ```

mod alloc;
mod chrome;
mod clock;
mod cpu;
mod flops;
mod heap;
mod memory;
pub mod procfs;
mod scope;
mod sketch;
#[cfg(feature = "tracing")]
mod tracing_layer;
mod unavailable;

pub use alloc::{
    AllocStats, CountingAllocator, alloc_stats, allocations_are_counted, reset_alloc_peak,
    set_alloc_hook, thread_alloc_stats,
};
pub use cpu::{cores, process_cpu_time_s, thread_cpu_time_s};
pub use flops::{count_flops, flops_counted};
pub use heap::keep_freed_memory;
pub use memory::{
    anon_rss_bytes, peak_rss_bytes, reset_peak_rss, resident_and_anonymous_bytes, rss_bytes,
};
pub use scope::{
    Flow, MAX_DYNAMIC_NAMES, MAX_SCOPES_PER_THREAD, MAX_SHAPES_PER_SCOPE, OTHER_NAMES,
    RecordedScopes, ScopeAllocs, ScopeGuard, ScopeRecording, ScopeShapes, ScopeStat, ScopedFuture,
    Trace, TraceEvent, TraceKind, calibrate_scope_cost, disable_trace, dynamic_names_refused,
    enable, enable_trace, is_enabled, record_shapes, scope, scope_calls_total, scope_field,
    scope_named, scope_shape, scopes_dropped, take_scope_allocs, take_scopes, take_trace,
    trace_events_lost, track_scope_allocs,
};
#[cfg(feature = "nvtx")]
pub use scope::{NvtxRange, nvtx_scopes};
pub use sketch::QuantileSketch;
#[cfg(feature = "tracing")]
pub use tracing_layer::ScopeLayer;
pub use unavailable::Unavailable;
