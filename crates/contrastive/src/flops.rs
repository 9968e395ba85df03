//! Floating-point operations of the layers encoders are made of, counted from their sizes.
//!
//! A multiplication and an addition are two operations, as in the peak figures of hardware and in
//! [`lob_metrics::Roof::gemm_flop_per_s`]. Sizes are those of the layers' shapes; the counts are those
//! of the textbook loops, exact up to 2^64.
//!
//! ```
//! use lob_contrastive::flops;
//! // Linear(784, 512), ReLU, Linear(512, 10) on a batch of 32.
//! let forward = flops::dense(32, 784, 512, true)
//!     + flops::activation(32 * 512, 1)
//!     + flops::dense(32, 512, 10, true);
//! assert_eq!(forward, 26_050_880);
//! ```

/// A fully connected layer: `batch` rows of `inputs` values to `outputs` values.
#[must_use]
pub const fn dense(batch: usize, inputs: usize, outputs: usize, bias: bool) -> u64 {
    convolution(batch, [inputs, outputs], [1, 1], 1, bias)
}

/// A convolution without groups: `channels` in and out, a kernel of height and width, and the
/// `positions` of its output, of which each has a value per channel.
#[must_use]
pub const fn convolution(
    batch: usize,
    channels: [usize; 2],
    kernel: [usize; 2],
    positions: usize,
    bias: bool,
) -> u64 {
    let values = (batch * channels[1] * positions) as u64;
    let taps = (channels[0] * kernel[0] * kernel[1]) as u64;
    values * (2 * taps + bias as u64)
}

/// An element-wise activation of `per_value` operations: 1 for ReLU, about 8 for GELU by tanh,
/// which is a convention and no measurement.
#[must_use]
pub const fn activation(values: usize, per_value: u64) -> u64 {
    per_value * values as u64
}

/// Forward and backward pass together: the backward pass of a product is two products of the same
/// size, so three times the forward pass (Kaplan et al. 2020, section 2.1).
#[must_use]
pub const fn train_step(forward: u64) -> u64 {
    3 * forward
}

/// Operations per parameter; `None` without parameters.
#[must_use]
pub fn per_parameter(flops: u64, parameters: usize) -> Option<f64> {
    (parameters > 0).then(|| flops as f64 / parameters as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts the multiplications and additions of the plain loops.
    fn plain_loops(channels: [usize; 2], kernel: usize, positions: usize) -> u64 {
        let mut operations = 0;
        for _output in 0..channels[1] * positions {
            for _tap in 0..channels[0] * kernel {
                operations += 2;
            }
            operations += 1;
        }
        operations
    }

    #[test]
    fn layers_count_what_their_loops_do() {
        assert_eq!(dense(32, 784, 512, true), 32 * (2 * 784 * 512 + 512));
        assert_eq!(dense(1, 3, 2, false), 12);
        assert_eq!(convolution(1, [4, 6], [1, 3], 10, true), plain_loops([4, 6], 3, 10));
        assert_eq!(convolution(2, [1, 1], [2, 3], 20, false), 2 * 20 * 12);
        assert_eq!(train_step(dense(1, 3, 2, false)), 36);
    }

    #[test]
    fn the_network_of_the_seed_document_counts_by_hand() {
        // Linear(784, 512), ReLU, Linear(512, 10), batch 32.
        let forward =
            dense(32, 784, 512, true) + activation(32 * 512, 1) + dense(32, 512, 10, true);
        assert_eq!(forward, 26_050_880);
        let parameters = 784 * 512 + 512 + 512 * 10 + 10;
        assert_eq!(per_parameter(forward, parameters), Some(26_050_880.0 / 407_050.0));
        assert_eq!(per_parameter(forward, 0), None);
    }
}
