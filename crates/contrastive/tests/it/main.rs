//! Losses against independent values, and training as its users see it.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "tests with small numbers"
)]

mod closed_form;
mod damage;
mod evaluate;
mod golden;
mod loading;
mod operations;
mod ranks;
mod resume;
mod split;
mod train;

use lob_fixtures::evidence;

/// For the tests that count what reading costs.
#[global_allocator]
static ALLOCATOR: lob_scope::CountingAllocator = lob_scope::CountingAllocator;

use burn_autodiff::Autodiff;
use burn_flex::Flex;
use burn_tensor::{Tensor, TensorData};

/// The backend of all tests; each further one would cost a compilation of burn.
pub(crate) type Back = Autodiff<Flex>;

/// Rows of equal length as a tensor that collects gradients.
pub(crate) fn leaf(rows: &[Vec<f32>]) -> Tensor<Back, 2> {
    let shape = [rows.len(), rows.first().map_or(0, Vec::len)];
    let data = TensorData::new(rows.concat(), shape);
    Tensor::from_data(data, &Default::default()).require_grad()
}

/// The gradient of a leaf, zeros where none reached it.
pub(crate) fn gradient(
    leaf: &Tensor<Back, 2>,
    gradients: &<Back as burn_tensor::backend::AutodiffBackend>::Gradients,
) -> Vec<f32> {
    leaf.grad(gradients).map_or_else(
        || vec![0.0; leaf.shape().num_elements()],
        |g| g.into_data().into_vec().unwrap(),
    )
}

/// A one-value tensor as a number.
pub(crate) fn value(t: &Tensor<Back, 1>) -> f32 {
    t.clone().into_data().into_vec::<f32>().unwrap()[0]
}
