use burn_tensor::{Tensor, TensorData, backend::Backend};

use super::single;
use crate::indicator::real;

/// Share of a value in an average below which it counts as none.
pub(super) const SMALLEST_SHARE: f64 = 1e-25;

/// An exponential average of `n` values as a matrix `[n, n - first]`: column `j` holds the weight
/// of each value in the average at `first + j`, where `first = skip + period - 1` is the first one
/// that is not null. The first `skip` values are left out, the next `period` seed it with their
/// plain mean. `None` when `n` values do not get past the warm-up.
pub(super) fn average<B: Backend>(
    n: usize,
    (skip, period): (usize, usize),
    weight: f64,
    device: &B::Device,
) -> Option<Tensor<B, 2>> {
    let first = skip.checked_add(period)? - 1;
    let columns = n.checked_sub(first).filter(|columns| *columns > 0)?;
    let mut values = vec![0.0_f32; n * columns];
    for column in 0..columns {
        let at = first + column;
        let mut left = 1.0;
        for row in (first + 1..=at).rev() {
            values[row * columns + column] = single(left * weight);
            left *= 1.0 - weight;
            // Too little to show in single precision, and soon a subnormal number.
            if left < SMALLEST_SHARE {
                left = 0.0;
                break;
            }
        }
        for row in skip..=first {
            values[row * columns + column] = single(left / real(period));
        }
    }
    Some(Tensor::from_data(TensorData::new(values, [n, columns]), device))
}
