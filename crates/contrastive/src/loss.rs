//! Contrastive losses on any burn backend, differentiable on an autodiff one.
//!
//! `B` is the batch size, `D` the embedding width. Embeddings come in raw; every loss normalises
//! them itself. Except for [`sig_lip`] and [`sup_con`], a loss gives one value per row, so that
//! hard samples can be found; its mean is the loss. On the CPU's autodiff backend the softmax
//! losses run in closed form; [`plain`] has the same ones as single tensor operations.

mod info_nce;
mod negatives;
mod normalise;
mod pairwise;
pub mod plain;

pub use info_nce::{info_nce, nt_xent, symmetric_info_nce};
pub use negatives::{decoupled, info_nce_with_negatives};
pub use normalise::normalise;
pub use pairwise::{SupCon, sig_lip, sup_con};

use burn_tensor::{Bool, Tensor, backend::Backend};

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

/// Rows shorter than this are no direction: they come out as (almost) 0 and get no gradient.
pub(crate) const SHORT_ROW: f32 = 1e-12;

/// `ln Σ_j exp(x_ij)` by row, shape `[rows, 1]`.
fn log_sum_exp<B: Backend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    let max = x.clone().max_dim(1).detach();
    (x - max.clone()).exp().sum_dim(1).log() + max
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
