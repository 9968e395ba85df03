//! The softmax losses as single tensor operations: what runs on a GPU, and what the closed form
//! of the CPU is checked against. Arguments and results are those of the functions of the same
//! name in [`loss`](super).

use burn_tensor::{Bool, Tensor, backend::Backend};

use super::{MASKED, Scale, diagonal, log_sum_exp, masked, normalise, similarities};

/// As [`loss::info_nce`](super::info_nce).
pub fn info_nce<B: Backend>(
    za: Tensor<B, 2>,
    zp: Tensor<B, 2>,
    scale: &Scale<B>,
    ignore: Option<Tensor<B, 2, Bool>>,
) -> Tensor<B, 1> {
    let (u, v) = (normalise(za), normalise(zp));
    rows_to_own_column(masked(similarities(u, v, scale), ignore))
}

/// As [`loss::symmetric_info_nce`](super::symmetric_info_nce).
pub fn symmetric_info_nce<B: Backend>(
    za: Tensor<B, 2>,
    zp: Tensor<B, 2>,
    scale: &Scale<B>,
    ignore: Option<Tensor<B, 2, Bool>>,
) -> Tensor<B, 1> {
    let (u, v) = (normalise(za), normalise(zp));
    let s = masked(similarities(u, v, scale), ignore);
    (rows_to_own_column(s.clone()) + rows_to_own_column(s.transpose())).mul_scalar(0.5)
}

/// As [`loss::nt_xent`](super::nt_xent).
pub fn nt_xent<B: Backend>(
    za: Tensor<B, 2>,
    zp: Tensor<B, 2>,
    scale: &Scale<B>,
    ignore: Option<Tensor<B, 2, Bool>>,
) -> Tensor<B, 1> {
    let [n, _] = za.dims();
    let device = za.device();
    let z = normalise(Tensor::cat(vec![za, zp], 0));
    let s = similarities(z.clone(), z, scale);
    // The partner of view i is n places away, on the diagonal of the swapped halves.
    let swapped = Tensor::cat(
        vec![s.clone().slice([0..2 * n, n..2 * n]), s.clone().slice([0..2 * n, 0..n])],
        1,
    );
    let positive = diagonal(swapped);
    let own = Tensor::<B, 2>::eye(2 * n, &device).bool();
    let s = masked(s.mask_fill(own, MASKED), ignore);
    (log_sum_exp(s) - positive).squeeze_dim(1)
}

fn rows_to_own_column<B: Backend>(s: Tensor<B, 2>) -> Tensor<B, 1> {
    (log_sum_exp(s.clone()) - diagonal(s)).squeeze_dim(1)
}
