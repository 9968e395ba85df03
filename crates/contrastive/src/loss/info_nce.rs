use burn_tensor::{Bool, Tensor, backend::Backend};

use super::{Scale, plain};
use crate::fused::{Contrast, softmax_loss};

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
    softmax_loss(&za, &zp, scale, ignore.as_ref(), Contrast::OneWay)
        .unwrap_or_else(|| plain::info_nce(za, zp, scale, ignore))
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
    softmax_loss(&za, &zp, scale, ignore.as_ref(), Contrast::Symmetric)
        .unwrap_or_else(|| plain::symmetric_info_nce(za, zp, scale, ignore))
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
    softmax_loss(&za, &zp, scale, ignore.as_ref(), Contrast::AllViews)
        .unwrap_or_else(|| plain::nt_xent(za, zp, scale, ignore))
}
