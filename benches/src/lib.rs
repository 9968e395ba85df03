//! The benchmark suite: scenarios that run every stage of the pipeline on real or synthetic records
//! and leave one [`lob_metrics::Run`] document with its reports.
//!
//! [`Options`] says what to run, [`run_suite`] runs it. Every scenario runs in a process of its own,
//! so that its peak memory is its own and a crash or a time-out is a recorded result;
//! [`run_child`] is what such a process does.
//!
//! ```
//! let ids: Vec<&str> = lob_bench::scenarios().iter().map(|s| s.id).collect();
//! assert!(ids.contains(&"convert.bins") && ids.contains(&"contrastive.train"));
//! ```

mod advice;
mod child;
mod fit;
mod injection;
mod options;
mod reference;
mod scenario;
mod self_test;
mod state;
mod suite;
mod targets;
mod trace;

pub use child::run_child;
pub use options::{Options, Selection};
pub use scenario::{Spec, scenarios};
pub use self_test::{Rates, SelfTest, SelfTestConfig, self_test};
pub use suite::{Outcome, Progress, run_suite};
pub use targets::{default_targets, read_targets};
