//! What measured figures mean: bottlenecks, the batch size, readiness, costs.
//!
//! Everything here is arithmetic over values somebody measured; a value that is absent makes a
//! verdict absent, never good.

mod batch;
mod cost;
mod diagnose;
mod readiness;

pub use batch::{BatchChoice, BatchPoint, best_batch, sweep_batches};
pub use cost::{CostEstimate, FeatureCost, cost_estimate, expensive_features};
pub use diagnose::{Diagnosis, Observed, diagnose};
pub use readiness::{Readiness, ReadinessCheck, Requirements, ServiceFigures, readiness};
