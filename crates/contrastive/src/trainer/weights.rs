//! Arithmetic on lists of arrays, whatever their ranks.

use burn_tensor::{
    Tensor,
    backend::{AutodiffBackend, Backend},
};

use crate::encoder::Weight;

/// A weight that collects its gradient.
pub(super) fn tracked<A: AutodiffBackend>(weight: &Weight<A::InnerBackend>) -> Weight<A> {
    match weight {
        Weight::Matrix(t) => Weight::Matrix(Tensor::from_inner(t.clone()).require_grad()),
        Weight::Vector(t) => Weight::Vector(Tensor::from_inner(t.clone()).require_grad()),
    }
}

/// The gradients of tracked weights; `None` where none came.
pub(super) fn take_gradients<A: AutodiffBackend>(
    leaves: Vec<Weight<A>>,
    gradients: &mut A::Gradients,
) -> Vec<Option<Weight<A::InnerBackend>>> {
    leaves
        .into_iter()
        .map(|leaf| match leaf {
            Weight::Matrix(t) => t.grad_remove(gradients).map(Weight::Matrix),
            Weight::Vector(t) => t.grad_remove(gradients).map(Weight::Vector),
        })
        .collect()
}

/// Adds gradients array by array.
pub(super) fn add<B: Backend>(into: &mut [Option<Weight<B>>], other: Vec<Option<Weight<B>>>) {
    for (sum, term) in into.iter_mut().zip(other) {
        *sum = match (sum.take(), term) {
            (Some(a), Some(b)) => Some(zip(a, b, Sum)),
            (a, b) => a.or(b),
        };
    }
}

/// Multiplies gradients by a number.
pub(super) fn scale<B: Backend>(gradients: &mut [Option<Weight<B>>], factor: f32) {
    for gradient in gradients.iter_mut() {
        *gradient = gradient.take().map(|g| match g {
            Weight::Matrix(t) => Weight::Matrix(t.mul_scalar(factor)),
            Weight::Vector(t) => Weight::Vector(t.mul_scalar(factor)),
        });
    }
}

/// `decay · average + (1 - decay) · weight`, in place.
pub(super) fn average<B: Backend>(average: &mut [Weight<B>], weights: &[Weight<B>], decay: f32) {
    for (mean, weight) in average.iter_mut().zip(weights) {
        *mean = zip(mean.clone(), weight.clone(), Mix(decay));
    }
}

/// A way to join two tensors of the same shape.
trait Join {
    fn join<B: Backend, const D: usize>(&self, a: Tensor<B, D>, b: Tensor<B, D>) -> Tensor<B, D>;
}

struct Sum;
struct Mix(f32);

impl Join for Sum {
    fn join<B: Backend, const D: usize>(&self, a: Tensor<B, D>, b: Tensor<B, D>) -> Tensor<B, D> {
        a + b
    }
}

impl Join for Mix {
    fn join<B: Backend, const D: usize>(&self, a: Tensor<B, D>, b: Tensor<B, D>) -> Tensor<B, D> {
        a.mul_scalar(self.0) + b.mul_scalar(1.0 - self.0)
    }
}

fn zip<B: Backend>(a: Weight<B>, b: Weight<B>, join: impl Join) -> Weight<B> {
    match (a, b) {
        (Weight::Matrix(a), Weight::Matrix(b)) => Weight::Matrix(join.join(a, b)),
        (Weight::Vector(a), Weight::Vector(b)) => Weight::Vector(join.join(a, b)),
        _ => unreachable!("arrays at the same place have the same rank"),
    }
}
