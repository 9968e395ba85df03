//! Contrastive losses on any burn backend, differentiable on an autodiff one.
//!
//! `B` is the batch size, `D` the embedding width. Embeddings come in raw; every loss normalises
//! them itself. Except for [`sig_lip`] and [`sup_con`], a loss gives one value per row, so that
//! hard samples can be found; its mean is the loss.

mod info_nce;
mod normalise;
mod pairwise;

pub use info_nce::{decoupled, info_nce, info_nce_with_negatives, nt_xent, symmetric_info_nce};
pub use normalise::normalise;
pub use pairwise::{SupCon, sig_lip, sup_con};

use burn::tensor::{Tensor, backend::Backend};

/// The softmax temperature as the losses take it.
#[derive(Debug, Clone)]
pub enum Scale<B: Backend> {
    /// A constant temperature `tau`, above 0.
    Fixed(f32),
    /// `s = ln(1 / tau)`, shape `[1]`.
    Learned(Tensor<B, 1>),
}

impl<B: Backend> Scale<B> {
    /// `x / tau`.
    pub(crate) fn apply(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        match self {
            Scale::Fixed(tau) => x.div_scalar(*tau),
            Scale::Learned(s) => x.mul(s.clone().exp().unsqueeze::<2>()),
        }
    }
}

/// Stands in for minus infinity: its exponential is exactly 0, and it survives a subtraction.
pub(crate) const MASKED: f32 = -1e30;

/// `ln Σ_j exp(x_ij)` by row, shape `[rows, 1]`.
pub(crate) fn log_sum_exp<B: Backend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    let max = x.clone().max_dim(1).detach();
    (x - max.clone()).exp().sum_dim(1).log() + max
}
