use burn_tensor::backend::Backend;

use super::{AdamW, State};
use crate::encoder::Weight;
use crate::precision::LossScale;

/// First and second moment of one array; empty before its first gradient.
pub(crate) type Moments = (Vec<f32>, Vec<f32>);

/// An optimiser between two steps, as plain numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OptimiserState {
    /// Steps taken.
    pub(crate) n_steps: i32,
    /// Moments of each array.
    pub(crate) moments: Vec<Moments>,
    /// Loss scale of half precision.
    pub(crate) loss_scale: Option<LossScale>,
}

impl<B: Backend> AdamW<B> {
    /// What a checkpoint needs.
    pub(crate) fn state(&self) -> OptimiserState {
        let moments = match &self.state {
            State::Host(moments) => moments.clone(),
            State::Device(moments) => {
                let plain = |pair: &Option<(Weight<B>, Weight<B>)>| match pair {
                    Some((m, v)) => (m.clone().download(), v.clone().download()),
                    None => (Vec::new(), Vec::new()),
                };
                moments.iter().map(plain).collect()
            }
        };
        OptimiserState { n_steps: self.n_steps, moments, loss_scale: self.loss_scale }
    }

    /// The reverse of [`state`](Self::state); `weights` give the shapes.
    pub(crate) fn restore(
        &mut self,
        state: OptimiserState,
        weights: &[Weight<B>],
        device: &B::Device,
    ) {
        self.n_steps = state.n_steps;
        self.loss_scale = state.loss_scale;
        match &mut self.state {
            State::Host(own) => *own = state.moments,
            State::Device(own) => {
                let arrays = state.moments.into_iter().zip(weights).map(|((m, v), weight)| {
                    let shape = weight.shape();
                    (!m.is_empty()).then(|| {
                        (Weight::upload(m, &shape, device), Weight::upload(v, &shape, device))
                    })
                });
                *own = arrays.collect();
            }
        }
    }
}
