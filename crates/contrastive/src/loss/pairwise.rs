use burn_tensor::{Bool, Tensor, TensorData, activation::log_sigmoid, backend::Backend};

use super::{MASKED, Scale, log_sum_exp, normalise};

/// A supervised contrastive loss and how many anchors it stands for.
#[derive(Debug, Clone)]
pub struct SupCon<B: Backend> {
    /// Mean over the anchors that have a positive, shape `[1]`; 0 when there is none.
    pub loss: Tensor<B, 1>,
    /// Anchors that were skipped because nothing shares their label.
    pub n_skipped: usize,
}

/// Supervised contrastive loss (Khosla et al., 2020, eq. 2, `L_out`, no base temperature).
///
/// Everything with the anchor's label is a positive, everything but the anchor stands in the
/// denominator.
///
/// # Shapes
/// `z`: `[N, D]`; `labels`: `N` values.
///
/// # Panics
/// When `labels` does not have `N` values.
#[expect(clippy::cast_precision_loss, reason = "batch sizes are far below 2^24")]
pub fn sup_con<B: Backend>(z: Tensor<B, 2>, labels: &[i64], scale: &Scale<B>) -> SupCon<B> {
    let [n, _] = z.dims();
    assert_eq!(labels.len(), n, "one label a row");
    let device = z.device();
    let mut weights = vec![0.0_f32; n * n];
    let mut n_skipped = 0;
    for (i, row) in weights.chunks_exact_mut(n).enumerate() {
        let is_positive = |j: usize| j != i && labels[j] == labels[i];
        let count = (0..n).filter(|&j| is_positive(j)).count();
        n_skipped += usize::from(count == 0);
        row.iter_mut()
            .enumerate()
            .filter(|(j, _)| is_positive(*j))
            .for_each(|(_, w)| *w = 1.0 / count as f32);
    }
    let used = n - n_skipped;
    let weights = Tensor::<B, 2>::from_data(TensorData::new(weights, [n, n]), &device);
    let z = normalise(z);
    let s = scale.apply(z.clone()).matmul(z.transpose());
    let own = Tensor::<B, 2>::eye(n, &device).bool();
    let log_probability = s.clone() - log_sum_exp(s.mask_fill(own, MASKED));
    let loss = (log_probability * weights).sum().neg().div_scalar(used.max(1) as f32);
    SupCon { loss, n_skipped }
}

/// Sigmoid loss for pairs (Zhai et al., 2023, algorithm 1): `-1/B Σ_ij ln σ(±(t cos_ij + b))`,
/// plus on the diagonal.
///
/// # Shapes
/// `za`, `zp`: `[B, D]`; `t` (above 0) and `bias`: `[1]`; `ignore`: `[B, B]`, pairs to leave out;
/// result `[1]`.
#[expect(clippy::cast_precision_loss, reason = "batch sizes are far below 2^24")]
pub fn sig_lip<B: Backend>(
    za: Tensor<B, 2>,
    zp: Tensor<B, 2>,
    t: Tensor<B, 1>,
    bias: Tensor<B, 1>,
    ignore: Option<Tensor<B, 2, Bool>>,
) -> Tensor<B, 1> {
    let [n, _] = za.dims();
    let sign = Tensor::<B, 2>::eye(n, &za.device()).mul_scalar(2.0).sub_scalar(1.0);
    let cosine = normalise(za).matmul(normalise(zp).transpose());
    let logits = cosine * t.unsqueeze::<2>() + bias.unsqueeze::<2>();
    let terms = log_sigmoid(logits * sign);
    let terms = match ignore {
        Some(ignore) => terms.mask_fill(ignore, 0.0),
        None => terms,
    };
    terms.sum().neg().div_scalar(n as f32)
}
