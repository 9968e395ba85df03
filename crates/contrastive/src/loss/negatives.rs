use burn_tensor::{Bool, Tensor, backend::Backend};

use super::{MASKED, Scale, diagonal, log_sum_exp, masked, normalise, similarities};

/// InfoNCE with explicit negatives, such as a memory queue (He et al., 2020), one value per anchor.
///
/// With `in_batch` the other positives of the batch are negatives too, without it only the given
/// ones are.
///
/// # Shapes
/// `za`, `zp`: `[B, D]`; `negatives`: `[M, D]`, raw, shared by all anchors; result `[B]`.
pub fn info_nce_with_negatives<B: Backend>(
    za: Tensor<B, 2>,
    zp: Tensor<B, 2>,
    negatives: Tensor<B, 2>,
    scale: &Scale<B>,
    in_batch: bool,
) -> Tensor<B, 1> {
    let (u, v) = (normalise(za), normalise(zp));
    let extra = similarities(u.clone(), normalise(negatives), scale);
    let own = if in_batch { similarities(u, v, scale) } else { scale.apply((u * v).sum_dim(1)) };
    let positive = if in_batch { diagonal(own.clone()) } else { own.clone() };
    let all = Tensor::cat(vec![own, extra], 1);
    (log_sum_exp(all) - positive).squeeze_dim(1)
}

/// Decoupled contrastive loss (Yeh et al., 2022), symmetric, one value per pair; can be negative.
///
/// The positive leaves the denominator, which holds the `2 B - 2` negatives from both views. Needs
/// `B` of at least 2.
///
/// # Shapes
/// `za`, `zp`: `[B, D]`; `ignore`: `[B, B]`, symmetric; result `[B]`.
pub fn decoupled<B: Backend>(
    za: Tensor<B, 2>,
    zp: Tensor<B, 2>,
    scale: &Scale<B>,
    ignore: Option<Tensor<B, 2, Bool>>,
) -> Tensor<B, 1> {
    let [n, _] = za.dims();
    let own = Tensor::<B, 2>::eye(n, &za.device()).bool();
    let (u, v) = (normalise(za), normalise(zp));
    let cross = similarities(u.clone(), v.clone(), scale);
    let positive = diagonal(cross.clone());
    let negatives = |s: Tensor<B, 2>| masked(s.mask_fill(own.clone(), MASKED), ignore.clone());
    let direction = |within: Tensor<B, 2>, across: Tensor<B, 2>| {
        log_sum_exp(Tensor::cat(vec![negatives(within), negatives(across)], 1))
    };
    let from_a = direction(similarities(u.clone(), u, scale), cross.clone());
    let from_p = direction(similarities(v.clone(), v, scale), cross.transpose());
    ((from_a + from_p).mul_scalar(0.5) - positive).squeeze_dim(1)
}
