//! What a training step spends its time in, in closed form on the CPU's own memory.
//!
//! burn's autodiff runs one small operation after the other, each over the whole tensor with a
//! fresh buffer. The operations here are nodes of the same graph, with a backward pass written out:
//! a layer (product, bias, normalisation, activation, dropout) and the softmax losses. They act
//! where the backend is [`Flex`], with or without autodiff; everywhere else the caller's plain
//! tensor operations run, which are also what the tests compare with.

mod dense;
mod kernels;
mod optim;
mod softmax;

use std::any::Any;

use burn_autodiff::Autodiff;
use burn_flex::Flex;
use burn_flex::FlexTensor;
use burn_tensor::ops::FloatTensor;
use burn_tensor::{Tensor, TensorData, TensorPrimitive, backend::Backend};

pub(crate) use dense::{Dropout, Layer, NORM_EPSILON, dense};
pub(crate) use kernels::vectorised;
pub(crate) use optim::{Step, squared_norm, update};
pub(crate) use softmax::{Contrast, softmax_loss};

/// The CPU's training backend.
type Tracked = Autodiff<Flex>;

/// A float tensor inside autodiff's graph.
type Node = FloatTensor<Tracked>;

/// `x` as another name of the same type; `x` again when the types differ.
///
/// Generic code has no other safe way to ask which backend it was compiled for.
fn same_type<T: 'static, U: 'static>(x: T) -> Result<U, T> {
    let mut slot = Some(x);
    let found = (&mut slot as &mut dyn Any).downcast_mut::<Option<U>>().and_then(Option::take);
    found.ok_or_else(|| slot.expect("nothing was taken, for the types differ"))
}

/// Whether tensors of `B` lie in the host's memory and [`same_type`] will find them.
fn is<B: Backend, U: 'static>() -> bool {
    std::any::TypeId::of::<B>() == std::any::TypeId::of::<U>()
}

/// A tensor of the backend `U`, which is `B`.
fn as_backend<B: Backend, U: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<U, D> {
    same_type(x).unwrap_or_else(|_| unreachable!("the caller has compared the backends"))
}

fn primitive<B: Backend, const D: usize>(x: Tensor<B, D>) -> FloatTensor<B> {
    x.into_primitive().tensor()
}

fn from_primitive<B: Backend, const D: usize>(x: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(x))
}

/// Values as a tensor, without a copy.
fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// A tensor whose whole storage is its values in order, ready for [`slice_mut`]. The copy that
/// takes is made only for a strided tensor or a part of one.
fn owned(x: FlexTensor) -> FlexTensor {
    // Shares the storage where nothing has to move; the argument then lets go of it.
    x.to_contiguous()
}

/// The values for writing; a copy only if another tensor still looks at them.
fn slice_mut(x: &mut FlexTensor) -> &mut [f32] {
    x.storage_mut()
}

/// A contiguous tensor of single precision, which [`slice`] can look at.
fn contiguous(x: FlexTensor) -> FlexTensor {
    if x.as_slice::<f32>().is_some() { x } else { x.to_contiguous() }
}

fn slice(x: &FlexTensor) -> &[f32] {
    x.as_slice().expect("`contiguous` has been called")
}

/// A tensor of the CPU's backend as plain values that can be changed in place.
pub(crate) struct HostArray(FlexTensor);

impl HostArray {
    /// Whether tensors of `B` can be had like this.
    pub(crate) fn works_for<B: Backend>() -> bool {
        is::<B, Flex>()
    }

    /// Takes a tensor of a backend that [works](Self::works_for).
    pub(crate) fn take<B: Backend, const D: usize>(x: Tensor<B, D>) -> Self {
        Self(owned(primitive(as_backend::<B, Flex, D>(x))))
    }

    pub(crate) fn give<B: Backend, const D: usize>(self) -> Tensor<B, D> {
        as_backend::<Flex, B, D>(from_primitive(self.0))
    }

    pub(crate) fn slice(&self) -> &[f32] {
        slice(&self.0)
    }

    pub(crate) fn slice_mut(&mut self) -> &mut [f32] {
        slice_mut(&mut self.0)
    }
}
