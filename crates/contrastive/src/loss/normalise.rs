use burn_tensor::{Tensor, backend::Backend};

use super::SHORT_ROW;

/// Divides each row of `z` (`[B, D]`) by its Euclidean norm.
///
/// Rows are first divided by their largest absolute value, so that neither huge (3e19) nor tiny
/// norms overflow or vanish when squared. A row with a norm below 1e-12 is divided by 1e-12 and
/// treated as constant.
pub fn normalise<B: Backend>(z: Tensor<B, 2>) -> Tensor<B, 2> {
    let largest = z.clone().detach().max_abs_dim(1);
    let divisor = largest.clone().clamp_min(f32::MIN_POSITIVE);
    let y = z.clone() / divisor;
    let squares = y.clone().powi_scalar(2).sum_dim(1);
    // A zero row has a sum of 0, where the root has no gradient: 1 stands in.
    let empty = squares.clone().detach().equal_elem(0.0);
    let norm = squares.mask_fill(empty, 1.0).sqrt();
    let short = (norm.clone().detach() * largest).lower_elem(SHORT_ROW);
    let [_, dim] = z.dims();
    let tiny = z.detach().div_scalar(SHORT_ROW);
    (y / norm).mask_where(short.repeat_dim(1, dim), tiny)
}
