//! Scopes, memory and system sensors, and the measured limits of the machine.
//!
//! - [`scope`] times nested stretches of code for the price of two clock reads; [`take_scopes`]
//!   hands out calls, total and self time and percentiles per path.
//! - Sensors such as [`rss_bytes`] and [`process_cpu_time_s`] return a value or an
//!   [`Unavailable`] with its reason, never a made-up zero; a [`Sampler`] turns them into series.
//! - [`measure_roof`] measures what the machine can do at best, so that a figure can be given as a
//!   share of a limit; [`host`] says which machine it was.
//! - [`CountingAllocator`] counts allocations when a program opts in.
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
mod clock;
mod cpu;
mod host;
mod machine;
mod memory;
mod procfs;
mod sampler;
mod scope;
mod sketch;
mod unavailable;

pub use alloc::{AllocStats, CountingAllocator, alloc_stats, reset_alloc_peak, thread_alloc_stats};
pub use cpu::{cores, process_cpu_time_s, thread_cpu_time_s};
pub use host::host;
pub use machine::{RoofBudget, RoofOutcome, measure_roof, measure_roof_within};
pub use memory::{anon_rss_bytes, peak_rss_bytes, reset_peak_rss, rss_bytes};
pub use sampler::Sampler;
pub use scope::{
    MAX_SCOPES_PER_THREAD, ScopeGuard, calibrate_scope_cost, enable, is_enabled, scope,
    scope_calls_total, scopes_dropped, take_scopes,
};
pub use unavailable::Unavailable;
