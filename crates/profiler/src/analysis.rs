//! What measured figures mean: operations, roofs, bottlenecks, readiness, costs.
//!
//! Everything here is arithmetic over values somebody measured; a value that is absent makes a
//! verdict absent, never good.

mod batch;
mod compare;
mod cost;
mod diagnose;
mod flops;
mod readiness;
mod roofline;

pub use batch::{BatchChoice, BatchPoint, best_batch, sweep_batches};
pub use compare::{RunFigures, comparison_table, rank_by_throughput};
pub use cost::{CostEstimate, FeatureCost, cost_estimate, expensive_features};
pub use diagnose::{Diagnosis, Observed, diagnose};
pub use flops::{
    activation_flops, batch_norm_inference_flops, conv1d_flops, conv2d_flops, count_flops,
    dense_flops, flops_counted, flops_per_param, infonce_flops, layer_norm_flops, optimiser_flops,
    train_step_flops,
};
pub use readiness::{Readiness, ReadinessCheck, Requirements, ServiceFigures, readiness};
pub use roofline::{Roofline, RooflineBound, RooflineReport, Work};

/// Share of the time an accelerator computes instead of waiting for data, 0..=1; `None` for times
/// that are negative, not finite or nought together.
///
/// The benchmark of MLPerf Storage calls it accelerator utilisation.
#[must_use]
pub fn accelerator_utilisation(compute_s: f64, wait_s: f64) -> Option<f64> {
    let share = compute_s / (compute_s + wait_s);
    (compute_s >= 0.0 && wait_s >= 0.0 && share.is_finite()).then_some(share)
}

/// Accelerator utilisation at which a loader is fast enough.
pub const ACCELERATOR_UTILISATION_PASS: f64 = 0.9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_lowers_the_utilisation() {
        assert_eq!(accelerator_utilisation(9.0, 1.0), Some(0.9));
        assert_eq!(accelerator_utilisation(1.0, 0.0), Some(1.0));
        for (compute_s, wait_s) in
            [(0.0, 0.0), (-1.0, 2.0), (1.0, -0.5), (f64::NAN, 1.0), (f64::INFINITY, 1.0)]
        {
            assert_eq!(accelerator_utilisation(compute_s, wait_s), None);
        }
    }
}
