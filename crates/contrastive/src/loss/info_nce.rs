use burn::tensor::{Bool, Tensor, backend::Backend};

use super::{MASKED, Scale, log_sum_exp, normalise};

/// InfoNCE from anchors to positives (van den Oord et al., 2018, eq. 4), one value per anchor:
/// `-s_ii + ln Σ_j exp(s_ij)` with `s_ij = cos(za_i, zp_j) / tau`.
///
/// # Shapes
/// `za`, `zp`: `[B, D]`; `ignore`: `[B, B]`, true where `zp_j` is no negative of `za_i` (the
/// diagonal must be false); result `[B]`.
pub fn info_nce<B: Backend>(
    za: Tensor<B, 2>,
    zp: Tensor<B, 2>,
    scale: &Scale<B>,
    ignore: Option<Tensor<B, 2, Bool>>,
) -> Tensor<B, 1> {
    let (u, v) = (normalise(za), normalise(zp));
    rows_to_own_column(masked(similarities(u, v, scale), ignore))
}

/// Mean of InfoNCE in both directions, by row (the loss of CLIP, Radford et al., 2021).
///
/// # Shapes
/// As [`info_nce`].
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

/// NT-Xent (Chen et al., 2020, eq. 1), one value per view: every view is an anchor, its partner the
/// positive, all other `2 B - 2` views negatives.
///
/// # Shapes
/// `za`, `zp`: `[B, D]`; `ignore`: `[2 B, 2 B]` in the order anchors, positives; result `[2 B]`.
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

/// `u vᵀ / tau`; the division acts on the smaller factor.
fn similarities<B: Backend>(u: Tensor<B, 2>, v: Tensor<B, 2>, scale: &Scale<B>) -> Tensor<B, 2> {
    scale.apply(u).matmul(v.transpose())
}

fn masked<B: Backend>(s: Tensor<B, 2>, ignore: Option<Tensor<B, 2, Bool>>) -> Tensor<B, 2> {
    match ignore {
        Some(ignore) => s.mask_fill(ignore, MASKED),
        None => s,
    }
}

/// The diagonal as a column, taken from the matrix itself so that it cancels exactly against the
/// same entry in the sum.
fn diagonal<B: Backend>(s: Tensor<B, 2>) -> Tensor<B, 2> {
    let [n, _] = s.dims();
    let eye = Tensor::<B, 2>::eye(n, &s.device());
    (s * eye).sum_dim(1)
}

fn rows_to_own_column<B: Backend>(s: Tensor<B, 2>) -> Tensor<B, 1> {
    (log_sum_exp(s.clone()) - diagonal(s)).squeeze_dim(1)
}
