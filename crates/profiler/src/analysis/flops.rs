//! Floating-point operations of the layers encoders are made of.
//!
//! A multiplication and an addition are two operations, as in the peak figures of hardware and in
//! [`lob_metrics::Roof::gemm_flop_per_s`]. Sizes are as in the layers' shapes; results are exact
//! counts of the textbook formulas, as f64 because they outgrow 2^53 only where an ulp does not
//! matter.

use std::sync::atomic::{AtomicU64, Ordering};

/// A fully connected layer: `batch` rows of `inputs` to `outputs` values.
#[must_use]
pub fn dense_flops(batch: usize, inputs: usize, outputs: usize, bias: bool) -> f64 {
    let products = 2.0 * batch as f64 * inputs as f64 * outputs as f64;
    products + if bias { batch as f64 * outputs as f64 } else { 0.0 }
}

/// A one-dimensional convolution with `output_len` positions per output channel. `in_channels` is
/// divided by `groups`; nought groups count as one.
#[must_use]
pub fn conv1d_flops(
    batch: usize,
    in_channels: usize,
    out_channels: usize,
    kernel: usize,
    output_len: usize,
    groups: usize,
    bias: bool,
) -> f64 {
    conv2d_flops(batch, in_channels, out_channels, [1, kernel], [1, output_len], groups, bias)
}

/// A two-dimensional convolution: `kernel` and `output` are height and width.
#[must_use]
pub fn conv2d_flops(
    batch: usize,
    in_channels: usize,
    out_channels: usize,
    kernel: [usize; 2],
    output: [usize; 2],
    groups: usize,
    bias: bool,
) -> f64 {
    let values = batch as f64 * out_channels as f64 * output[0] as f64 * output[1] as f64;
    let taps = in_channels as f64 / groups.max(1) as f64 * kernel[0] as f64 * kernel[1] as f64;
    values * (2.0 * taps + if bias { 1.0 } else { 0.0 })
}

/// A layer (or batch, in training) normalisation over `values` values: sum, centring, squares and
/// their sum, scaling, and an affine map of two operations: seven each. The few operations per
/// group are left out.
#[must_use]
pub fn layer_norm_flops(values: usize) -> f64 {
    7.0 * values as f64
}

/// A batch normalisation with fixed statistics: one multiplication and one addition a value.
#[must_use]
pub fn batch_norm_inference_flops(values: usize) -> f64 {
    2.0 * values as f64
}

/// An element-wise activation of `per_value` operations: 1 for ReLU, about 8 for GELU by tanh,
/// which is a convention and no measurement.
#[must_use]
pub fn activation_flops(values: usize, per_value: usize) -> f64 {
    per_value as f64 * values as f64
}

/// The symmetric InfoNCE loss over `batch` pairs of `dim` values: normalising both sides (3 a
/// value), the product, the division by the temperature, and two softmaxes of 4 a similarity.
#[must_use]
pub fn infonce_flops(batch: usize, dim: usize) -> f64 {
    let (batch, dim) = (batch as f64, dim as f64);
    2.0 * 3.0 * batch * dim + 2.0 * batch * batch * dim + (1.0 + 2.0 * 4.0) * batch * batch
}

/// A step of AdamW over `parameters`: 14 operations each (Loshchilov and Hutter 2019, algorithm 2:
/// two moments at 3 and 4, their corrections at 2, root, sum and quotient at 3, decay and update
/// at 2).
#[must_use]
pub fn optimiser_flops(parameters: usize) -> f64 {
    14.0 * parameters as f64
}

/// Forward and backward pass together: the backward pass of a product is two products of the same
/// size, so three times the forward pass (Kaplan et al. 2020, section 2.1).
#[must_use]
pub fn train_step_flops(forward: f64) -> f64 {
    3.0 * forward
}

/// Operations per parameter; `None` without parameters.
#[must_use]
pub fn flops_per_param(flops: f64, parameters: usize) -> Option<f64> {
    (parameters > 0 && flops.is_finite()).then(|| flops / parameters as f64)
}

static COUNTED: AtomicU64 = AtomicU64::new(0);

/// Adds operations to the count of this process; one atomic addition, meant for a layer or a step
/// and not for a multiplication.
pub fn count_flops(flops: u64) {
    COUNTED.fetch_add(flops, Ordering::Relaxed);
}

/// Operations counted by [`count_flops`] since the process began; take two readings and subtract.
#[must_use]
pub fn flops_counted() -> u64 {
    COUNTED.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts the multiplications and additions of the plain loops.
    fn plain_conv(channels: [usize; 2], kernel: usize, output_len: usize, groups: usize) -> f64 {
        let mut operations = 0u32;
        for _output in 0..channels[1] * output_len {
            for _tap in 0..channels[0] / groups * kernel {
                operations += 2;
            }
            operations += 1;
        }
        f64::from(operations)
    }

    fn same(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-6, "{a} against {b}");
    }

    #[test]
    fn layers_count_what_their_loops_do() {
        same(dense_flops(32, 784, 512, true), 32.0 * (2.0 * 784.0 * 512.0 + 512.0));
        same(dense_flops(1, 3, 2, false), 12.0);
        same(conv1d_flops(1, 4, 6, 3, 10, 1, true), plain_conv([4, 6], 3, 10, 1));
        same(conv1d_flops(1, 4, 6, 3, 10, 2, true), plain_conv([4, 6], 3, 10, 2));
        same(conv2d_flops(2, 1, 1, [2, 3], [4, 5], 1, false), 2.0 * 20.0 * 12.0);
        same(conv1d_flops(1, 4, 6, 3, 10, 0, true), plain_conv([4, 6], 3, 10, 1));
        same(train_step_flops(dense_flops(1, 3, 2, false)), 36.0);
        same(infonce_flops(2, 3), 36.0 + 24.0 + 36.0);
        assert_eq!(flops_per_param(100.0, 50), Some(2.0));
        assert_eq!(flops_per_param(100.0, 0), None);
    }

    #[test]
    fn the_network_of_the_seed_document_counts_by_hand() {
        // Linear(784, 512), ReLU, Linear(512, 10), batch 32.
        let forward = dense_flops(32, 784, 512, true)
            + activation_flops(32 * 512, 1)
            + dense_flops(32, 512, 10, true);
        same(forward, 26_050_880.0);
        let parameters = 784 * 512 + 512 + 512 * 10 + 10;
        same(flops_per_param(forward, parameters).unwrap(), 26_050_880.0 / 407_050.0);
    }

    #[test]
    fn counting_adds_up() {
        let before = flops_counted();
        count_flops(7);
        count_flops(5);
        assert!(flops_counted() >= before + 12);
    }
}
